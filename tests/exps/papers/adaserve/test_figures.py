"""AdaServe's figures: which points they share, what is scored without running again, what refuses the simulator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from engine.errors import InputError
from exps.commands.planning import plan_figures
from exps.figures.figure import Options, Platform, Point, Record, Selection
from exps.figures.published import read_published
from exps.papers.adaserve.fig11 import FIG11, rescored
from exps.papers.adaserve.fig12 import counted_tokens
from exps.papers.adaserve.fig15 import FIG15, measure
from exps.papers.registry import FIGURES, expand, find_figure
from exps.run.plan import unique_jobs

QUICK = Options(quick=True)
LLAMA = Selection(models=("llama",))


def test_figures_9_and_12_run_nothing_beside_figure_8(tmp_path: Path) -> None:
    plans = [plan_figures(name, LLAMA, QUICK, tmp_path)[0] for name in ("fig8", "fig9", "fig12")]
    assert {job.folder for plan in plans for job in plan.jobs} == {job.folder for job in plans[0].jobs}
    assert len(unique_jobs(plans)) == 18


def test_figure_11_runs_what_ignores_slos_once(tmp_path: Path) -> None:
    (plan,) = plan_figures("fig11", Selection(models=("llama",), slo_scale=(0.6, 0.8, 1.0, 1.2)), QUICK, tmp_path)
    assert len(plan.jobs) == 24
    by_system = {system: [job for job in unique_jobs([plan]) if job.point.system == system] for system in FIG11.systems}
    assert {system: len(jobs) for system, jobs in by_system.items()} == {"adaserve": 4, **dict.fromkeys(FIG11.systems[1:], 1)}


def test_rescoring_is_what_a_run_at_that_scale_scores(served) -> None:
    own, once = (
        served(replace(FIG11, served_at=served_at), systems=("vllm",), slo_scale=(0.8,))
        for served_at in (None, lambda system, scale: 1.0)
    )
    assert [rescored(record).requests.equals(record.requests) for record in own] == [True]
    assert rescored(once[0]).requests.equals(own[0].requests) and not once[0].requests.equals(own[0].requests)


def test_what_reads_slos_runs_at_every_scale() -> None:
    points, _ = expand(FIG11, Selection(models=("llama",), systems=("order=slo-greedy", "adaserve", "vllm")), QUICK)
    assert {point.system: point.served.x == point.x for point in points if point.x == 0.6} == {
        "order=slo-greedy": True, "adaserve": True, "vllm": False,
    }


@pytest.mark.parametrize(
    ("figure", "selection", "values"),
    [
        ("fig8", Selection(rps=(3.0, 5.5)), {3.0, 5.5}),
        ("fig10", Selection(urgent=(0.15, 0.4)), {0.15, 0.4}),
        ("fig11", Selection(slo_scale=(0.7,)), {0.7}),
    ],
)
def test_each_sweep_takes_values_of_its_own(figure: str, selection: Selection, values: set[float]) -> None:
    assert {point.x for point in expand(find_figure(figure), selection, QUICK)[0]} == values


@pytest.mark.parametrize(
    ("figure", "selection", "options", "sentence"),
    [
        ("fig8", Selection(urgent=(0.5,)), QUICK, "does not sweep shares of urgent requests; leave --urgent out"),
        ("fig10", Selection(slo_scale=(1.0,)), QUICK, "does not sweep scales of an SLO; leave --slo-scale out"),
        ("vtc/fig3", Selection(), Options(output_tokens=64), "has answers of its own lengths; leave --output-tokens out"),
        ("fig15", Selection(models=("tiny",)), Options(backend="sim"), r"\(sim\) would make up; use --backend native"),
        ("fig14", Selection(rps=(3.0,)), QUICK, "does not sweep request rates"),
    ],
)
def test_what_a_figure_does_not_have_is_one_sentence(
    figure: str, selection: Selection, options: Options, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        expand(find_figure(figure), selection, options)


@pytest.mark.parametrize("share", [1.0, 1.7])
def test_a_share_that_is_none_is_one_sentence(share: float) -> None:
    figure = find_figure("fig10")
    with pytest.raises(InputError, match="no mix; it must be above 0 and below 1"):
        figure.timetable(figure.platforms[0], share, QUICK)


def test_other_answers_are_other_results(tmp_path: Path) -> None:
    own, same, short = (
        plan_figures("fig8", LLAMA, Options(quick=True, output_tokens=cap), tmp_path)[0] for cap in (None, 256, 64)
    )
    assert own.jobs[0].folder == same.jobs[0].folder != short.jobs[0].folder
    assert short.jobs[0].timetable["output_tokens"].max() == 64


@pytest.mark.parametrize("name", ["fig8", "fig9", "fig10", "fig11", "fig12", "fig14", "fig16"])
def test_what_is_published_is_no_distance_from_itself(name: str) -> None:
    """The figure's distance takes published values for ours, and finds all of them."""
    figure, published = FIGURES[f"adaserve/{name}"], read_published("adaserve", name)
    ours = published.rename(
        {"slo_attainment_pct": "attainment_pct", "mean_accepted_tokens": "counted_tokens"}, strict=False
    )
    assert figure.deviation is not None
    found = figure.deviation(ours)
    assert found["mean_error"].max() == 0 and found["points"].min() > 0


def record_with(facts: dict[str, float]) -> Record:
    platform: Platform = FIG15.platforms[0]
    return Record(Point(FIG15, platform, "adaserve", 3.6), pl.DataFrame(), None, {"facts": facts})


def test_figure_15_shares_out_the_time_of_steps_that_decode() -> None:
    facts = {"draft_s": 3.0, "forward_s": 6.0, "prefill_s": 4.0, "busy_s": 14.0}
    shares = dict(measure([record_with(facts)]).select("part", "share_pct").iter_rows())
    assert shares == pytest.approx({"scheduling": 10.0, "speculation": 30.0, "verification": 60.0})
    assert measure([record_with({})])["share_pct"].null_count() == 3


@pytest.mark.parametrize("drafted", [4, 8])
def test_what_vllm_counts_goes_on_behind_a_rejected_token(drafted: int) -> None:
    """Chances of 0.9 and 0.5: accepted up to the first that is not; counted are all, weighted by verifications."""
    steps, chances = (300, 100), (0.9, 0.5)
    accepted = [n * sum(chance**i for i in range(1, drafted + 1)) for n, chance in zip(steps, chances, strict=True)]
    requests = pl.DataFrame({
        "category": ["coding", "chat"], "drafted_tokens": [n * drafted for n in steps], "accepted_tokens": accepted,
    })
    assert counted_tokens(requests, drafted) == pytest.approx(drafted * (300 * 0.9 + 100 * 0.5) / 400)
    assert counted_tokens(requests.with_columns(drafted_tokens=0), drafted) is None
