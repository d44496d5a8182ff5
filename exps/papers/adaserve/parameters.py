"""What AdaServe's unpublished parameters do, at 4 requests a second: c1, c2, n_max, the budget B."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exps.figures.figure import Figure, Sweep
from exps.figures.pictures import all_of
from exps.papers.adaserve.evaluation import ADASERVE, PLATFORMS, RPS, of_each_model
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.adaserve.pictures import ATTAINMENT, GOODPUT, over
from exps.papers.adaserve.workloads import Timetable, timetable_of
from plots.axes import Axis

VERIFIED = Axis("mean_tokens_per_verification", "Tokens a verification", (0, None))


def _at_four(timetable: Timetable) -> Timetable:
    """The workload of 4 requests a second, whatever x is."""
    return lambda platform, x, options: timetable(platform, RPS, options)


def sweep_of(parameter: str, values: tuple[float, ...], label: str, whole: bool = True) -> Figure:
    """Attainment, goodput and tokens a verification over the values of a parameter of the policy."""

    def policies(x: float) -> Mapping[str, Mapping[str, Any]]:
        return {ADASERVE: {parameter: int(x) if whole else x}}

    name, x = parameter.replace("_", "-"), Axis(parameter, label)
    drawn = ((ATTAINMENT, name), (GOODPUT, f"{name}-goodput"), (VERIFIED, f"{name}-tokens"))
    pictures = [replace(over(name, x, y, stem), published=lambda metrics: None) for y, stem in drawn]
    return replace(
        FIG8,
        id=f"adaserve/{name}",
        title=f"AdaServe over {label}",
        platforms=PLATFORMS,
        systems=(ADASERVE,),
        sweep=Sweep(parameter, of_each_model(values), listed=True),
        timetable=_at_four(timetable_of("of_rate")),
        draw=all_of(*pictures),
        claims=(),
        deviation=None,
        policies=policies,
        local_values=None,
    )


PARAMETER_FIGURES = (
    sweep_of("c1", (0.0, 10.0, 20.0, 30.0, 40.0, 60.0, 100.0), "c1, which shortens drafts", whole=False),
    sweep_of("c2", (0.0, 1.0, 2.0, 3.0), "c2, which widens drafts"),
    sweep_of("n_max_share", (0.25, 0.5, 1.0, 1.2, 2.0, 4.0, 16.0), "n_max, times B / n", whole=False),
    sweep_of("budget", (64.0, 96.0, 128.0, 192.0, 256.0, 384.0, 512.0, 768.0), "B, tokens verified a step"),
)
