"""Sheets of curves and of bars."""

from __future__ import annotations

import polars as pl
import pytest

from plots.axes import Axis
from plots.sheets import Bars, Stroke, bar_sheet, line_sheet

ROUND = Axis("round", "Round")
PANELS = (Axis("share", "Share", (0, 1)), Axis("tokens", "Tokens", (0, None)), Axis("gap", "Gap"))
STROKES = {"a": Stroke("#D55E00", "client a"), "b": Stroke("#0072B2", "client b", "--", "o")}
COMPARED = (Bars({"violated": "violated"}, "Violated"), Bars({"queue": "queue", "rest": "rest"}, "Latency (s)", stacked=True))
NAMES, COLOURS = {"vtc": "VTC", "fcfs": "FCFS"}, {"vtc": "#0072B2", "fcfs": "#000000"}


@pytest.fixture
def rounds():
    rows = [(name, k, 0.1 * k, 9_000.0 * k, None if k == 2 else k - 2) for name in "ab" for k in range(1, 5)]
    return pl.DataFrame(rows, ["client", "round", "share", "tokens", "gap"], orient="row")


@pytest.fixture
def systems():
    return pl.DataFrame({"system": ["fcfs", "vtc"], "violated": [9, 3], "queue": [2.0, 1.0], "rest": [5.0, 5.0]})


def lines(path, rows, **more):
    return line_sheet(rows, PANELS, **{"columns": 2, "x": ROUND, "series": "client", "strokes": STROKES, "path": path, **more})


def bars(path, rows, **more):
    fixed = {"columns": 2, "category": "system", "names": NAMES, "colours": COLOURS, "path": path}
    return bar_sheet(rows, COMPARED, **{**fixed, **more})


def height(path):
    return int.from_bytes(path.read_bytes()[20:24], "big")


def test_sheets_are_a_pdf_with_fonts_and_a_png_and_the_same_each_time(tmp_path, rounds, systems):
    for draw, frame in ((lines, rounds), (bars, systems)):
        pdf, png = draw(tmp_path / "new" / "one", frame, title="dec-1", footer="simulated")
        assert b"FontFile2" in pdf.read_bytes() and png.read_bytes().startswith(b"\x89PNG")
        again = draw(tmp_path / "two", frame, title="dec-1", footer="simulated")
        assert [pdf.read_bytes(), png.read_bytes()] == [file.read_bytes() for file in again]


def test_every_curve_title_footer_and_legend_entry_is_drawn(tmp_path, rounds):
    def one(name, **change):
        fixed = {"columns": 1, "x": ROUND, "series": "client", "strokes": STROKES, "path": tmp_path / name}
        return line_sheet(rounds, PANELS[:1], **{**fixed, **change})[1].read_bytes()

    plain = one("plain")
    changes = (
        {"title": "dec-1"}, {"footer": "simulated"}, {"entries": [Stroke("#666666", "8 mix clients")]},
        {"strokes": {"a": STROKES["a"]}}, {"strokes": {**STROKES, "b": Stroke("#0072B2", None, ":")}},
    )
    for number, change in enumerate(changes):
        assert one(str(number), **change) != plain


def test_a_sheet_grows_by_its_rows_of_panels(tmp_path, rounds):
    wide, narrow = (lines(tmp_path / str(columns), rounds, columns=columns)[1] for columns in (3, 1))
    assert height(narrow) > 2.5 * (height(wide) - 100)


def test_bars_follow_the_order_of_names_and_leave_out_what_is_not_there(tmp_path, systems):
    both = bars(tmp_path / "a", systems)[0].read_bytes()
    assert bars(tmp_path / "b", systems.reverse(), names={**NAMES, "lcf": "LCF"})[0].read_bytes() == both
    assert bars(tmp_path / "c", systems, names={"fcfs": "FCFS", "vtc": "VTC"})[0].read_bytes() != both
    more = pl.concat([systems, systems.with_columns(system=pl.format("{}-2", "system"))])
    named = {name: name for name in more["system"]}
    taller = bars(tmp_path / "d", more, names=named, colours=dict.fromkeys(named, "#000000"))[1]
    assert height(taller) > height(tmp_path / "a.png")
