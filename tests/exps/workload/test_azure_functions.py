"""The popularity of Azure's functions: drawn with the published statistics, and read from the original files."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from engine.errors import InputError
from exps.workload.azure_functions import (
    FILE_2019,
    FILE_2021,
    MAF1,
    MAF2,
    MINUTES,
    draw_calls,
    draw_days,
    read_2019,
    read_2021,
    shares_of,
)


def top_share(calls, part):
    ranked = np.sort(calls)[::-1]
    return ranked[: round(part * len(ranked))].sum() / ranked.sum()


def test_drawn_popularity_has_the_published_skew():
    day = draw_calls(MAF1, 1, MINUTES, seed=0)[0]
    assert top_share(day, 0.186) == pytest.approx(0.996, abs=0.003)
    assert (day <= MINUTES).mean() == pytest.approx(0.81, abs=0.02)
    assert (day <= 24).mean() == pytest.approx(0.45, abs=0.1)
    two_weeks = draw_calls(MAF2, 336, 60, seed=0).sum(axis=0)
    assert two_weeks.sum() == pytest.approx(1_980_951, rel=0.15)
    assert top_share(two_weeks, 136 / 424) == pytest.approx(0.995, abs=0.004)


def test_drawn_functions_of_2021_come_and_go_by_the_hour():
    busy = draw_calls(MAF2, 336, 60, seed=1)
    busy = busy[:, np.argsort(-busy.sum(axis=0))[:10]]
    assert (busy > 0).mean() == pytest.approx(0.43, abs=0.05)


def test_days_go_up_and_down():
    bins = draw_days(3, 36, seed=0)
    assert len(bins) == 108 and bins.min() / bins.max() == pytest.approx(0.68, abs=0.02)


def test_blocks_of_functions_make_adapters():
    calls = np.array([[5.0, 1, 0, 9, 3], [1, 1, 0, 1, 1]])
    unsorted = shares_of(calls, 2, 1, ranked=False)
    assert unsorted[0].tolist() == [(5 + 9) / 18, (1 + 3) / 18]
    ranked = shares_of(calls, 2, 2, ranked=True)
    assert ranked[0].tolist() == [(9 + 5) / 18, (3 + 1) / 18]


def test_an_hour_without_a_call_has_the_shares_of_all():
    shares = shares_of(np.array([[3.0, 1], [0, 0]]), 2, 1, ranked=False)
    assert shares[1].tolist() == [0.75, 0.25]
    with pytest.raises(InputError, match="no call in this window"):
        shares_of(np.zeros((2, 3)), 2, 1, ranked=False)


def test_the_trace_of_2019_is_read_over_days(tmp_path):
    for day, counts in ((1, {"f": 2, "g": 1}), (2, {"g": 4, "h": 7})):
        minutes = {str(minute + 1): list(counts.values()) for minute in range(MINUTES)}
        names = [f"app-{name}" for name in counts]
        table = {"HashOwner": names, "HashApp": names, "HashFunction": list(counts), "Trigger": names, **minutes}
        pl.DataFrame(table).write_csv(tmp_path / FILE_2019.format(day))
    assert read_2019(tmp_path, 0, 2, 60).tolist() == [[120.0, 60.0], [120.0, 60.0]]
    across = read_2019(tmp_path, MINUTES - 60, 2, 60)
    assert sorted(map(tuple, across.T.tolist())) == [(0.0, 420.0), (60.0, 240.0), (120.0, 0.0)]
    with pytest.raises(InputError, match=r"d03\.csv does not exist; give the folder"):
        read_2019(tmp_path, 2 * MINUTES, 1, 60)


def test_the_trace_of_2021_is_counted_by_the_hour(tmp_path):
    rows = "app,func,end_timestamp,duration\na,f,10,1\na,f,3700,1\nb,f,20,1\na,f,999999,1\n"
    (tmp_path / FILE_2021).write_text(rows)
    assert read_2021(tmp_path, 0, 2, 60).tolist() == [[1.0, 1.0], [1.0, 0.0]]
    (tmp_path / FILE_2021).write_text("app,func\na,f\n")
    with pytest.raises(InputError, match="line 1: column end_timestamp is missing"):
        read_2021(tmp_path, 0, 2, 60)
