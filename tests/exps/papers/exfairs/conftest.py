"""Quick points of ExFairS's figures, run once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exps.figures.figure import Options, Record, Selection
from exps.papers.registry import expand, find_figure
from exps.run.execute import complete_records, execute
from exps.run.plan import make_plan

Run = Callable[..., list[Record]]


@pytest.fixture(scope="session")
def quick_records(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The records of some systems of a quick figure, by default of its first x."""
    root: Path = tmp_path_factory.mktemp("results")

    def run(figure: str, *systems: str, points: int = 1, **selection: Any) -> list[Record]:
        found = find_figure(figure)
        asked, options = expand(found, Selection(systems=systems, **selection), Options(quick=True))
        first = list(dict.fromkeys(point.x for point in asked))[:points]
        plan = make_plan(found, [point for point in asked if point.x in first], options, root)
        execute(plan.to_do, root, 1, lambda *_: None)
        return complete_records(replace(plan, jobs=tuple(replace(job, done=True) for job in plan.jobs)))

    return run
