"""Every claim on frames it holds for, fails for, and cannot judge."""

from __future__ import annotations

import polars as pl
import pytest

from exps.commands.claims_page import claims_page
from exps.figures.claims import FAILS, HOLDS, NOT_JUDGED, Claim, any_fails, judge, judge_one, verdict
from exps.figures.figure import Platform
from exps.figures.published import read_published
from exps.papers.adaserve.claims import CLAIMS as ADASERVE_CLAIMS
from exps.papers.adaserve.evaluation import RATES
from exps.papers.registry import find_figure
from exps.papers.vtc.claims import CLAIMS as VTC_CLAIMS
from exps.report import Reporter

ADASERVE = {claim.id: claim for claim in ADASERVE_CLAIMS}
VTC = {claim.id: claim for claim in VTC_CLAIMS}


def at(coverage):
    """Coverage by platform, of models by name."""
    return {Platform(name, name, "a", name): points for name, points in coverage.items()}


def published_sweep() -> pl.DataFrame:
    attainment = read_published("adaserve", "fig8").rename({"slo_attainment_pct": "attainment_pct"})
    return attainment.join(read_published("adaserve", "fig9"), on=["model", "system", "rps"])


def overload(vtc=lambda t: 2000.0, fcfs=lambda t: 400 * t, largest=9000.0, totals=(379_000.0, 380_000.0)):
    """The metrics frame of Figure 3 from two curves, VTC's largest difference and its clients' totals."""
    rows = []
    for system, curve in (("vtc", vtc), ("fcfs", fcfs)):
        rows += [("llama", system, "service_difference", None, float(t), float(curve(t))) for t in range(30, 601, 30)]
    rows.append(("llama", "vtc", "largest_difference", None, 600.0, largest))
    rows += [("llama", "vtc", "service_total", f"client-{i}", 600.0, total) for i, total in enumerate(totals)]
    names = ["model", "system", "metric", "client", "time_s", "value"]
    return pl.DataFrame(rows, names, orient="row", infer_schema_length=None)


def change(frame: pl.DataFrame, system: str, column: str, value: float, rps: float | None = None) -> pl.DataFrame:
    here = pl.col("system") == system
    if rps is not None:
        here &= (pl.col("rps") - rps).abs() < 1e-6
    return frame.with_columns(pl.when(here).then(pl.lit(value)).otherwise(column).alias(column))


@pytest.mark.parametrize("model", ["llama", "qwen"])
@pytest.mark.parametrize("claim", ADASERVE)
def test_the_published_numbers_hold(claim, model):
    metrics = published_sweep().filter(pl.col("model") == model)
    assert judge_one(ADASERVE[claim], metrics).status == HOLDS


@pytest.mark.parametrize(
    ("claim", "system", "column", "value"),
    [
        ("C1", "vllm", "attainment_pct", 97.0),
        ("C1", "sarathi", "goodput_tokens_per_s", 900.0),
        ("C2", "vllm", "attainment_pct", 99.0),
        ("C3", "adaserve", "attainment_pct", 83.0),
        ("C4", "sarathi", "attainment_pct", 70.0),
        ("C4", "vllm", "goodput_tokens_per_s", 600.0),
        ("C5", "vllm-spec-8", "attainment_pct", 90.0),
    ],
)
def test_each_adaserve_claim_can_fail(claim, system, column, value):
    metrics = change(published_sweep().filter(pl.col("model") == "llama"), system, column, value)
    assert judge_one(ADASERVE[claim], metrics).status == FAILS


def test_goodput_that_falls_at_the_top_fails_c3():
    llama = published_sweep().filter(pl.col("model") == "llama")
    assert judge_one(ADASERVE["C3"], change(llama, "adaserve", "goodput_tokens_per_s", 800.0, 4.8)).status == FAILS


@pytest.mark.parametrize("claim", ["C2", "C3", "C4", "C5"])
def test_without_the_highest_rate_a_claim_is_not_judged(claim):
    metrics = published_sweep().filter((pl.col("model") == "qwen") & (pl.col("rps") < 4.1))
    found = judge_one(ADASERVE[claim], metrics)
    assert found.status == NOT_JUDGED
    assert "4.2" in found.ours


@pytest.mark.parametrize("claim", ADASERVE)
def test_without_a_baseline_or_points_no_crash(claim):
    metrics = published_sweep()
    assert judge_one(ADASERVE[claim], metrics.head(0)).status == NOT_JUDGED
    found = judge_one(ADASERVE[claim], metrics.filter((pl.col("system") == "adaserve") & (pl.col("model") == "llama")))
    assert found.status == (HOLDS if claim == "C3" else NOT_JUDGED)


@pytest.mark.parametrize("claim", VTC)
def test_vtc_claims_hold_for_flat_and_linear(claim):
    assert judge_one(VTC[claim], overload()).status == HOLDS


@pytest.mark.parametrize(
    ("claim", "frame"),
    [
        ("3a bound", overload(largest=40_001.0)),
        ("3a flat", overload(vtc=lambda t: 25 * t)),
        ("3a linear", overload(fcfs=lambda t: min(400 * t, 60_000))),
        ("3a ratio", overload(vtc=lambda t: 12_500.0)),
        ("3b equal", overload(totals=(379_000.0, 400_000.0))),
    ],
)
def test_each_vtc_claim_can_fail(claim, frame):
    assert judge_one(VTC[claim], frame).status == FAILS


