"""What a person sees: plan, progress, claims, tables, paths. Results go to stdout, progress to stderr."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from engine.system import parse_system
from exps.figures.claims import FAILS, HOLDS, Judgement
from exps.figures.figure import Figure, Options, Platform, Point
from exps.run.backends import BACKENDS
from exps.run.plan import Plan, unique_jobs

PIPE_COLUMNS = 160
BETWEEN = 3
COLOURS = {HOLDS: "green", FAILS: "bold red"}


def provenance(options: Options, points: Sequence[Point]) -> str:
    """One line that says where numbers come from, loudly when it is a simulation."""
    backend = BACKENDS[options.backend]
    local = options.profiles is not None
    where = ", ".join(sorted({_hardware(point.platform) for point in points}))
    parts = [f"{backend.label}: {where}"] + [f"calibration {options.calibration}"] * backend.simulates
    parts += [f"acceptance {options.acceptance}"] * bool(options.acceptance)
    parts += ["WIDENED weights: the tiny pair's function in the model's shape"] * (options.weights != "own")
    parts += [f"workload from {'held-out text' if local else options.workload_source}", f"seed {options.seed}"]
    settings = dict.fromkeys(point.platform.setting.name for point in points if point.platform.setting.name)
    parts += [f"setting {', '.join(settings)}"] * bool(settings) + list(dict.fromkeys(_departures(points)))
    return "; ".join(parts + ["QUICK run of short workloads, which judges no claim"] * options.quick) + "."


def _hardware(platform: Platform) -> str:
    return f"{platform.hardware} ({platform.device.title})" if platform.device else platform.hardware


def _departures(points: Sequence[Point]) -> Iterator[str]:
    for point in points:
        if parse_system(point.system).departs(batching := point.platform.setting.batching):
            yield f"{point.system} departs from the figure's batching {batching}"


def _noticed(plans: Sequence[Plan]) -> Counter[str]:
    """What there is to know first of platforms, and how many points there are to do on each."""
    found: Counter[str] = Counter()
    options = {job.folder: plan.options for plan in plans for job in plan.to_do}
    for job in unique_jobs(plans):
        platform = job.point.platform
        if (notice := BACKENDS[job.setup.backend].notice(platform, options[job.folder])) is not None:
            found[f"{platform.name}: {notice}"] += 1
    return found


class Reporter:
    """Prints to the two streams of a command. A pipe gets lines wide enough to keep each table row whole."""

    def __init__(self) -> None:
        plain: dict[str, Any] = {"markup": False, "emoji": False}
        width = None if os.isatty(1) else PIPE_COLUMNS
        self._out = Console(highlight=False, soft_wrap=False, width=width, **plain)
        self._progress = Console(stderr=True, **plain)

    def say(self, text: str) -> None:
        self._out.print(text, markup=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """A line beside the results, to stderr."""
        self._progress.print(text, markup=False, soft_wrap=True)

    def json(self, value: Any) -> None:
        self._out.print(json.dumps(value, indent=2, allow_nan=False), markup=False, soft_wrap=True)

    def plans(self, plans: Sequence[Plan], seconds: float) -> None:
        table = _table("figure", "model", "hardware", "systems", ">points", ">done", ">to do")
        for plan in plans:
            for platform in dict.fromkeys(job.point.platform for job in plan.jobs):
                jobs = [job for job in plan.jobs if job.point.platform == platform]
                done = sum(job.done for job in jobs)
                systems = ", ".join(dict.fromkeys(job.point.system for job in jobs))
                counts = (str(len(jobs)), str(done), str(len(jobs) - done))
                table.add_row(plan.figure.id, platform.place, platform.hardware, systems, *counts)
        self._out.print(table)
        noticed = _noticed(plans)
        for notice, points in noticed.items():
            self.say(f"{notice}; {points} point{'s' if points > 1 else ''} to do.")
        beside = ", beside loading models and warming up" if noticed else ""
        self.say(f"Estimated time: {duration(seconds)}{beside}." if seconds else "Every point is complete; nothing to run.")

    @contextmanager
    def progress(self, total: int) -> Iterator[Callable[[], None]]:
        """A bar with the time left; yields what to call after each point."""
        columns = (
            TextColumn("points"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._progress, disable=total == 0) as bar:
            task = bar.add_task("points", total=total)
            yield lambda: bar.advance(task)

    @contextmanager
    def bytes(self, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        """A bar over bytes, ``done`` of them there before; yields what to call with each number that arrived."""
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TextColumn("left"), TimeRemainingColumn())
        with Progress(*columns, console=self._progress) as bar:
            task = bar.add_task("bytes", total=total, completed=done)
            yield lambda arrived: bar.advance(task, arrived)

    @contextmanager
    def status(self, title: str) -> Iterator[Callable[[str], None]]:
        """A line that says what is being done; yields what to call with each part of it."""
        with self._progress.status(f"{title} ...") as line:
            yield lambda part: line.update(Text(f"{title}: {part} ..."))

    def interrupted(self, done: int, total: int) -> None:
        self.note(f"Interrupted: {done} of {total} points were completed and are kept; the same command goes on.")

    def claims(self, figure: Figure, judgements: Sequence[Judgement], caption: str) -> None:
        if not judgements:
            self.say(f"{figure.id}: {figure.title}. No claim of the paper is about it. {caption}")
            return
        table = _table("claim", "model", "statement", "published", "ours", "verdict")
        table.title, table.caption = f"{figure.id}: {figure.title}", caption
        for row in judgements:
            count = f" ({row.holds_in})" if row.judged else ""
            verdict = Text(f"{row.verdict}{count}{' (fact)' * row.fact}", COLOURS.get(row.verdict, "yellow"))
            table.add_row(row.claim, row.place, row.statement, row.published, row.numbers, verdict)
        self._out.print(table)
        for cause in dict.fromkeys(row.cause for row in judgements if row.cause):
            names = dict.fromkeys(f"{row.claim} ({row.place})" for row in judgements if row.cause == cause)
            self.say(f"Why {', '.join(names)} {'fails' if len(names) == 1 else 'fail'}: {cause}")

    def pictures(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self.say(f"Picture: {path}")

    def frame(self, title: str, frame: pl.DataFrame, caption: str | None = None) -> None:
        """A table of a frame's rows, numbers to four digits."""
        cells = {name: [cell(value) for value in frame[name]] for name in frame.columns}
        parts = columns_that_fit(cells, self._out.width)
        for place, part in enumerate(parts):
            table = _table(*(name if frame.schema[name] == pl.String else f">{name}" for name in part))
            table.title, table.caption = title if place == 0 else None, caption if place == len(parts) - 1 else None
            for row in zip(*(cells[name] for name in part), strict=True):
                table.add_row(*row)
            self._out.print(table)

    def values(self, title: str, values: Mapping[str, Any], caption: str | None = None) -> None:
        """A table of names and values."""
        table = _table("", ">")
        table.title, table.caption, table.show_header = title, caption, False
        for name, value in values.items():
            table.add_row(name, cell(value))
        self._out.print(table)


def columns_that_fit(cells: Mapping[str, Sequence[str]], width: int) -> list[list[str]]:
    """The columns of a table in parts of at most ``width`` characters, each with the first column in front."""
    first, *others = cells
    widths = {name: BETWEEN + max(map(cell_len, (name, *values))) for name, values in cells.items()}
    room = width - BETWEEN - min(widths[first], width // 3)
    parts, used = [[first]], 0
    for name in others:
        if used + widths[name] > room and len(parts[-1]) > 1:
            parts.append([first])
            used = 0
        parts[-1].append(name)
        used += widths[name]
    return parts


def duration(seconds: float) -> str:
    """ "40 s", "3 min" or "2.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def cell(value: Any) -> str:
    """A value as a person reads it: four digits, a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _table(*columns: str) -> Table:
    """A table; a column whose name starts with ">" is right-aligned."""
    table = Table(box=box.SIMPLE_HEAD, title_style="bold", title_justify="left", caption_style="", caption_justify="left")
    for name in columns:
        if name.startswith(">"):
            table.add_column(name[1:], justify="right", no_wrap=True)
        else:
            table.add_column(name, overflow="fold")
    return table
