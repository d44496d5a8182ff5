import numpy as np
import pytest

from exps.workload.vtc import Client, overload_timetable, uniform_clients


def test_overload_is_two_constant_streams():
    frame = overload_timetable()
    parts = {str(name): part["arrival_s"].to_numpy() for (name,), part in frame.group_by("client")}
    assert {name: len(arrivals) for name, arrivals in parts.items()} == {"client-1": 900, "client-2": 1800}
    for name, rate in (("client-1", 1.5), ("client-2", 3.0)):
        assert np.diff(parts[name]) == pytest.approx(1 / rate)
        assert 0 <= parts[name][0] < 1 / rate
    assert frame["prompt_tokens"].unique().to_list() == frame["output_tokens"].unique().to_list() == [256]


def test_seed_moves_the_offsets_only():
    assert overload_timetable(seed=3).equals(overload_timetable(seed=3))
    assert not overload_timetable(seed=3).equals(overload_timetable(seed=4))


def test_counts_are_floors_of_rate_times_duration_despite_rounding():
    frame = uniform_clients([Client("a", 0.29, 1, 2), Client("b", 1.25, 3, 4)], duration_s=100.0, seed=0)
    assert frame["client"].value_counts(sort=True).rows() == [("b", 125), ("a", 29)]
    assert frame.filter(client="b")["output_tokens"].unique().to_list() == [4]
