"""FairServe's claims: what makes each hold, and what makes it fail."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from exps.figures.claims import FAILS, HOLDS, NOT_JUDGED, judge_one
from exps.figures.published import read_published
from exps.papers.fairserve import claims, suite_claims

LIMITS = (10, 50, 100, 500)


def published(name: str) -> pl.DataFrame:
    """The published table in the form of ours; a system without a limit has its value at each."""
    table = read_published("fairserve", name)
    everywhere = table.filter(pl.col("limit").is_null()).drop("limit").join(pl.DataFrame({"limit": LIMITS}), how="cross")
    known = table.drop_nulls("limit").filter(pl.col("system") != "fs-fair-wsc-expect")
    wsc = table.filter(system="fs-fair-wsc-expect").drop("limit").join(pl.DataFrame({"limit": LIMITS}), how="cross")
    frame = pl.concat([known, everywhere.select(table.columns), wsc.select(table.columns)])
    ranks = pl.when(pl.col("system") == "rpm-interactions").then(60).otherwise(3)
    frame = frame.with_columns(model=pl.lit("llama"), setting=pl.lit("paced"))
    return frame.with_columns(worst_rank=ranks, traced=True, most_sent=1432, app_sent=3740,
                              limit=pl.col("limit").cast(pl.Float64))


def verdicts(of: Any, metrics: pl.DataFrame) -> dict[str, str]:
    return {claim.id: judge_one(claim, metrics).status for claim in of}


def changed(metrics: pl.DataFrame, system: str, limit: float, **values: Any) -> pl.DataFrame:
    there = (pl.col("system") == system) & (pl.col("limit") == limit)
    new = (pl.when(there).then(pl.lit(value)).otherwise(name).alias(name) for name, value in values.items())
    return metrics.with_columns(new)


def test_every_claim_holds_on_the_artifacts_own_numbers() -> None:
    assert set(verdicts(claims.TABLE1, published("table1")).values()) == {HOLDS}
    assert set(verdicts(claims.ABLATION, published("ablation")).values()) == {HOLDS}


@pytest.mark.parametrize(
    ("claim", "system", "limit", "values"),
    [
        ("1 interactions", "fairserve", 50.0, {"aborted_interactions": 151}),
        ("2 no waste", "fairserve", 500.0, {"wasted_prompt_tokens": 1}),
        ("2 no waste", "fairserve", 10.0, {"partly_served": 1}),
        ("2 RPM wastes", "rpm-interactions", 100.0, {"wasted_prompt_tokens": 40_000}),
        ("3 senders", "fairserve", 50.0, {"worst_rank": 11}),
        ("3 senders", "rpm-interactions", 10.0, {"worst_rank": 9}),
        ("4 like VTC", "fairserve", 500.0, {"aborted_requests": 1}),
        ("6 throughput", "fairserve", 100.0, {"requests_per_s": 22.5}),
        ("6 decode", "rpm-interactions", 10.0, {"output_tokens_per_s": 264.0}),
        ("table RPM", "rpm-interactions", 50.0, {"aborted_interactions": 1200}),
        ("table FairServe", "fairserve", 50.0, {"aborted_interactions": 90}),
        ("table rate", "fairserve", 50.0, {"requests_per_s": 21.0}),
    ],
)
def test_each_claim_fails_on_numbers_that_contradict_it(claim: str, system: str, limit: float, values: dict[str, Any]) -> None:
    found = verdicts(claims.TABLE1, changed(published("table1"), system, limit, **values))
    assert found[claim] == FAILS


@pytest.mark.parametrize(
    ("claim", "system", "values"),
    [
        ("2 any call", "fs-fair-odt-wsc-limit", {"wasted_prompt_tokens": 0}),
        ("2 any call", "fs-fair-odt-wsc-limit", {"wasted_prompt_tokens": 68}),
        ("nothing aborted", "fs-fair-interaction-limit", {"aborted_requests": 2}),
        ("W+L", "fs-fair-wsc-limit", {"aborted_requests": 3000}),
    ],
)
def test_each_claim_of_the_ablation_fails_too(claim: str, system: str, values: dict[str, Any]) -> None:
    assert verdicts(claims.ABLATION, changed(published("ablation"), system, 50.0, **values))[claim] == FAILS


def test_magnitudes_are_judged_on_the_paced_server_and_the_trace_alone() -> None:
    for column, value in (("setting", "burst"), ("traced", False)):
        found = verdicts(claims.TABLE1, published("table1").with_columns(pl.lit(value).alias(column)))
        assert {found[name] for name in ("table RPM", "table FairServe", "table rate")} == {NOT_JUDGED}
        assert found["1 interactions"] == HOLDS


def test_without_its_points_no_claim_is_judged() -> None:
    for of in (claims.TABLE1, claims.ABLATION):
        assert set(verdicts(of, published("table1").filter(system="none")).values()) == {NOT_JUDGED}


def two(**values: float) -> pl.DataFrame:
    """FairServe, VTC, RPM and FS (W+L) at 1 and 24 requests a second."""
    systems = ("fairserve", "vtc", "rpm-interactions", "fs-fair-wsc-limit", suite_claims.UNPREFERRED)
    service = {"weighted_1": 4800.0, "weighted_2": 1200.0, "normalised_1": 6.0, "normalised_2": 6.3}
    row = {"aborted_requests": 0, **service, **values}
    aborted = {"rpm-interactions": 40, "fs-fair-wsc-limit": 42}
    rows = [{"system": name, "rps": rps, **row, **({"aborted_requests": aborted[name]} if name in aborted else {})}
            for name in systems for rps in (1.0, 24.0)]
    return pl.DataFrame(rows)


def test_overloaded_clients_have_equal_service_or_all_they_ask_for() -> None:
    assert set(verdicts(suite_claims.OVERLOAD2, two()).values()) == {HOLDS}
    assert verdicts(suite_claims.OVERLOAD2, two(normalised_2=5.0))["7 normalised"] == FAILS
    assert verdicts(suite_claims.OVERLOAD2, two(weighted_2=800.0))["7 weighted"] == FAILS
    assert verdicts(suite_claims.OVERLOAD2, two(aborted_requests=1))["5 no overload"] == FAILS
