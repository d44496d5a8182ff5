from dataclasses import replace
from itertools import cycle

import numpy as np
import polars as pl
import pytest

from engine.errors import InputError
from exps.workload.exfairs import CONTEXT, LONG, SCENARIOS, SHORT, Scenario, rounds_timetable

TABLE = {
    "early-1": ("SSLL", [50] * 4, [20, 20, 30, 30]),
    "early-2": ("SSLL", [10, 10, 90, 90], [20]),
    "early-3": ("MMMM", [20, 20, 40, 40], [15, 20, 15, 20]),
    "early-4": ("M" * 8, [10, 10, 20, 20, 30, 30, 20, 20], [10, 15, 20, 25, 10, 15, 20, 25]),
    "early-5": ("M" * 20, [5, 8, 12, 15], [5, 8, 10, 12, 15, 20]),
    "early-6": ("M" * 50, [4], [8, 10, 12, 15, 20]),
    "dec-1": ("SSLL", [32] * 4, [17, 19, 20, 24]),
    "dec-2": ("SSLL", [32] * 4, [16, 16, 18, 18]),
    "dec-3": ("SSLLLL", [24, 24, 20, 20, 20, 20], [17, 18, 19, 19, 21, 21]),
    "dec-4": ("M" * 8, [8] * 4 + [24] * 4, [14, 14, 15, 15, 17, 17, 19, 19]),
    "dec-5": ("M" * 10, [8, 10, 12, 12, 12, 12, 14, 14, 16, 18], [13, 14, 15, 16, 17, 18, 19]),
}
SMALL = replace(SCENARIOS["early-3"], rounds=3)


@pytest.mark.parametrize("name", TABLE)
def test_a_scenario_is_that_of_the_artifacts_file(name):
    kinds, qpm, slo = TABLE[name]
    expected = list(zip(kinds, cycle(qpm), cycle(slo)))
    assert [(client.kind[0].upper(), client.qpm, client.slo_s) for client in SCENARIOS[name].clients] == expected


def test_all_scenarios_share_rounds_and_the_last_set_its_total_rate():
    assert set(SCENARIOS) == set(TABLE)
    for name, scenario in SCENARIOS.items():
        assert (scenario.rounds, scenario.round_s, scenario.sleep_s, scenario.buffer_ratio) == (10, 100.0, 5.0, 0.2)
        assert scenario.distribution == "normal"
        if name.startswith("dec"):
            assert sum(client.qpm for client in scenario.clients) == 128


def test_clients_are_named_by_kind_and_place():
    assert SCENARIOS["dec-1"].names == ["short_0", "short_1", "long_2", "long_3"]


@pytest.mark.parametrize("distribution", ["normal", "poisson", "fixed"])
@pytest.mark.parametrize(("buffer_ratio", "silent_from"), [(0.2, 80.0), (0.9, 50.0), (0.0, 100.0)])
def test_each_round_sends_its_requests_before_its_buffer(distribution, buffer_ratio, silent_from):
    frame = rounds_timetable(replace(SMALL, distribution=distribution, buffer_ratio=buffer_ratio), seed=1)
    number, within = np.divmod(frame["arrival_s"].to_numpy(), SMALL.period_s)
    assert within.max() <= silent_from + 1e-9
    counts = frame.with_columns(round=pl.Series(number)).group_by("client", "round").len()
    assert counts.height == 4 * 3
    expected = dict(zip(SMALL.names, (33, 33, 66, 66), strict=True))
    assert all(count == expected[client] for client, _, count in counts.iter_rows())


@pytest.mark.parametrize(("distribution", "variation"), [("poisson", 1.0), ("normal", 0.3), ("fixed", 0.0)])
def test_gaps_vary_as_their_distribution(distribution, variation):
    """Before the compression: mean 60 / qpm, and a coefficient of variation of 1, 0.3 or 0."""
    busy = Scenario((replace(SMALL.clients[0], qpm=1200.0),), rounds=1, buffer_ratio=0.0, distribution=distribution)
    gaps = np.diff(rounds_timetable(busy)["arrival_s"].to_numpy())
    assert gaps.mean() == pytest.approx(60 / 1200, rel=0.06)
    assert gaps.std() / gaps.mean() == pytest.approx(variation, abs=0.06)


def test_fixed_gaps_are_compressed_by_the_buffer():
    frame = rounds_timetable(replace(SMALL, distribution="fixed", rounds=1)).filter(client="mix_0")
    assert np.diff(frame["arrival_s"].to_numpy()) == pytest.approx(3.0 * 0.8)


def test_a_request_has_its_clients_slo_and_kind():
    frame = rounds_timetable(SCENARIOS["dec-1"], slo_scale=0.5)
    rows = frame.select("client", "category", "slo_s").unique().sort("client").rows()
    assert rows == [("long_2", "long", 10.0), ("long_3", "long", 12.0), ("short_0", "short", 8.5), ("short_1", "short", 9.5)]


def test_same_seed_same_timetable_other_seed_another():
    first = rounds_timetable(SMALL, seed=1)
    assert first.equals(rounds_timetable(SMALL, seed=1))
    assert not first.equals(rounds_timetable(SMALL, seed=2))


def test_a_clients_requests_keep_their_lengths_at_any_load_and_slo_and_beside_anyone():
    lengths = ["client", "category", "prompt_tokens", "output_tokens"]
    full = rounds_timetable(SMALL).filter(client="mix_1")
    half = rounds_timetable(SMALL, load=0.5, slo_scale=2.0).filter(client="mix_1")
    pair = rounds_timetable(replace(SMALL, clients=SMALL.clients[:2])).filter(client="mix_1")
    assert half.height == 3 * 16
    assert half.select(lengths).equals(full.head(half.height).select(lengths))
    assert pair.equals(full)


def test_short_prompts_have_the_artifacts_statistics():
    characters = 4 * SHORT.draw(np.random.default_rng(0), 200_000)
    assert np.median(characters) == pytest.approx(224.5, rel=0.02)
    assert characters.mean() == pytest.approx(789, rel=0.02)
    assert (characters.min(), characters.max()) == (2, 10_096)


def test_long_prompts_are_cut_to_the_context_and_answers_to_the_cap():
    frame = rounds_timetable(SCENARIOS["early-1"])
    prompt = {str(name): part["prompt_tokens"] for (name,), part in frame.group_by("category")}
    assert prompt["long"].max() == CONTEXT - 256
    assert 0.1 < (prompt["long"] == CONTEXT - 256).mean() < 0.3
    assert prompt["long"].min() >= LONG.shortest and prompt["short"].max() <= 10_096 / 4
    assert frame["output_tokens"].min() >= 16 and frame["output_tokens"].max() == 256
    small = rounds_timetable(replace(SCENARIOS["early-1"], output_cap=20), context=512)
    assert small["prompt_tokens"].max() == 492 and small["output_tokens"].max() == 20


def test_a_mix_sends_both_kinds_alike():
    prompt = rounds_timetable(SCENARIOS["early-5"])["prompt_tokens"]
    assert 0.35 < (prompt > 2_000).mean() < 0.5


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"context": 256}, "no room"),
        ({"load": 0.001}, "nobody sends"),
        ({"scenario": replace(SMALL, distribution="x")}, "'x'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, fault):
    with pytest.raises(InputError, match=fault):
        rounds_timetable(**{"scenario": SMALL, **options})
