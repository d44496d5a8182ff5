"""Two ranks over the buffers of CUDA graphs give the tokens of plain decoding; on GPUs with what sums in the graphs."""

from __future__ import annotations

import pytest
import torch

from engine.core import Engine
from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.executors.native.parallel.ranks import Ranks
from engine.kv_cache import BlockPool
from tests.engine.executors.native.pairs import ask, assert_greedy, policies
from tests.engine.executors.native.parallel.parts import pair_for_triton, part_for_triton
from tests.engine.kernels.triton.forwards import DEVICE
from tests.engine.strategies import Log

KIND = torch.device(DEVICE).type


@pytest.mark.skipif(KIND == "cuda" and torch.cuda.device_count() < 2, reason="one GPU")
def test_tokens_are_those_of_plain_decoding() -> None:
    made, log = policies("vllm"), Log()
    requests = [ask(0, range(1, 20), 4), ask(1, range(40, 45), 3), ask(2, [3], 2)]
    with Ranks(2, part_for_triton, KIND) as ranks:
        target, capacity = part_for_triton(ranks.split, ranks.device), Capacity.of(600, made, True)
        executor = NativeExecutor(target, None, capacity, "triton", graphs=True, ahead=True, make_runner=ranks.runner)
        if KIND == "cuda":
            executor.warm_up(4)
        Engine(made, executor, BlockPool(600, made.batching.block_size), log).run(requests)
    assert len(log.done) == 3
    for request in requests:
        assert_greedy(pair_for_triton(), request)
