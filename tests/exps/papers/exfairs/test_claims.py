"""Claims of ExFairS on frames made by hand."""

from __future__ import annotations

from itertools import product

import polars as pl
import pytest

from exps.figures.claims import FAILS, HOLDS, NOT_JUDGED, judge_one
from exps.papers.exfairs.claims import scenario_claims
from exps.papers.exfairs.setup import BASELINES, CONTINUOUS, EXFAIRS, FCFS, PENALIZED, SLO_ONLY, VTC
from exps.papers.exfairs.sweep_claims import ABLATION_CLAIMS, ALPHA_CLAIMS, LOAD_CLAIMS, SLO_CLAIMS

SUBMITTED = 1_000


def run(axis, x, system, violations, **more):
    share = violations / SUBMITTED
    fixed = {
        "violation_share": share, "submitted": SUBMITTED, "violations": violations, "jain_experience": 1 - share,
        "tokens_per_s": 100.0, "timely_per_s": 2.0, "goodput_rps": 3 * (1 - share), "exchanged": 4, "needless": 0,
    }
    return {"model": "m", "system": system, axis: float(x), **fixed, **more}


def verdicts(claims, rows, id):
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return judge_one(next(claim for claim in claims if claim.id == id), frame)


def scenario(own, others, **more):
    rows = [run("scenario", 1, system, violations) for system, violations in zip(BASELINES, others, strict=True)]
    rows += [run("scenario", 1, system, own, **more) for system in (EXFAIRS, CONTINUOUS)]
    return [{**row, "client": None, "round": None} for row in rows] + [
        {**run("scenario", 1, EXFAIRS, 1_000), "client": None, "round": 0},
        {**run("scenario", 1, EXFAIRS, 1_000), "client": "a", "round": 0},
    ]


@pytest.mark.parametrize(
    ("own", "others", "status"),
    [
        (490, (500, 600, 700), HOLDS),
        (491, (500, 600, 700), FAILS),
        (300, (700, 600, 309), FAILS),
        (500, (400, 900, 900), FAILS),
    ],
)
def test_fewer_violations_than_every_baseline_by_a_point(own, others, status):
    claims = scenario_claims(["dec-1"])
    for id in ("1 dec-1", "1 continuous"):
        assert verdicts(claims, scenario(own, others), id).status == status
    ours = verdicts(claims, scenario(own, others), "1 dec-1").ours
    assert all(f"{count}" in ours for count in (own, *others))


def test_a_claim_without_its_runs_is_not_judged():
    claims = scenario_claims(["dec-1", "dec-2"])
    rows = [row for row in scenario(1, (2, 2, 2)) if row["system"] != VTC]
    for id in ("1 dec-1", "1 dec-2", "1 continuous", "2 ExFairS", "2 not traded off", "3 ExFairS"):
        assert verdicts(claims, rows, id).status == NOT_JUDGED


@pytest.mark.parametrize(
    ("id", "more", "status"),
    [
        ("1 zero", {}, FAILS),
        ("2 ExFairS", {"tokens_per_s": 112.0}, HOLDS), ("2 ExFairS", {"tokens_per_s": 105.0}, FAILS),
        ("2 not traded off", {"tokens_per_s": 99.1}, HOLDS), ("2 not traded off", {"tokens_per_s": 98.0}, FAILS),
        ("3 ExFairS", {"jain_experience": 0.6}, HOLDS), ("3 ExFairS", {"jain_experience": 0.48}, FAILS),
        ("3 ExFairS", {"jain_experience": 1.0, "violation_share": 1.0}, FAILS),
        ("4 ExFairS", {}, HOLDS), ("4 ExFairS", {"needless": 1}, FAILS),
    ],
)
def test_the_other_claims_on_scenarios(id, more, status):
    assert verdicts(scenario_claims(["dec-1"]), scenario(400, (500, 500, 500), **more), id).status == status


def test_a_scenario_without_violations_reaches_zero():
    assert verdicts(scenario_claims(["dec-1"]), scenario(0, (0, 5, 9)), "1 zero").status == HOLDS


def sweep(axis, own, others, form=EXFAIRS):
    """Violations of a form and of every baseline by x."""
    rows = [run(axis, x, form, violations) for x, violations in own.items()]
    return rows + [run(axis, x, system, violations) for (x, violations), system in product(others.items(), BASELINES)]


def test_where_everybody_or_nobody_violates_no_order_is_judged():
    others = {0.5: 990, 1.0: 500, 2.0: 300, 3.0: 10}
    for own, status in (({0.5: 990, 1.0: 400, 2.0: 200, 3.0: 10}, HOLDS), ({0.5: 0, 1.0: 400, 2.0: 300, 3.0: 0}, FAILS)):
        assert verdicts(SLO_CLAIMS, sweep("slo_scale", own, others), "1 ExFairS").status == status


@pytest.mark.parametrize(
    ("own", "status"),
    [
        ({0.5: 0, 0.8: 400, 1.0: 990}, HOLDS), ({0.5: 0, 0.8: 495, 1.0: 1_000}, FAILS), ({0.5: 0, 0.8: 400, 1.0: 900}, FAILS),
        ({0.5: 0, 0.8: 400}, NOT_JUDGED),
    ],
)
def test_the_benefit_vanishes_at_both_ends(own, status):
    rows = sweep("load", own, {0.5: 0, 0.8: 500, 1.0: 1_000})
    assert verdicts(LOAD_CLAIMS, rows, "6 ExFairS").status == status


@pytest.mark.parametrize(
    ("own", "status"),
    [({0.0: 300, 0.5: 200, 1.0: 250}, HOLDS), ({0.0: 300, 0.5: 245, 1.0: 250}, FAILS), ({0.0: 1}, NOT_JUDGED)],
)
def test_alpha_is_best_in_the_middle(own, status):
    assert verdicts(ALPHA_CLAIMS, sweep("alpha", own, {}), "5 ExFairS").status == status


def test_the_ablation_judges_every_form_beside_the_baselines():
    others = [run("load", 0.8, SLO_ONLY, 600, needless=3), run("load", 0.8, EXFAIRS, 600)]
    rows = [*sweep("load", {0.8: 300}, {0.8: 500}, PENALIZED), *others]
    found = {claim.id: judge_one(claim, pl.DataFrame(rows)).status for claim in ABLATION_CLAIMS}
    assert (found["1 ExFairS"], found["1 ExFairS, 1 - share"]) == (FAILS, HOLDS)
    assert (found["3 ExFairS"], found["3 ExFairS, 1 - share"]) == (FAILS, HOLDS)
    assert (found["4 ExFairS"], found["4 ExFairS, SLO alone"]) == (HOLDS, FAILS)
    assert found["1 ExFairS, half as far"] == NOT_JUDGED
    faster = [claim for claim in ABLATION_CLAIMS if claim.id.startswith("2 ExFairS, 1 - share")]
    timely, within_slo = (judge_one(claim, pl.DataFrame(rows)) for claim in faster)
    assert (timely.status, within_slo.status) == (FAILS, HOLDS) and "+40.0 %" in within_slo.ours


def test_claims_have_a_name_of_their_own():
    for claims in (scenario_claims(["dec-1", "dec-2"]), SLO_CLAIMS, LOAD_CLAIMS, ALPHA_CLAIMS, ABLATION_CLAIMS):
        assert len({claim.id for claim in claims}) == len(claims)
    assert FCFS in BASELINES
