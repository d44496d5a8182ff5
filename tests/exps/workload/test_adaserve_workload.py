from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.errors import InputError
from exps.workload.adaserve import evaluation_timetable
from exps.workload.adaserve_drawn import expected_until
from exps.workload.adaserve_loads import (
    AnswerLengths,
    Load,
    fluctuating,
    of_rate,
    of_slo_scale,
    of_urgent,
    overhead,
    requests_at,
)
from exps.workload.arrivals import index_of_dispersion

SHARED = Path(__file__).parents[4] / "shared" / "traces"
BASELINE_S = 0.03
SEEDS = range(12)


def test_neighbouring_rates_share_one_count():
    rates = (2.4, 2.6, 2.8, 3.0, 3.2, 3.4, 3.6, 3.8, 4.0, 4.2, 4.4, 4.6, 4.8)
    counts = [900, 900, 1000, 1100, 1200, 1200, 1300, 1400, 1400, 1500, 1600, 1700, 1700]
    assert [requests_at(rps) for rps in rates] == counts


def test_same_seed_same_timetable_other_seed_another():
    first = evaluation_timetable(of_rate(3.0), BASELINE_S, seed=1)
    assert first.equals(evaluation_timetable(of_rate(3.0), BASELINE_S, seed=1))
    assert not first.equals(evaluation_timetable(of_rate(3.0), BASELINE_S, seed=2))


def test_all_rates_take_one_sequence_of_requests():
    slow, fast = (evaluation_timetable(of_rate(rps), BASELINE_S, seed=0) for rps in (2.6, 4.8))
    same = ["client", "prompt_tokens", "output_tokens", "slo_tpot_s"]
    assert slow.select(same).equals(fast.head(slow.height).select(same))
    ratio = fast["arrival_s"].to_numpy()[1:900] / slow["arrival_s"].to_numpy()[1:]
    assert np.ptp(ratio) < 1e-9


def test_slo_of_each_category():
    frame = evaluation_timetable(of_rate(2.6), BASELINE_S, seed=0)
    slo = dict(frame.group_by("category").agg(pl.col("slo_tpot_s").unique().item()).iter_rows())
    assert slo == pytest.approx({"coding": 0.036, "chat": 0.05, "summarization": 0.15})


def test_quick_keeps_the_rate():
    frame = evaluation_timetable(of_rate(4.0), BASELINE_S, seed=0, duration_s=60.0)
    assert frame.height == 233
    assert frame["arrival_s"][-1] == pytest.approx(60.0)


def test_mix_and_lengths_follow_the_stated_statistics():
    frame = pl.concat(evaluation_timetable(of_rate(4.8), BASELINE_S, seed) for seed in SEEDS)
    parts = {str(name): part for (name,), part in frame.group_by("category")}
    shares = {name: part.height / frame.height for name, part in parts.items()}
    assert shares == pytest.approx({"coding": 0.6, "chat": 0.2, "summarization": 0.2}, abs=0.01)
    prompts = {name: part["prompt_tokens"].mean() for name, part in parts.items()}
    assert prompts == pytest.approx({"coding": 132.0, "chat": 18.0, "summarization": 776.0}, rel=0.05)
    assert frame["output_tokens"].mean() == pytest.approx(0.55 * 256 + 0.45 * 144, rel=0.01)


def test_answers_stay_between_shortest_and_cap():
    drawn = AnswerLengths(cap=64, shortest=60, at_cap=0.0).draw(1000, np.random.default_rng(0))
    assert set(drawn) == set(range(60, 65))


@pytest.mark.parametrize(("bin_s", "low", "high"), [(5, 1.8, 2.4), (10, 2.7, 3.8), (20, 4.5, 5.7)])
def test_burstiness_is_that_of_the_artifacts_traces(bin_s, low, high):
    """Index of dispersion of counts of the artifact's files of Figure 8, over all rates."""
    found = [
        index_of_dispersion(evaluation_timetable(of_rate(rps), BASELINE_S, seed)["arrival_s"].to_numpy(), bin_s, 360.0)
        for rps in (2.6, 4.0, 4.8)
        for seed in SEEDS
    ]
    assert low <= np.mean(found) <= high


def test_arrivals_start_slowly():
    """The artifact's files hold 0.31 and 0.29 to 0.61 of the mean rate in the first two 20 s."""
    arrivals = np.concatenate([evaluation_timetable(of_rate(4.0), BASELINE_S, seed)["arrival_s"].to_numpy() for seed in SEEDS])
    first, second = (np.mean((arrivals >= low) & (arrivals < low + 20)) * 18 for low in (0, 20))
    assert 0.25 < first < 0.45
    assert 0.4 < second < 0.7


