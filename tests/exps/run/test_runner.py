"""Plans, parallel execution, resume, and a real SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from engine.errors import InputError, PolicyError
from engine.ordering import ORDERINGS
from engine.ordering.fcfs import FCFS
from engine.speculation import SPECULATIONS
from engine.speculation.chain import Chain
from exps.commands.findings import find
from exps.commands.planning import plan_figures
from exps.figures.figure import Options, Point, Selection, Setting
from exps.papers.registry import expand, find_figure
from exps.run.execute import execute
from exps.run.plan import Plan, make_plan, setup_of, unique_jobs, useful_workers
from exps.run.simulation import simulate
from exps.run.work import produce
from hosting.machine import cores

ROOT = Path(__file__).parents[3]


def again(plan: Plan) -> Plan:
    return make_plan(plan.figure, [job.point for job in plan.jobs], plan.options, plan.root)


def contents(root: Path, pattern: str = "*.parquet") -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob(pattern))}


def test_a_plan_makes_one_timetable_for_all_systems_and_writes_nothing(quick_plan):
    plan = quick_plan()
    assert plan.jobs[0].timetable is plan.jobs[1].timetable
    assert len(plan.to_do) == 2
    assert not plan.root.exists()


def test_complete_points_are_skipped_and_spoilt_ones_run_again(quick_plan):
    plan = quick_plan()
    execute(plan.to_do, plan.root, 2, lambda job, product: None)
    assert again(plan).to_do == []
    before = contents(plan.root)
    victim = plan.jobs[0].folder / "requests.parquet"
    victim.write_bytes(victim.read_bytes()[:-1])
    to_do = again(plan).to_do
    assert [job.point.system for job in to_do] == [plan.jobs[0].point.system]
    execute(to_do, plan.root, 1, lambda job, product: None)
    assert contents(plan.root) == before


def test_the_same_points_are_the_same_bytes_whatever_the_workers(quick_plan, tmp_path):
    plan = quick_plan()
    execute(plan.to_do, plan.root, 2, lambda job, product: None)
    other = make_plan(plan.figure, [job.point for job in plan.jobs], plan.options, tmp_path / "other")
    execute(other.to_do, other.root, 1, lambda job, product: None)
    assert contents(plan.root) == contents(other.root)
    assert contents(plan.root, "summary.json") == contents(other.root, "summary.json")


def test_another_seed_is_another_result(quick_plan):
    plan = quick_plan()
    execute(plan.to_do[:1], plan.root, 1, lambda job, product: None)
    assert len(quick_plan(seed=1).to_do) == 2


def test_figures_that_share_points_run_them_once(tmp_path):
    selection = Selection(("llama",), ("vllm",), (2.6,))
    plans = plan_figures("all", selection, Options(quick=True), tmp_path)
    adaserve = [plan for plan in plans if plan.figure.points_folder == "adaserve/fig8"]
    assert len(adaserve) > 2 and {len(plan.jobs) for plan in adaserve} == {1}
    assert len(unique_jobs(adaserve)) == 1


def test_the_folder_tells_what_a_result_is(quick_plan):
    plan = quick_plan()
    place = plan.jobs[0].folder.relative_to(plan.root).as_posix()
    assert place == "adaserve/fig8/sim-4xa100-80g-scaled-quick/llama/vllm/rps-2.6"


def test_a_system_that_cannot_be_built_stops_before_any_work(tmp_path):
    with pytest.raises(InputError, match="w_x"):
        plan_figures("fig8", Selection(systems=("order=vtc(w_x=1)",)), Options(quick=True), tmp_path)


def test_without_points_there_is_nothing_to_judge(quick_plan):
    with pytest.raises(InputError, match=r"cli.py run adaserve/fig8"):
        find(quick_plan())


def test_a_failure_in_a_worker_keeps_what_was_recorded(quick_plan, monkeypatch):
    plan = quick_plan()

    def stop(job, product):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(plan.to_do, plan.root, 2, stop)
    assert len(again(plan).to_do) == 1


def run_cli(results: Path, *more: str) -> list[str]:
    command = [sys.executable, "cli.py", "run", "fig8", "--model", "llama", "--quick", "--jobs", "2"]
    return [*command, "--results", str(results), *more]


def recorded(results: Path) -> list[Path]:
    try:
        return [path for path in results.rglob("manifest.json") if ".tmp-" not in str(path)]
    except FileNotFoundError:
        return recorded(results)


def wait_for_points(results: Path, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(recorded(results)) < count and time.monotonic() < deadline:
        time.sleep(0.01)


def test_sigkill_keeps_complete_points_and_the_same_command_goes_on(tmp_path):
    results = tmp_path / "results"
    process = subprocess.Popen(
        run_cli(results), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for_points(results, 3)
    assert process.poll() is None, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    def written() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in recorded(results)}

    kept = written()
    assert 3 <= len(kept) < 18
    finished = subprocess.run(run_cli(results), cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    after = written()
    assert len(after) == 18
    assert {path: after[path] for path in kept} == kept
    assert not list(results.rglob(".tmp-*"))
    clean = tmp_path / "clean"
    subprocess.run(run_cli(clean), cwd=ROOT, capture_output=True, check=True)
    assert contents(results) == contents(clean)


@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_an_interrupt_is_one_line_and_keeps_complete_points(tmp_path, send):
    process = subprocess.Popen(
        run_cli(tmp_path), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for_points(tmp_path, 2)
    send(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.rglob(".tmp-*"))


def test_a_few_short_points_start_no_pool(quick_plan):
    jobs = quick_plan().to_do
    assert useful_workers(jobs[:1]) == 1
    assert useful_workers(jobs * 100) == cores()


def test_an_axis_leaves_a_policys_other_parameters_as_the_setting_has_them():
    """Both know the same policy: neither erases what the other says of it."""
    figure = replace(
        find_figure("vtc/fig3"),
        settings=(Setting("slow", batching="slora", policies={"slora": {"reads_per_wait": 2.0, "poll_s": 0.5}}),),
        policies=lambda x: {"slora": {"poll_s": x}, "rpm": {"limit": 7}},
    )
    platform = replace(figure.platforms[0], setting=figure.settings[0])
    setup = setup_of(Point(figure, platform, "vtc", 0.25), Options())
    assert setup.policies == {"slora": {"reads_per_wait": 2.0, "poll_s": 0.25}, "rpm": {"limit": 7}}
    assert setup.parameters(setup.deployment())["slora"]["reads_per_wait"] == 2.0


def test_a_workload_that_lacks_what_a_system_goes_by_is_refused_before_the_run(tmp_path):
    figure = find_figure("vtc/fig3")
    points, options = expand(figure, Selection(systems=("fairserve",)), Options(quick=True))
    with pytest.raises(InputError, match=r"fairserve goes by expected_input, .* which the workload lacks"):
        make_plan(figure, points, options, tmp_path)


def test_a_speculation_that_raises_when_it_is_asked_for_its_shape_fails_its_point_by_name(monkeypatch):
    class Raises(Chain):
        def shape(self, progress):
            raise KeyError(progress.requests[0].category)

    monkeypatch.setitem(SPECULATIONS, "raises", Raises)
    figure = find_figure("fig8")
    points, options = expand(figure, Selection(models=("qwen",), systems=("spec=raises",), rps=(2.6,)), Options(quick=True))
    timetable = figure.timetable(points[0].platform, 2.6, options)
    product = produce(timetable, setup_of(points[0], options))
    assert product.failure is not None and "the speculation policy Raises raised KeyError" in product.failure
    assert product.rows == timetable.height


def test_who_ended_in_the_step_that_stopped_the_run_has_ended(monkeypatch):
    """The ordering raises when it hears of the second end."""
    class Tires(FCFS):
        ends = 0

        def on_finish(self, request, now):
            self.ends += 1
            if self.ends == 2:
                raise KeyError("enough")

    monkeypatch.setitem(ORDERINGS, "tires", Tires)
    figure = find_figure("fig8")
    points, options = expand(figure, Selection(models=("qwen",), systems=("order=tires",), rps=(2.6,)), Options(quick=True))
    made = figure.timetable(points[0].platform, 2.6, options).head(2)
    together = made.with_columns(arrival_s=pl.lit(0.0), prompt_tokens=pl.lit(50, pl.Int64), output_tokens=pl.lit(9, pl.Int64))
    with pytest.raises(PolicyError) as caught:
        simulate(together, setup_of(points[0], options))
    assert caught.value.outcome.requests["status"].to_list() == ["finished", "finished"]
    assert caught.value.outcome.requests["output_tokens"].to_list() == [9, 9]
