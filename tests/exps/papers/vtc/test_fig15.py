"""VTC's Figure 15: the pool, the rates and the claims by axis value."""

from __future__ import annotations

import json

import polars as pl
import pytest

import cli
from exps.figures.claims import FAILS, HOLDS, NOT_JUDGED, judge_one
from exps.figures.figure import Options
from exps.papers.registry import find_figure
from exps.papers.vtc.fig15 import FIG15A, FIG15B, S4


def frame(metric: str, values: dict[float, float]) -> pl.DataFrame:
    rows = [("llama-13b", "vtc", x, metric, None, value) for x, value in values.items()]
    schema = {"model": pl.String, "system": pl.String, "x": pl.Float64, "metric": pl.String, "time_s": pl.Float64,
              "value": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def status(figure, claim: str, metrics: pl.DataFrame) -> str:
    return judge_one(next(item for item in figure.claims if item.id == claim), metrics).status


def test_the_pool_is_the_axis_of_one_and_fixed_in_the_other():
    assert [FIG15A.pool_at(x) for x in FIG15A.sweep.values[S4.name]] == [35_000, 65_000]
    assert {FIG15B.pool_at(x) for x in FIG15B.sweep.values[S4.name]} == {35_000}


@pytest.mark.parametrize(("name", "x", "counts", "tokens"), [
    ("vtc/fig15a", 35_000, (900, 1800), 512), ("vtc/fig15a", 65_000, (1200, 2400), 512),
    ("vtc/fig15b", 256, (1800, 3600), 256), ("vtc/fig15b", 512, (900, 1800), 512), ("vtc/fig15b", 768, (600, 1200), 768),
])
def test_rates_and_lengths_are_those_of_the_artifacts_suites(name, x, counts, tokens):
    made = find_figure(name).timetable(S4, float(x), Options())
    assert tuple(made["client"].value_counts().sort("client")["count"]) == counts
    assert (set(made["prompt_tokens"]), set(made["output_tokens"])) == ({tokens + 2}, {tokens})


@pytest.mark.parametrize(("large", "expected"), [(186.0, HOLDS), (120.0, FAILS), (300.0, FAILS)])
def test_the_difference_is_to_grow_as_the_pool_does(large, expected):
    assert status(FIG15A, "15a mean", frame("mean", {35_000.0: 100.0, 65_000.0: large})) == expected


@pytest.mark.parametrize(("at_256", "at_768", "expected"), [(60.0, 100.0, HOLDS), (110.0, 100.0, FAILS), (60.0, 150.0, FAILS)])
def test_the_difference_is_to_grow_with_the_length_until_it_fills_the_pool(at_256, at_768, expected):
    metrics = frame("largest", {256.0: at_256, 512.0: 100.0, 768.0: at_768})
    assert status(FIG15B, "15b largest", metrics) == expected
    assert status(FIG15B, "15b largest", metrics.head(2)) == NOT_JUDGED


def test_whole_runs_grow_with_the_pool_and_stay_below_the_bound(tmp_path, capsys):
    for name, holding in (("fig15a", {"15a mean", "15a largest"}), ("fig15b", {"15b since", "15b bound"})):
        assert cli.main(["run", f"vtc/{name}", "--results", str(tmp_path), "--jobs", "1"]) == 0
        capsys.readouterr()
        cli.main(["check", f"vtc/{name}", "--results", str(tmp_path), "--json"])
        (document,) = json.loads(capsys.readouterr().out)
        assert holding <= {row["claim"] for row in document["claims"] if row["verdict"] == HOLDS}
        assert len(list((tmp_path / "vtc" / name).glob("*.png"))) == 1
