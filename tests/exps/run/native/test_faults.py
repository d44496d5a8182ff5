"""Ranks of a native run, and what is left when one of them, the memory or a kernel fails: a sentence, and the records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import polars as pl
import pytest
import torch

import cli
import exps.papers.adaserve.workloads
import exps.run.local
from engine.errors import DeviceError, InputError, KernelError, RankError, RunError
from engine.executors.native.clock import WallClock
from engine.executors.native.executor import NativeExecutor
from engine.executors.native.memory import Memory
from engine.executors.native.model_runner import ModelRunner
from engine.executors.native.parallel.ranks import Ranks
from engine.kernels.faults import kernel_fault
from engine.models.split import Split
from engine.system import parse_system
from exps.run.backends import NATIVE
from exps.run.native import models
from exps.run.native.executors import free_tokens, token_bytes
from exps.run.native.models import Loaded, load
from exps.run.native.serving import serve_natively
from exps.run.serving import Setup
from exps.workload.timetable import timetable
from hosting.device import CPU, Device
from tests.engine.executors.native.parallel.test_rank_faults import ROOT, alive, gone
from tests.exps.run.native.parts import part_of

TWO = replace(CPU, ranks=2)
After = Callable[[int, Callable[[], None]], None]


@pytest.fixture
def two(profiles: Path, pair_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setup]:
    """What runs on two ranks of the processor."""
    monkeypatch.setattr(models, "load_target", partial(part_of, folder=pair_folder))
    yield Setup(parse_system("vllm"), "tiny", "cpu", "measured", backend="native", profiles=profiles, device=TWO)
    models.unload()


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> After:
    """Does something at a forward of the run itself, its warm-up not counted."""

    def do(number: int, act: Callable[[], None]) -> None:
        left, forward, reset = [-1], NativeExecutor.forward, WallClock.reset

        def counted(self: NativeExecutor, *step: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                act()
            return forward(self, *step)

        def begun(self: WallClock) -> None:
            left[0] = number
            reset(self)

        monkeypatch.setattr(NativeExecutor, "forward", counted)
        monkeypatch.setattr(WallClock, "reset", begun)

    return do


def rows() -> pl.DataFrame:
    same = {"arrival_s": [0.0] * 8, "client": ["a"] * 8, "prompt_tokens": [20] * 8}
    return timetable(same | {"output_tokens": [4, *[200] * 7]})


def ranks_of(setup: Setup) -> Ranks:
    ranks = load(setup.model, setup.weights, setup.device).ranks
    assert ranks is not None
    return ranks


def kill_one() -> None:
    (loaded,) = models._loaded.values()
    assert loaded.ranks is not None
    os.kill(loaded.ranks.processes[0], signal.SIGKILL)


@pytest.mark.parametrize("system", ["vllm", "adaserve"])
def test_two_ranks_serve_and_say_how_they_sum(two: Setup, system: str) -> None:
    setup = replace(two, system=parse_system(system))
    outcome = serve_natively(rows().head(3).with_columns(output_tokens=pl.lit(6)), setup)
    assert (outcome.requests["status"] == "finished").all()
    assert outcome.facts["ranks"] == "2 ranks, gloo"
    told = NATIVE.configured(setup)
    assert (told["ranks"], told["sums"]) == (2, "gloo") and "ranks" not in NATIVE.configured(replace(setup, device=CPU))


def test_ranks_live_until_another_model_is_loaded(two: Setup) -> None:
    first = ranks_of(two)
    assert ranks_of(two) is first and all(map(alive, first.processes))
    load("tiny", "own")
    assert gone(first.processes, 0)
    again = ranks_of(two)
    models.unload()
    assert gone(again.processes, 0)


def test_ranks_end_when_rank_0_cannot_load_its_part(two: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    started = Mock(wraps=Ranks)
    monkeypatch.setattr(models, "Ranks", started)
    monkeypatch.setattr(models, "load_pair", Mock(side_effect=InputError("the model is lost; find it.")))
    with pytest.raises(InputError, match="the model is lost"):
        load("tiny", "own", TWO)
    assert started.call_count == 1 and not torch.distributed.is_initialized()


def test_the_rank_with_the_least_room_decides_how_many_tokens_fit(two: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank 0's tokens take the draft's keys and values too."""
    loaded = load("tiny", "own", TWO)
    assert [memory.total > memory.free > 0 for memory in loaded.memory()] == [True, True]
    first, other = token_bytes(loaded, drafts=True)
    assert first == 3 * other and token_bytes(loaded, drafts=False) == [other, other]
    for free, fit in (((600, 1200), 200), ((6000, 300), 300)):
        told = [Memory(free[0] * other, 0), Memory(free[1] * other, 0)]
        monkeypatch.setattr(Loaded, "memory", lambda self, told=told: told)
        assert free_tokens(loaded, drafts=True) == fit


