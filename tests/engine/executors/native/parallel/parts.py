"""The small random pair with its target on several ranks. Their processes import this file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from engine.errors import InputError
from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.executors.native.parallel.ranks import Ranks
from engine.models.decoder import Decoder
from engine.models.split import Split
from engine.roles import Policies
from tests.engine.executors.native.pairs import CONFIG, Pair, make_pair, moved
from tests.engine.models.splitting import split_decoder


def whole_pair(kv_heads: int = 2) -> Pair:
    return make_pair(replace(CONFIG, kv_heads=kv_heads))


def part_of(split: Split, device: torch.device, kv_heads: int = 2) -> Decoder:
    return split_decoder(whole_pair(kv_heads).target, split)


def part_for_triton(split: Split, device: torch.device) -> Decoder:
    return split_decoder(moved(pair_for_triton().target, str(device)), split)


def pair_for_triton() -> Pair:
    return make_pair(replace(CONFIG, head_size=16))


def broken_part(split: Split, device: torch.device) -> Decoder:
    raise InputError("the model is lost; find it.")


@dataclass(frozen=True)
class SplitPair(Pair):
    """``target`` is rank 0's part."""

    ranks: Ranks
    graphs: bool = False

    @classmethod
    def of(cls, ranks: Ranks, kv_heads: int = 2, graphs: bool = False) -> SplitPair:
        whole = whole_pair(kv_heads)
        return cls(split_decoder(whole.target, ranks.split), whole.draft, ranks, graphs)

    def executor_for(self, kv_tokens: int, policies: Policies, ahead: bool = False) -> NativeExecutor:
        capacity = Capacity.of(kv_tokens, policies, ahead)
        return NativeExecutor(
            self.target, self.draft, capacity, graphs=self.graphs, ahead=ahead, make_runner=self.ranks.runner
        )