def test_reads_traces_and_keeps_the_answers(tmp_path):
    path = tmp_path / "fig8_9_rps2.6_ol256.csv"
    path.write_text(
        "emission_time_ms,input_tokens,output_tokens,slo_ratio\n0,9,256,1.2\n1000,8,256,-50\n4000,7,256,-150\n"
    )
    frame = evaluation_timetable(of_rate(2.6), BASELINE_S, seed=0, traces=tmp_path)
    assert frame["arrival_s"].to_list() == [0.0, 1.0, 4.0]
    assert frame["client"].to_list() == ["coding", "chat", "summarization"]
    assert frame["output_tokens"].equals(evaluation_timetable(of_rate(2.6), BASELINE_S, seed=0)["output_tokens"].head(3))
    path.write_text("emission_time_ms,input_tokens,output_tokens,slo_ratio\n0,9,256,-70\n")
    with pytest.raises(InputError, match="slo_ratio -70"):
        evaluation_timetable(of_rate(2.6), BASELINE_S, seed=0, traces=tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the artifact's traces are not here")
def test_shared_traces_have_the_counts_and_arrivals_of_their_rate():
    for rps in (2.6, 4.0, 4.8):
        frame = evaluation_timetable(of_rate(rps), BASELINE_S, seed=0, traces=SHARED)
        assert frame.height == requests_at(rps)
        assert frame["arrival_s"][-1] == pytest.approx(360.0)
        assert 1.8 < index_of_dispersion(frame["arrival_s"].to_numpy(), 5, 360.0) < 2.45


@pytest.mark.parametrize("share", [0.1, 0.6, 0.9])
def test_the_share_of_urgent_requests_is_what_is_asked_for_and_the_others_halve_the_rest(share):
    frame = pl.concat(evaluation_timetable(of_urgent(share), BASELINE_S, seed) for seed in SEEDS)
    found = {name: part.height / frame.height for (name,), part in frame.group_by("category")}
    rest = (1 - share) / 2
    assert found == pytest.approx({"coding": share, "chat": rest, "summarization": rest}, abs=0.015)


def test_the_slo_scale_changes_the_slo_of_urgent_requests_alone():
    tight, loose = (evaluation_timetable(of_slo_scale(scale), BASELINE_S, seed=0) for scale in (0.6, 1.6))
    assert tight.drop("slo_tpot_s").equals(loose.drop("slo_tpot_s"))
    slo = dict(tight.group_by("category").agg(pl.col("slo_tpot_s").unique().item()).iter_rows())
    assert slo == pytest.approx({"coding": 0.018, "chat": 0.05, "summarization": 0.15})


def test_the_fluctuating_load_has_a_peak_a_category():
    frame = evaluation_timetable(fluctuating(), BASELINE_S, seed=0)
    assert 1400 < frame.height < 1480 and frame["arrival_s"].is_sorted()
    means = dict(frame.group_by("category").agg(pl.col("arrival_s").mean()).iter_rows())
    assert means == pytest.approx({"chat": 95.0, "coding": 180.0, "summarization": 265.0}, abs=12)
    assert expected_until(180.0, 180.0) == pytest.approx(expected_until(360.0, 180.0) / 2, rel=1e-3)


def test_each_load_names_the_artifacts_file():
    loads = (of_rate(2.6), of_urgent(0.2), of_slo_scale(1.0), fluctuating(), overhead())
    assert [(load.folder, load.file) for load in loads] == [
        ("fig8,9", "rps2.6_ol256"), ("fig10", "rps4.0_prop0.2"), ("fig11", "slo1.0_ol256"), ("fig14", "fluc_6m_peak4.0"),
        ("fig15", "rps3.6_ol128"),
    ]


@pytest.mark.parametrize("wrong", [{"urgent": 0.0}, {"urgent": 1.0}, {"slo_scale": 0.0}, {"slo_scale": 1000.0}])
def test_a_load_that_is_none_is_one_sentence(wrong):
    with pytest.raises(InputError, match="it must be above 0 and below"):
        Load(**wrong)


def test_an_answer_shorter_than_the_shortest_is_as_long_as_its_cap_allows():
    assert set(AnswerLengths(cap=4).draw(50, np.random.default_rng(0))) == {4}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the artifact's traces are not here")
def test_prompts_of_figure_14_are_characters_and_become_tokens():
    frame = evaluation_timetable(fluctuating(), BASELINE_S, seed=0, traces=SHARED)
    means = dict(frame.group_by("category").agg(pl.col("prompt_tokens").mean()).iter_rows())
    assert means == pytest.approx({"coding": 132.0, "chat": 18.0, "summarization": 776.0}, rel=0.06)
    assert frame.height == 1445
