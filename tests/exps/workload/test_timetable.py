import polars as pl
import pytest

from exps.workload.timetable import SCHEMA, check_timetable, timetable

COLUMNS = {"arrival_s": [2.0, 1.0, 1.0], "client": ["a", "b", "c"], "prompt_tokens": 5, "output_tokens": [1, 2, 3]}


def test_sorts_stably_and_fills_what_was_left_out():
    frame = timetable(COLUMNS)
    assert frame.schema == SCHEMA
    assert frame["client"].to_list() == ["b", "c", "a"]
    assert frame["slo_tpot_s"].null_count() == frame["adapter"].null_count() == 3


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"user": ["a", "b", "c"]}, "unknown columns"),
        ({"prompt_tokens": [1, 0, 2]}, "below 1 token"),
        ({"arrival_s": [0.0, -1.0, 1.0]}, "negative or not finite"),
        ({"arrival_s": [0.0, float("nan"), 1.0]}, "negative or not finite"),
        ({"client": ["a", None, "c"]}, "null in a required column"),
        ({"slo_tpot_s": [0.1, 0.0, None]}, "slo_tpot_s"),
    ],
)
def test_refuses_invalid_columns(change, fault):
    with pytest.raises(ValueError, match=fault):
        timetable({**COLUMNS, **change})


def test_check_refuses_disorder_emptiness_and_other_schemas():
    frame = timetable(COLUMNS)
    with pytest.raises(ValueError, match="backwards"):
        check_timetable(frame.reverse())
    with pytest.raises(ValueError, match="no requests"):
        check_timetable(frame.clear())
    with pytest.raises(ValueError, match="schema"):
        check_timetable(frame.with_columns(pl.col("prompt_tokens").cast(pl.Int32)))
