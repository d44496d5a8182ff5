"""Bars beside published marks, histograms, and curves of many clients."""

from __future__ import annotations

import polars as pl
import pytest

from plots.axes import Axis, Bound
from plots.bars import histograms, row_bars
from plots.curves import curves
from plots.many import many_curves

PANELS = {"largest": "Largest", "mean": "Mean"}


def rows(series=("this run",), names=("FCFS", "VTC")):
    values = [(name, panel, kind, 10.0 + len(name)) for name in names for panel in PANELS for kind in series]
    return pl.DataFrame(values, schema=["row", "panel", "series", "value"], orient="row")


def png(paths):
    return paths[1].read_bytes()


def png_height(paths):
    return int.from_bytes(png(paths)[20:24], "big")


def test_published_marks_are_drawn_for_the_rows_of_ours_only(tmp_path):
    published = rows().drop("series")
    alone = row_bars(rows(), published.clear(), panels=PANELS, path=tmp_path / "a")
    marked = row_bars(rows(), published, panels=PANELS, path=tmp_path / "b")
    more = row_bars(rows(), rows(names=("FCFS", "VTC", "LCF")).drop("series"), panels=PANELS, path=tmp_path / "c")
    assert png(alone) != png(marked) == png(more)


def test_more_rows_and_a_second_series_make_a_taller_picture(tmp_path):
    few, many, both = (
        row_bars(frame, rows().drop("series"), panels=PANELS, path=tmp_path / str(number))
        for number, frame in enumerate((rows(), rows(names="ABCDEFGH"), rows(series=("a", "b"))))
    )
    assert png_height(few) < png_height(both) < png_height(many)


def test_a_histogram_shows_its_counts_and_its_mean(tmp_path):
    columns = {"prompt": "Prompt (tokens)", "output": "Output (tokens)"}
    frame = pl.DataFrame({"prompt": [1, 2, 2, 300], "output": [5, 5, 6, 40]})
    first = histograms(frame, columns=columns, y="Requests", bins=10, path=tmp_path / "a")
    again = histograms(frame, columns=columns, y="Requests", bins=10, path=tmp_path / "b")
    other = histograms(frame.with_columns(output=pl.Series([5, 5, 6, 41])), columns=columns, y="Requests", bins=10,
                       path=tmp_path / "c")
    assert png(first) == png(again) != png(other)


def test_named_clients_stand_out_of_the_others(tmp_path):
    frame = pl.DataFrame({"client": ["a", "b", "c"] * 2, "t": [0.0] * 3 + [1.0] * 3, "rate": [1.0, 2.0, 3.0, 2.0, 2.0, 2.0]})
    total = frame.group_by("t", maintain_order=True).agg(pl.col("rate").sum())
    time, rate = Axis("t", "Time (s)"), Axis("rate", "Requests per minute", (0, None))
    pictures = [
        png(many_curves(frame, total, x=time, y=rate, series="client", named=named, path=tmp_path / "-".join(named)))
        for named in (["a"], ["b"], ["a", "b", "c"])
    ]
    assert len(set(pictures)) == 3


@pytest.mark.parametrize("value", [5.0, 8.0])
def test_a_sweep_may_have_a_line_to_compare_with(tmp_path, value):
    frame = pl.DataFrame({"system": ["rpm"] * 2, "limit": [5, 30], "speed": [3.0, 7.0]})
    axes = {"x": Axis("limit", "Limit"), "y": Axis("speed", "Speed", (0, 9))}
    plain = curves(frame, None, path=tmp_path / "a", **axes)
    bound = curves(frame, None, path=tmp_path / "b", bounds=[Bound(value, f"VTC {value}")], **axes)
    assert png(plain) != png(bound)
