"""A rank that dies or hangs ends the run with its cause, and whatever ends it, nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from engine.core import Engine
from engine.errors import RankError
from engine.executors.native.parallel.ranks import Ranks
from engine.kv_cache import BlockPool
from engine.plan import StepPlan
from tests.engine.executors.native.pairs import ask, policies
from tests.engine.executors.native.parallel.parts import SplitPair, broken_part, part_of
from tests.engine.strategies import Log

PATIENCE_S = 2.0
LIMIT_S = 8.0
ROOT = Path(__file__).parents[5]


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(processes: list[int], within_s: float) -> bool:
    until = time.monotonic() + within_s
    while any(alive(process) for process in processes):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def two() -> Iterator[Ranks]:
    with Ranks(2, partial(part_of, kv_heads=2), patience_s=PATIENCE_S) as ranks:
        yield ranks
    assert gone(ranks.processes, 0) and not dist.is_initialized()


def serving(ranks: Ranks, kv_heads: int = 2) -> tuple[Engine, Log]:
    """An engine in the middle of an answer, with another done."""
    made, log = policies("vllm"), Log()
    executor = SplitPair.of(ranks, kv_heads).executor_for(600, made)
    engine = Engine(made, executor, BlockPool(600, made.batching.block_size), log)
    engine.submit(ask(0, range(10), 3))
    engine.submit(ask(1, range(20), 200))
    while len(log.done) < 1:
        engine.step()
    return engine, log


def assert_ends(engine: Engine, log: Log, words: str) -> RankError:
    """The run ends in time with these words, and what was served until then is known."""
    began = time.monotonic()
    with pytest.raises(RankError, match=words) as caught:
        while engine.step():
            pass
    assert time.monotonic() - began < LIMIT_S
    assert [(request.id, len(request.output_ids)) for request in log.done] == [(0, 3)]
    with pytest.raises(RankError, match="the ranks have ended"):
        engine.executor.forward(*_a_step(engine))
    return caught.value


def _a_step(engine: Engine) -> tuple[object, object]:
    return StepPlan(prefill=(), decode=True), engine.running.batch


def test_a_rank_that_is_killed(two: Ranks) -> None:
    engine, log = serving(two)
    os.kill(two.processes[0], signal.SIGKILL)
    error = assert_ends(engine, log, "^rank 1 of 2 was killed by SIGKILL, perhaps for want of memory; start the run again.$")
    assert error.rank == 1


def test_each_rank_tells_what_memory_is_free(two: Ranks) -> None:
    told = two.memory()
    assert len(told) == 2 and all(0 < memory.free < memory.total for memory in told)
    os.kill(two.processes[0], signal.SIGSTOP)
    with pytest.raises(RankError, match=r"rank 1 of 2 (gives no sign of life|has not done its part)"):
        two.memory()


def test_of_four_ranks_the_one_that_hangs() -> None:
    """The others run into gloo's time-out because of it; they are not to blame."""
    with Ranks(4, partial(part_of, kv_heads=4), patience_s=PATIENCE_S) as ranks:
        engine, log = serving(ranks, 4)
        os.kill(ranks.processes[1], signal.SIGSTOP)
        assert assert_ends(engine, log, "^rank 2 of 4 gives no sign of life for [123] s; start the run again.$").rank == 2
    assert gone(ranks.processes, 0)


def test_a_rank_that_lives_and_does_nothing(two: Ranks, monkeypatch: pytest.MonkeyPatch) -> None:
    """It beats and never takes the command, as one that waits for a lock would."""
    engine, log = serving(two)
    monkeypatch.setattr(two._board.ring, "send", lambda message, watch: None)
    assert_ends(engine, log, "^rank 1 of 2 has not done its part of a step for 2 s; start the run again.$")


def test_a_rank_that_raises() -> None:
    began = time.monotonic()
    words = r"^rank 1 of 2 raised .*InputError: the model is lost; find it\. \(parts\.py, line"
    with pytest.raises(RankError, match=words) as caught:
        with Ranks(2, broken_part, patience_s=PATIENCE_S) as ranks:
            ranks.runner(part_of(ranks.split, torch.device("cpu")), 4, 16)
    assert time.monotonic() - began < 2 * LIMIT_S
    assert "Traceback" in caught.value.traceback
    assert gone(ranks.processes, 0) and not dist.is_initialized()


def test_what_rank_0_raises_is_raised(two: Ranks, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = serving(two)
    local = engine.executor.runners()[0].local  # type: ignore[attr-defined]
    monkeypatch.setattr(local, "forward", lambda *step: 1 // 0)
    began = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        engine.step()
    two.close()
    assert gone(two.processes, 0)
    assert time.monotonic() - began < LIMIT_S


SCRIPT = """
import sys, time
from functools import partial
from engine.executors.native.parallel.ranks import Ranks
from tests.engine.executors.native.parallel.parts import part_of
if __name__ == "__main__":
    with Ranks(2, part_of) as ranks:
        print(*ranks.processes, ranks._board.name, flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_the_ranks_end_with_the_run(number: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    run = subprocess.Popen([sys.executable, str(script)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert run.stdout is not None
    process, board = run.stdout.readline().split()
    assert alive(int(process))
    (os.killpg if number is signal.SIGINT else os.kill)(run.pid, number)
    _, said = run.communicate(timeout=LIMIT_S)
    assert gone([int(process)], 2)
    assert not Path("/dev/shm", board).exists()
    assert said.count("Traceback") == (number is signal.SIGINT), said
    assert "leaked" not in said
