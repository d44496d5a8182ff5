"""The whole engine on Triton's kernels, over the buffers of CUDA graphs, gives the tokens of the reference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.core import Engine
from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.kv_cache import BlockPool
from tests.engine.executors.native.pairs import CONFIG, ask, assert_greedy, make_pair, moved, policies
from tests.engine.kernels.triton.forwards import DEVICE
from tests.engine.strategies import Log

PAIR = make_pair(replace(CONFIG, head_size=16))
TARGET, DRAFT = (moved(decoder, DEVICE) for decoder in (PAIR.target, PAIR.draft))


@pytest.mark.parametrize(("system", "graphs"), [("vllm", True), ("adaserve", True), ("tree", False)])
def test_tokens_are_those_of_plain_decoding(system: str, graphs: bool) -> None:
    made, log = policies(system), Log()
    executor = NativeExecutor(TARGET, DRAFT, Capacity.of(600, made, True), kernel="triton", graphs=graphs, ahead=True)
    engine = Engine(made, executor, BlockPool(600, made.batching.block_size), log)
    requests = [ask(0, range(1, 20), 4), ask(1, range(40, 45), 3), ask(2, [3], 2)]
    engine.run(requests)
    assert len(log.done) == 3
    for request in requests:
        assert_greedy(PAIR, request)