@pytest.mark.parametrize("claim", VTC)
def test_vtc_claims_need_their_systems(claim):
    assert judge_one(VTC[claim], overload().head(0)).status == NOT_JUDGED


def test_judgements_tell_what_is_partial_and_quick_judges_nothing():
    metrics = change(published_sweep(), "adaserve", "attainment_pct", 50.0)
    whole = 6 * len(RATES["llama"])
    rows = judge(ADASERVE_CLAIMS, metrics, at({"llama": (12, whole), "qwen": (60, 60)}))
    assert {row.model: row.points for row in rows} == {"llama": "partial: 12 of 72 points", "qwen": ""}
    assert any_fails(rows)
    quick = judge(ADASERVE_CLAIMS, metrics, at({"llama": (12, whole)}), quick=True)
    assert {row.verdict for row in quick} == {NOT_JUDGED}
    assert not any_fails(quick)


def test_a_cause_is_told_where_the_claim_fails_and_nowhere_else():
    frame = pl.DataFrame({"model": ["a", "b", "c"], "good": [True, False, False]})
    claim = Claim("X", "all is good", {}, "none", lambda of: verdict(of.frame["good"][0], "-"), {"b": "because of b"})
    rows = judge([claim], frame, at(dict.fromkeys("abc", (1, 1))))
    assert [row.cause for row in rows] == ["", "because of b", ""]
    assert not any(row.cause for row in judge([claim], frame, at({"b": (1, 1)}), quick=True))


def test_a_page_counts_verdicts_and_tells_causes():
    frame = pl.DataFrame({"model": ["a", "b"], "good": [True, False]})
    claim = Claim("X", "a | b", {"a": "1"}, "none", lambda of: verdict(of.frame["good"][0], "2"), "for want of c")
    rows = judge([claim], frame, at(dict.fromkeys("ab", (1, 1))))
    page = claims_page([(find_figure(name), rows, "from there.") for name in ("fig8", "fig9")])
    assert "\n1 claims hold, 0 fail, 0 are unsure, 0 are not judged; 0 of 1 facts are as stated.\n" in page
    assert "| X | a | a / b | 1 | none | 2 | holds | 1 run |\n| X | b | a / b | - | none | 2 | fails (fact) | 1 run |" in page
    assert "Why X (b): for want of c" in page and "from there. Also those of adaserve/fig9." in page


def test_causes_are_printed_below_the_table_once_for_all_claims_that_share_one(capsys):
    frame = pl.DataFrame({"model": ["a", "b"]})
    claims = [Claim(name, "s", {}, "none", lambda rows: verdict(False, "-"), "one cause") for name in "XY"]
    Reporter().claims(find_figure("fig8"), judge(claims, frame, at(dict.fromkeys("ab", (1, 1)))), "source")
    assert "Why X (a), Y (a), X (b), Y (b) fail: one cause" in capsys.readouterr().out


def gone(_):
    return [][0]


@pytest.mark.parametrize("broken", [lambda of: verdict(1 / of.frame["value"][0] > 0, ""), gone,
                                    lambda of: verdict(None < 1, ""), lambda of: verdict(of.frame["none"][0] > 0, ""),
                                    lambda of: verdict(float("nan") > 0, "nan of 3")])
def test_a_claim_without_its_values_is_not_judged_and_says_which_are_missing(broken):
    frame = pl.DataFrame({"model": "a", "system": "vtc", "metric": "service_total", "value": [0.0]})
    (row,) = judge([Claim("X", "s", {"a": "1"}, "none", broken)], frame, at({"a": (1, 1)}))
    assert row.verdict == NOT_JUDGED and "needs" in row.ours and "vtc's service_total" in row.ours


def test_figure_3_where_nothing_was_served_is_not_judged():
    rows = judge(VTC_CLAIMS, overload(totals=(0.0, 0.0)), at({"llama": (1, 1)}))
    (equal,) = (row for row in rows if row.claim == "3b equal")
    assert equal.verdict == NOT_JUDGED and "vtc's service_total" in equal.ours


def test_what_has_no_published_value_or_is_given_counts_as_no_claim():
    frame = pl.DataFrame({"model": ["a"]})
    claims = [Claim("X", "s", {"a": "1"}, "none", lambda _: verdict(False, ""), given=given) for given in (True, False)]
    given, counted = judge(claims, frame, at({"a": (1, 1)}))
    (unpublished,) = judge(claims[1:], frame.with_columns(model=pl.lit("b")), at({"b": (1, 1)}))
    assert (given.fact, counted.fact, unpublished.fact) == (True, False, True)
    assert any_fails([counted]) and not any_fails([given, unpublished])


@pytest.mark.parametrize(("figure", "claim"), [("vtc/fig11", "11 skewed"), ("vtc/fig11", "11 bursty"),
                                               ("vtc/fig20", "20 means")])
def test_what_follows_from_the_workload_is_given(figure, claim):
    assert next(found for found in find_figure(figure).claims if found.id == claim).given
