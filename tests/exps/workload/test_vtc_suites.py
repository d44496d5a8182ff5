"""VTC's suites: who sends when."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from exps.workload.vtc import Client, increase_timetable, on_off_timetable, poisson_timetable, shift_timetable


def arrivals(frame: pl.DataFrame, client: str) -> np.ndarray:
    return frame.filter(pl.col("client") == client)["arrival_s"].to_numpy()


def test_client_1_is_silent_in_every_second_minute_and_client_2_never() -> None:
    frame = on_off_timetable((0.5, 2.0), duration_s=600.0)
    first, second = arrivals(frame, "client-1"), arrivals(frame, "client-2")
    assert set((first // 60).astype(int) % 2) == {0} and first.size == 150
    assert second.size == 1200 and set((second // 60).astype(int)) == set(range(10))


def test_short_and_long_requests_come_in_the_ratio_of_their_rates() -> None:
    shapes = [Client("client-1", 8.0, 64, 64), Client("client-2", 1.5, 256, 256)]
    frame = poisson_timetable(shapes, 600.0, seed=3)
    counts = [arrivals(frame, client.name).size for client in shapes]
    assert counts[0] == pytest.approx(4800, rel=0.05) and counts[1] == pytest.approx(900, rel=0.1)
    gaps = np.diff(frame["arrival_s"].to_numpy())
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.05)
    assert frame.filter(pl.col("client") == "client-2")["prompt_tokens"].unique().to_list() == [256]
    assert frame["arrival_s"].max() < 600.0


def test_the_rate_of_client_2_rises_from_a_fifth_to_two_a_second() -> None:
    frame = increase_timetable(duration_s=600.0)
    steady, rising = arrivals(frame, "client-1"), arrivals(frame, "client-2")
    assert steady.size == 300 and np.allclose(np.diff(steady), 2.0)
    assert rising.size == pytest.approx(660, abs=2)
    assert np.diff(rising)[0] == pytest.approx(5.0) and np.diff(rising)[-1] == pytest.approx(0.5, abs=0.01)


def test_the_rates_shift_with_each_third() -> None:
    frame = shift_timetable(duration_s=900.0)
    per_phase = [
        [int(((times >= begin) & (times < begin + 300)).sum()) for begin in (0, 300, 600)]
        for times in (arrivals(frame, "client-1"), arrivals(frame, "client-2"))
    ]
    assert per_phase == [[90, 300, 150], [600, 300, 450]]


@pytest.mark.parametrize("make", [on_off_timetable, increase_timetable, shift_timetable])
def test_the_seed_decides(make: object) -> None:
    rates = ((0.5, 2.0),) if make is on_off_timetable else ()
    draw = lambda seed: make(*rates, duration_s=120.0, seed=seed)  # type: ignore[operator]  # noqa: E731
    assert draw(1).equals(draw(1))
