"""A small random pair, a dense reference for it, and runs of the whole engine on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf

import torch

from engine.core import Engine
from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.kv_cache import BlockPool
from engine.models.config import DecoderConfig
from engine.models.decoder import Decoder
from engine.models.weights import fresh_weights
from engine.request import Request
from engine.roles import Policies
from engine.sampling import Sampling
from engine.system import parse_system
from tests.engine.models.dense import greedy, logits
from tests.engine.strategies import VOCABULARY, Log

CONFIG = DecoderConfig(
    vocabulary=VOCABULARY, hidden=32, layers=2, heads=4, kv_heads=2, head_size=8, intermediate=48, context=256,
    tied_embeddings=True,
)
NOISE = 0.03
TIE = 1e-5


@dataclass(frozen=True)
class Pair:
    """``draft`` is ``target`` with noise on its weights, so that it is right some of the time."""

    target: Decoder
    draft: Decoder

    def executor(self, kv_tokens: int = 4000, max_sequences: int = 100, draft_tokens: int = 24) -> NativeExecutor:
        return NativeExecutor(self.target, self.draft, Capacity(kv_tokens, max_sequences, draft_tokens))

    def executor_for(self, kv_tokens: int, policies: Policies, ahead: bool = False) -> NativeExecutor:
        return NativeExecutor(self.target, self.draft, Capacity.of(kv_tokens, policies, ahead), ahead=ahead)


def make_pair(config: DecoderConfig = CONFIG, noise: float = NOISE, seed: int = 0, scale: float = 0.3) -> Pair:
    target, draft = (fresh_weights(config, seed, scale=scale) for _ in range(2))
    generator = torch.Generator().manual_seed(seed + 1)
    for tensor in draft.tensors():
        tensor.add_(torch.randn(tensor.shape, generator=generator) * noise)
    return Pair(Decoder(config, target), Decoder(config, draft))


def policies(system: str, block_size: int = 16) -> Policies:
    """The policies of a system; ``tree`` is a small static tree."""
    text = "vllm,spec=specinfer(branching=3;1;2)" if system == "tree" else system
    built = parse_system(text).build({})
    built.batching.block_size = block_size
    return built


class CheckedEngine(Engine):
    """Checks the KV accounting of the engine and of the executor after every step."""

    def step(self, until_s: float = -inf) -> bool:
        busy = super().step(until_s)
        self.check()
        assert isinstance(self.executor, NativeExecutor)
        self.executor.check()
        return busy


def serve(
    pair: Pair,
    requests: Sequence[Request],
    make: Policies | str = "sarathi",
    pool_tokens: int = 4000,
    prepare: Callable[[Engine], None] = lambda engine: None,
    ahead: bool = False,
) -> Engine:
    """Serve ``requests`` to the end, each heard of once."""
    made = policies(make) if isinstance(make, str) else make
    log = Log()
    executor = pair.executor_for(pool_tokens, made, ahead)
    engine = CheckedEngine(made, executor, BlockPool(pool_tokens, made.batching.block_size), log)
    prepare(engine)
    engine.run(requests)
    assert sorted(request.id for request in log.done) == sorted(request.id for request in requests)
    assert engine.running.pool.free == engine.running.pool.capacity
    assert not any(request in executor.sequences for request in requests)
    return engine


def ask(id: int, prompt: Sequence[int], output: int, sampling: Sampling | None = None, client: str = "a") -> Request:
    sampling = Sampling(ignore_stop=True) if sampling is None else sampling
    return Request(id, client, len(prompt), output, 0.0, slo_tpot_s=0.01, prompt_ids=list(prompt), sampling=sampling)


def answer(pair: Pair, request: Request) -> list[int]:
    """What plain greedy decoding of this request alone gives."""
    assert request.prompt_ids is not None
    return greedy(pair.target, request.prompt_ids, request.output_tokens)


def assert_greedy(pair: Pair, request: Request) -> None:
    """The answer is plain greedy decoding's, up to the first place where two tokens tie within rounding."""
    assert request.prompt_ids is not None
    got, want = list(request.output_ids), answer(pair, request)
    assert len(got) == len(want) == request.output_tokens
    if got == want:
        return
    first = next(place for place, (a, b) in enumerate(zip(got, want, strict=True)) if a != b)
    exact = logits(in_float64(pair.target), [*request.prompt_ids, *want[:first]])[-1]
    gap = exact.max() - torch.minimum(exact[got[first]], exact[want[first]])
    assert float(gap) < TIE, f"request {request.id}: {got[first]} for {want[first]} at {first}, {float(gap):.2e} apart"


def in_float64(decoder: Decoder) -> Decoder:
    return moved(decoder, torch.float64)


def moved(decoder: Decoder, to: torch.dtype | str) -> Decoder:
    """The decoder in another dtype, or on another device."""
    weights = decoder.weights
    layers = [replace(layer, **{name: tensor.to(to) for name, tensor in vars(layer).items() if tensor is not None})
              for layer in weights.layers]
    embedding = weights.embedding.to(to)
    head = embedding if weights.head is weights.embedding else weights.head.to(to)
    return Decoder(decoder.config, replace(weights, embedding=embedding, layers=layers, norm=weights.norm.to(to), head=head))