def test_a_killed_rank_leaves_the_records_of_what_was_served(two: Setup, after: After) -> None:
    processes = ranks_of(two).processes
    after(60, kill_one)
    with pytest.raises(RankError, match=r"^rank 1 of 2 was killed by SIGKILL") as caught:
        serve_natively(rows(), two)
    records = caught.value.outcome.requests
    assert records["status"].to_list() == ["finished", *["unfinished"] * 7]
    assert records["output_tokens"][0] == 4 and 0 < records["output_tokens"][7] < 200
    assert caught.value.outcome.facts["ranks"] == "2 ranks, gloo"
    assert gone(processes, 0) and not models._loaded


SCRIPT = """
import sys
from dataclasses import replace
import cli
import exps.run.local
from exps.run.native import models
from hosting.device import CPU

def told(*asked):
    loaded = load(*asked)
    print("ranks", *loaded.ranks.processes, flush=True)
    return loaded

if __name__ == "__main__":
    load, models._load = models._load, told
    exps.run.local.device_for = lambda weight_bytes, asked: replace(CPU, ranks=2)
    sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_ranks_of_a_command_end_with_it(profiles: Path, tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    asked = ["run", "fig8", "--model", "tiny", "--device", "cpu", "--system", "vllm", "--rps", "3"]
    asked += ["--results", str(profiles.parent)]
    run = subprocess.Popen([sys.executable, str(script), *asked], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                           text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert run.stdout is not None
    line = next(line for line in run.stdout if line.startswith("ranks "))
    processes = [int(word) for word in line.split()[1:]]
    assert len(processes) == 1 and alive(processes[0])
    time.sleep(1.0)
    (os.killpg if number is signal.SIGINT else os.kill)(run.pid, number)
    _, said = run.communicate(timeout=20)
    assert run.returncode == (130 if number is signal.SIGINT else -signal.SIGKILL)
    assert gone(processes, 2)
    assert "Traceback" not in said and ("the same command goes on" in said) == (number is signal.SIGINT), said


def test_gpus_get_a_rank_each(two: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    started, loading = Mock(), Mock()
    started.return_value.split = Split(0, 4)
    monkeypatch.setattr(models, "Ranks", started)
    monkeypatch.setattr(models, "load_pair", loading)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    four = Device("4xh100", "4 x NVIDIA H100", 4, "bfloat16", 4)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match=r"PyTorch sees 2 of the 4 GPUs of 4 x NVIDIA H100; unset CUDA_VISIBLE_DEVICES"):
        load("llama-3.1-70b", "widened", four)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: ["NVIDIA H100", "NVIDIA A10G"][number == 2])
    with pytest.raises(InputError, match="first 4 GPUs are NVIDIA H100 and NVIDIA A10G; set CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        load("llama-3.1-70b", "widened", four)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "NVIDIA H100")
    assert load("llama-3.1-70b", "widened", four).make_runner is started.return_value.runner
    asked = {"name": "llama-3.1-70b", "weights": "widened", "dtype": torch.bfloat16}
    assert started.call_args.args[0] == 4 and started.call_args.args[2] == "cuda"
    assert started.call_args.args[1].keywords.items() >= asked.items()
    assert loading.call_args.kwargs == {**asked, "device": started.return_value.device, "split": Split(0, 4)}
    told = NATIVE.configured(replace(two, device=four))
    assert (told["ranks"], told["sums"]) == (4, "symmetric memory where the GPUs map each other's, and NCCL")
    models.unload()
    assert started.return_value.close.call_count == 1


@pytest.mark.parametrize("one_by_one", [True, False])
def test_the_command_ends_with_the_ranks_sentence(
    two: Setup, after: After, one_by_one: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exps.papers.adaserve.workloads, "LOCAL_QUICK_S", 0.3)
    monkeypatch.setattr(exps.run.local, "device_for", lambda weight_bytes, asked: TWO)
    assert two.profiles is not None
    after(20, kill_one)
    results = two.profiles.parent
    command = ["run", "fig8", "--model", "tiny", "--device", "cpu", "--system", "vllm,sarathi", "--quick"]
    assert cli.main([*command, "--results", str(results), *["--one-by-one"] * one_by_one]) == 1
    out, err = capsys.readouterr()
    shown = " ".join(out.split())
    assert "completed now 0 failed 1 not run 3" in shown
    assert "Failed: adaserve/fig8 tiny" in shown and "rank 1 of 2 was killed by SIGKILL" in shown
    assert "Traceback" not in out + err and ("3 more cannot be run after that" in err) == one_by_one
    (path,) = results.rglob("manifest.json")
    manifest = json.loads(path.read_text())
    assert manifest["status"] == "failed" and manifest["failure"].startswith("rank 1 of 2 was killed")
    kept = pl.read_parquet(path.parent / "requests.parquet")
    assert kept.height == manifest["rows"] and kept["output_tokens"].sum() > 0


def runs_out(of: str = "Tried to allocate 1.50 MiB.") -> Callable[..., Any]:
    def forward(*step: Any, **more: Any) -> Any:
        raise torch.OutOfMemoryError(f"CUDA out of memory. {of}\nMore lines of it")

    return forward


def test_memory_that_runs_out_is_one_sentence_with_what_fits(
    two: Setup, after: After, monkeypatch: pytest.MonkeyPatch
) -> None:
    after(60, lambda: monkeypatch.setattr(ModelRunner, "forward", runs_out()))
    with pytest.raises(DeviceError) as caught:
        serve_natively(rows(), replace(two, device=CPU))
    said = str(caught.value)
    for words in ("the weights of tiny take 0.0 GB", "a KV cache of 32,768 tokens takes", "step of up to", "tokens fit",
                  "cli.py profile --model tiny", "max_sequences"):
        assert words in said
    assert "\n" not in said and not caught.value.final
    assert caught.value.outcome.requests["status"].to_list() == ["finished", *["unfinished"] * 7]


@pytest.mark.parametrize("method", ["warm_up", "forward"])
def test_memory_that_runs_out_before_the_run_leaves_a_row_a_request(
    two: Setup, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelRunner, method, runs_out("No number."))
    with pytest.raises(DeviceError, match="the memory ran out: of the memory of") as caught:
        serve_natively(rows(), replace(two, device=CPU))
    assert caught.value.outcome.requests["status"].to_list() == ["unfinished"] * 8
    assert "tokens fit" not in str(caught.value)


def test_memory_of_rank_0_that_runs_out_ends_the_ranks(two: Setup, after: After, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = ranks_of(two).processes
    after(30, lambda: monkeypatch.setattr(ModelRunner, "forward", runs_out()))
    with pytest.raises(DeviceError, match="on rank 0, a KV cache") as caught:
        serve_natively(rows(), two)
    assert caught.value.final and caught.value.outcome.requests.height == 8
    assert gone(processes, 0)


def test_memory_of_another_rank_is_told_as_that_ranks(small_pair: Path) -> None:
    from exps.run.native.faults import Faults

    faults = Faults("tiny", CPU, load("tiny", "own"), drafts=True)
    failure = faults.explain(RankError("rank 1 of 2 raised it.", 1, memory=True))
    assert "ran out on rank 1: " in str(failure) and failure is not None and failure.final
    assert faults.explain(ValueError("CUDA error")) is None
    failed = faults.explain(RuntimeError("CUDA error: uncorrectable ECC error encountered\nmore"))
    assert "failed (CUDA error: uncorrectable ECC error encountered); see what nvidia-smi says" in str(failed)


def test_memory_that_runs_out_in_a_measurement_is_one_sentence(
    small_pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ModelRunner, "forward", runs_out())
    assert cli.main(["profile", "--model", "tiny", "--quick", "--results", str(tmp_path)]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert "the memory ran out: of the memory of" in said[-1] and "Traceback" not in said


class Launched:
    """A kernel as Triton launches it."""

    __module__ = "triton.runtime.jit"

    def __init__(self, fn: Callable[..., None]):
        self.fn = fn

    def run(self) -> None:
        raise RuntimeError("at 3:9:\n  tl.dot(q, k)\nout of resource: shared memory, Required: 300, Hardware limit: 200.")


def _fold() -> None: ...


def test_a_kernel_that_cannot_be_compiled_is_named_and_never_replaced(
    profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.models.decoder import Decoder

    monkeypatch.setattr(Decoder, "hidden", lambda *step: Launched(_fold).run())
    setup = Setup(parse_system("vllm"), "tiny", "cpu", "measured", backend="native", profiles=profiles)
    with pytest.raises(KernelError) as caught:
        serve_natively(rows(), setup)
    assert str(caught.value) == (
        "the Triton kernel _fold cannot run here (RuntimeError: out of resource: shared memory, Required: 300, Hardware"
        " limit: 200); choose --attention reference."
    )
    assert caught.value.final and caught.value.outcome.requests.height == 8
    assert isinstance(caught.value, RunError)


def test_what_is_not_tritons_passes() -> None:
    assert kernel_fault(ValueError("a mistake")) is None
    assert kernel_fault(torch.OutOfMemoryError("CUDA out of memory")) is None
