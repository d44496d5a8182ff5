"""FairServe's causes: what each claim about a cause needs, and the workloads in which a cause is taken away."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from exps.figures.claims import FAILS, HOLDS, NOT_JUDGED, judge_one
from exps.figures.figure import Options
from exps.figures.published import read_published
from exps.papers.fairserve import cause_claims
from exps.papers.fairserve.cause_claims import BY_TOKEN, NO_APPS, UNPREFERRED, WL_ENDS
from exps.papers.fairserve.causes import EQUAL, ONE_APP, timetable
from exps.papers.fairserve.figures import FAIRSERVE_FIGURES
from exps.papers.fairserve.measures import OUTPUT, PRODUCED, UNSERVED
from exps.papers.fairserve.server import BURST, SERVER
from exps.papers.registry import find_figure

QUICK = Options(quick=True)


def verdicts(of: Any, metrics: pl.DataFrame) -> dict[str, str]:
    return {claim.id: judge_one(claim, metrics).status for claim in of}


def limits(**of_free: Any) -> pl.DataFrame:
    """FairServe hits light clients for their application; without applications' limits it hits three, or ``of_free``."""
    limited = {"worst_rank": 800, "slowest": 2.0, "mean_sent": 90.0, "aborted_requests": 60}
    free = {"worst_rank": 3, "slowest": 60.0, "mean_sent": 180.0, "aborted_requests": 0, **of_free}
    rows = {"fairserve": limited, NO_APPS: free, "rpm-interactions": {**free, "aborted_requests": 0}}
    return pl.DataFrame([{"model": "llama", "setting": "burst", "system": name, "limit": limit, **row}
                         for name, row in rows.items() for limit in (10.0, 50.0, 2000.0)])


def order(model: str = "burst", **values: float) -> pl.DataFrame:
    """Rates, clients without service and tokens produced by 60 and 300 s."""
    rates = {"vtc": 250.0, "fairserve": 230.0, BY_TOKEN: 240.0, UNPREFERRED: values.get("unpreferred", 249.0)}
    unserved = {"vtc": 0.0, "fairserve": 800.0, BY_TOKEN: 0.0, UNPREFERRED: values.get("left_out", 1.0)}
    produced = {"vtc": (12e3, 72e3), "fairserve": (values.get("early", 18e3), values.get("late", 72.5e3))}
    rows = [(name, OUTPUT, 100.0, rate) for name, rate in rates.items()]
    rows += [(name, UNSERVED, 100.0, clients) for name, clients in unserved.items()]
    rows += [(name, PRODUCED, at, tokens) for name, both in produced.items()
             for at, tokens in zip((60.0, 300.0), both, strict=True)]
    frame = pl.DataFrame(rows, ["system", "metric", "time_s", "value"], orient="row")
    return frame.with_columns(model=pl.lit("llama"), setting=pl.lit(model), traced=True)


def always(model: str, ending: float, plain: float, traced: bool = True) -> pl.DataFrame:
    """Aborted requests as shares of the published ones, with drops that end the pass and without."""
    theirs = read_published("fairserve", "ablation").filter(system="fs-fair-wsc-limit")
    rows = [theirs.select(pl.col("limit").cast(pl.Float64), pl.col("aborted_requests") * share, system=pl.lit(name))
            for name, share in ((WL_ENDS, ending), ("fs-fair-wsc-limit", plain))]
    return pl.concat(rows).with_columns(model=pl.lit("llama"), setting=pl.lit(model), traced=traced)


def test_each_cause_is_found_where_it_makes_the_difference() -> None:
    assert set(verdicts(cause_claims.LIMITS, limits()).values()) == {HOLDS}
    found = verdicts(cause_claims.ORDER, order())
    assert found == {"counters": HOLDS, "long answers": NOT_JUDGED, "order": HOLDS, "earlier": HOLDS}
    assert verdicts(cause_claims.ALWAYS, always("one-app", 0.95, 0.3)) == {"both": HOLDS, "either": HOLDS}
    assert verdicts(cause_claims.ALWAYS, always("paced", 0.3, 0.2)) == {"both": NOT_JUDGED, "either": HOLDS}


@pytest.mark.parametrize(
    ("claim", "values"),
    [
        ("senders", {"worst_rank": 20}),
        ("own limit", {"slowest": 40.0}),
        ("like VTC", {"aborted_requests": 1}),
        ("heavy", {"mean_sent": 100.0}),
    ],
)
def test_limits_of_applications_are_no_cause_where_dropping_them_changes_little(claim: str, values: dict[str, Any]) -> None:
    assert [name for name, status in verdicts(cause_claims.LIMITS, limits(**values)).items() if status == FAILS] == [claim]


@pytest.mark.parametrize(
    ("claim", "values"),
    [
        ("counters", {"left_out": 81.0}),
        ("order", {"unpreferred": 235.0}),
        ("earlier", {"early": 13e3}),
        ("earlier", {"late": 65e3}),
    ],
)
def test_the_order_of_service_is_no_cause_where_changing_it_changes_little(claim: str, values: dict[str, float]) -> None:
    assert verdicts(cause_claims.ORDER, order("burst", **values))[claim] == FAILS


def test_answers_of_equal_length_are_judged_where_they_are() -> None:
    assert verdicts(cause_claims.ORDER, order("equal-answers"))["long answers"] == FAILS
    like_vtc = order("equal-answers").with_columns(value=pl.when(pl.col("value") == 230.0).then(251.0).otherwise("value"))
    assert verdicts(cause_claims.ORDER, like_vtc)["long answers"] == HOLDS


def test_either_flaw_alone_must_not_explain_the_published_counts() -> None:
    assert verdicts(cause_claims.ALWAYS, always("one-app", 0.8, 0.6)) == {"both": FAILS, "either": FAILS}
    assert verdicts(cause_claims.ALWAYS, always("paced", 0.6, 0.2))["either"] == FAILS
    assert set(verdicts(cause_claims.ALWAYS, always("one-app", 0.95, 0.3, traced=False)).values()) == {NOT_JUDGED}


def test_without_its_points_no_cause_is_judged() -> None:
    for of, metrics in ((cause_claims.LIMITS, limits()), (cause_claims.ORDER, order()),
                        (cause_claims.ALWAYS, always("one-app", 0.95, 0.3))):
        assert set(verdicts(of, metrics.filter(system="none")).values()) == {NOT_JUDGED}


def test_a_cause_is_taken_away_and_all_else_stays() -> None:
    usual, one, equal = (timetable(replace(SERVER, setting=setting), 50.0, QUICK) for setting in (BURST, ONE_APP, EQUAL))
    assert one["app"].n_unique() == 1 < usual["app"].n_unique()
    assert one.drop("app").equals(usual.drop("app"))
    assert equal["output_tokens"].unique().to_list() == [round(usual["output_tokens"].mean())]  # type: ignore[arg-type]
    assert equal.drop("output_tokens").equals(usual.drop("output_tokens"))


def test_every_explanation_names_a_figure_that_there_is() -> None:
    causes = [str(claim.cause) for figure in FAIRSERVE_FIGURES for claim in figure.claims if claim.cause]
    named = [name for cause in causes for name in re.findall(r"run (\S+)", cause)]
    assert len(causes) == 7 and len(named) == 6
    assert {find_figure(name).id for name in named} == {f"fairserve/causes-{name}" for name in ("limits", "order", "always")}
