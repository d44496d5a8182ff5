"""`cli.py plot`: figures are drawn again."""

from __future__ import annotations

from pathlib import Path

from exps.commands.findings import each, found_and_drawn
from exps.commands.planning import plans_with_points
from exps.figures.figure import Options, Selection
from exps.report import Reporter


def plot(name: str, selection: Selection, options: Options, root: Path, report: Reporter) -> None:
    """Draw the complete points again."""
    for _, pictures in each(found_and_drawn, plans_with_points(name, selection, options, root)):
        report.pictures(pictures)
