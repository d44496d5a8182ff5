"""dLoRA's workload: lengths, arrivals, shares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exps.workload.dlora import MEAN_OUTPUT, MEAN_PROMPT, Load, arrivals, dlora_timetable, lengths

LOAD = Load("maf2", hours=6, adapters=8, rps=4.0, requests=2400, ranked=True)


def test_lengths_have_the_published_means():
    prompt, output = lengths(replace(LOAD, requests=200_000), np.random.default_rng(0))
    assert prompt.mean() == pytest.approx(MEAN_PROMPT, rel=0.02) and output.mean() == pytest.approx(MEAN_OUTPUT, rel=0.02)
    assert prompt.max() <= 1024 and (prompt + output).max() <= 2048 and min(prompt.min(), output.min()) >= 4


def test_a_ratio_lengthens_the_output_and_no_sum_beyond_the_longest():
    load = replace(LOAD, longest=4096)
    short = lengths(load, np.random.default_rng(0))
    long = lengths(replace(load, ratio=4.0), np.random.default_rng(0))
    assert (short[0] == long[0]).all() and (long[1] <= 4 * short[1]).all() and (long[0] + long[1]).max() <= 4096
    free = 4 * (short[0] + short[1]) <= 4096
    assert (long[1] == 4 * short[1])[free].all()


def test_requests_come_at_the_rate_with_the_shares_of_their_interval():
    shares = np.array([[0.7, 0.3, 0.0], [0.1, 0.4, 0.5]])
    load = Load("maf1", hours=2, adapters=3, rps=10.0, requests=20_000)
    arrival_s, adapter = arrivals(shares, load, seed=0)
    assert len(arrival_s) == 20_000 and (np.diff(arrival_s) >= 0).all()
    assert arrival_s[-1] == pytest.approx(2000, rel=0.05)
    for part, share in zip(np.split(adapter, 2), shares, strict=True):
        assert np.bincount(part, minlength=3) / 10_000 == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_gaps_of_an_adapter_have_the_cv(cv):
    load = Load("maf1", hours=1, adapters=2, rps=10.0, requests=20_000, cv=cv)
    arrival_s, adapter = arrivals(np.array([[0.5, 0.5]]), load, seed=0)
    gaps = np.diff(arrival_s[adapter == 0])
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.1)


def test_one_seed_for_all_adapters_aligns_their_arrivals():
    shares = np.array([[0.5, 0.5]])
    load = Load("maf1", hours=1, adapters=2, rps=10.0, requests=1000)
    aligned, adapter = arrivals(shares, replace(load, same_seed=True), seed=0)
    assert aligned[adapter == 0].tolist() == aligned[adapter == 1].tolist()
    own, adapter = arrivals(shares, load, seed=0)
    assert set(own[adapter == 0]).isdisjoint(own[adapter == 1])


def test_a_larger_stride_concentrates_requests_on_the_first_adapter():
    first = [
        (dlora_timetable(replace(LOAD, stride=stride), 0)["adapter"] == "adapter-000").mean() for stride in (4, 8, 16, 32)
    ]
    assert first == sorted(first) and first[-1] > first[0] + 0.1
    assert dlora_timetable(LOAD, 3).equals(dlora_timetable(LOAD, 3))
