"""Points of AdaServe's figures on short workloads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from exps.figures.figure import Figure, Options, Record, Selection
from exps.papers.registry import expand, find_figure
from exps.run.plan import setup_of
from exps.run.simulation import simulate

Served = Callable[..., list[Record]]


@pytest.fixture(scope="session")
def served() -> Served:
    """Records of a figure's quick points, each of the first ``requests`` of its workload; a point is served once."""
    kept: dict[object, Record] = {}

    def serve(name: str | Figure, models: Sequence[str] = ("qwen",), requests: int = 60, **chosen: object) -> list[Record]:
        figure = find_figure(name) if isinstance(name, str) else name
        points, options = expand(figure, Selection(models=tuple(models), **chosen), Options(quick=True))  # type: ignore[arg-type]
        records = []
        for point in points:
            at = point.served
            key = (figure.points_folder, at.platform, at.system, at.x, requests)
            if key not in kept:
                timetable = figure.timetable(at.platform, at.x, options).head(requests)
                setup = setup_of(at, options)
                found = simulate(timetable, setup)
                manifest = {"configuration": {"workload": {"source": options.workload_source}}}
                kept[key] = Record(at, found.requests, found.steps, manifest)
            records.append(Record(point, kept[key].requests, kept[key].steps, kept[key].manifest))
        return records

    return serve
