"""dLoRA's figures: what they fix follows from the profiles, and what was published keeps every claim made of it."""

from __future__ import annotations

import polars as pl
import pytest

from engine.executors.simulated.profiles import load_hardware, load_model
from exps.figures.claims import HOLDS, NOT_JUDGED, judge_one
from exps.figures.figure import Options, Record, Selection
from exps.figures.numbers import Numbers
from exps.papers.dlora.claims import knee
from exps.papers.dlora.fig9 import PANELS
from exps.papers.dlora.figures import DLORA_FIGURES
from exps.papers.dlora.measures import by_replica, off, over_axis, published
from exps.papers.dlora.setup import COPIES, DLORA, MEMORY, PEFT, Memory
from exps.papers.registry import FIGURES, expand
from exps.run.plan import setup_of
from exps.run.simulation import simulate

SHARE, PEAK_BYTES, SWAP_BYTES = 0.9, 1e9, 16 * 2**30
KEPT = {"fig2b": "fig2b", "fig9a": "fig9a", "fig10a": "fig10", "fig10b": "fig10", "fig11b": "fig11b", "fig12": "fig12",
        "fig13": "fig13"}
"""Figures all of whose claims can be judged by their published values, and the file of these."""


@pytest.mark.parametrize("platform", MEMORY, ids=lambda platform: platform.name)
def test_memory_is_what_the_profiles_leave(platform):
    model, (device, gpus) = load_model(platform.model), load_hardware(platform.hardware)
    free = gpus * (SHARE * device.memory_bytes - PEAK_BYTES) - model.weight_bytes
    copies = 4 if platform.model == "llama-2-7b" else 2
    tokens = [int(size / model.kv_bytes_per_token) for size in (free, SWAP_BYTES)]
    assert MEMORY[platform] == Memory(*tokens, copies)
    assert free > (copies - 1) * model.weight_bytes


@pytest.mark.parametrize(("figure", "file"), KEPT.items())
def test_the_published_values_keep_the_claims(figure, file):
    metrics = published(file).with_columns(model=pl.lit("llama-7b"), setting=pl.lit(""))
    for claim in FIGURES[f"dlora/{figure}"].claims:
        assert judge_one(claim, metrics).status == HOLDS, claim.id


def test_the_published_delays_keep_the_order():
    metrics = published("fig11a").with_columns(model=pl.lit("llama-7b"), setting=pl.lit(""))
    statuses = {claim.id: judge_one(claim, metrics).status for claim in FIGURES["dlora/fig11a"].claims}
    assert statuses == {"3 RR": NOT_JUDGED, "3 proactive": HOLDS, "3 alike": HOLDS}


def test_knees_of_the_published_latencies():
    numbers = Numbers(published("fig9a"))
    assert [round(knee(numbers, system), 1) for system in (COPIES, PEFT, DLORA)] == [7.6, 5.4, 61.8]
    below = Numbers(pl.DataFrame({"system": "x", "rps": [1.0, 2.0], "mean_s_per_token": [0.1, 0.2]}))
    above = Numbers(pl.DataFrame({"system": "x", "rps": [1.0, 2.0], "mean_s_per_token": [0.6, 0.7]}))
    assert (knee(below, "x"), knee(above, "x")) == (2.0, 1.0)


def test_a_figure_runs_each_system_at_its_own_rates():
    points, _ = expand(FIGURES["dlora/fig9a"], Selection(), Options())
    rates = {system: tuple(point.x for point in points if point.system == system) for system in PANELS["a"][2]}
    assert rates == PANELS["a"][2] and len(points) == FIGURES["dlora/fig9a"].size(points[0].platform)
    added, _ = expand(FIGURES["dlora/fig9a"], Selection(added=("merged-only",)), Options())
    assert sum(point.system == "merged-only" for point in added) == len(FIGURES["dlora/fig9a"].sweep.values["llama-7b"])


def record(name: str, system: str, x: float) -> Record:
    """A quick point."""
    figure, options = FIGURES[f"dlora/{name}"], Options(quick=True)
    points, options = expand(figure, Selection(systems=(system,), at=(x,)), options)
    found = simulate(figure.timetable(points[0].platform, x, options), setup_of(points[0], options))
    return Record(points[0], found.requests, found.steps, {"facts": found.facts})


def test_waiting_and_execution_make_up_the_latency():
    of_fleet = record("fig11a", DLORA, 12.0)
    done = of_fleet.requests
    latency, computed = done["finished_s"] - done["arrival_s"], done["computed_s"]
    assert (computed > 0).all() and (latency - computed > -1e-9).all()
    (row,) = over_axis([of_fleet]).to_dicts()
    assert row["queueing_s_per_token"] == pytest.approx(((latency - computed) / done["output_tokens"]).mean())
    assert row["mean_s_per_token"] == pytest.approx((latency / done["output_tokens"]).mean())
    assert 0 < row["adjust_s"] < row["total_s"] and row["solver_s"] >= 0
    assert set(done["replica"]) == set(range(8))


def test_each_replica_has_its_share_of_queueing():
    shares = by_replica([record("fig2b", COPIES, 3.0)])
    assert shares["replica"].to_list() == sorted(shares["replica"]) and shares["queueing_share_pct"].is_between(0, 100).all()


def test_the_distance_to_the_published_values_is_in_per_cent():
    ours = published("fig10").with_columns(mean_s_per_token=2 * pl.col("mean_s_per_token"))
    assert off(ours, "fig10", "stride", "mean_s_per_token")["off_pct"].to_list() == pytest.approx([100.0] * 12)


def test_adapters_have_the_published_size():
    assert 2 * load_model("llama-2-7b").adapter_parameters(16) == 100_925_440


def test_every_panel_of_figure_9_is_there():
    assert [figure.id for figure in DLORA_FIGURES if "fig9" in figure.id] == [f"dlora/fig9{letter}" for letter in "abcdef"]
