"""The figures by name, and the points that a selection asks for."""

from __future__ import annotations

import re
from dataclasses import replace

from engine.configuration import nearest
from engine.errors import InputError
from engine.system import PRESETS, parse_system
from exps.adaserve.fig8 import FIG8
from exps.adaserve.fig9 import FIG9
from exps.figure import Figure, Options, Platform, Point, Selection
from exps.vtc.fig3 import FIG3

FIGURES = {figure.id: figure for figure in (FIG8, FIG9, FIG3)}
BACKENDS = ("auto", "sim", "native", "vllm", "http")
ALL = "all"
MOST_VALUES = 1000


def find_figure(name: str) -> Figure:
    """The figure of an id ("vtc/fig3"); a bare "fig8" is AdaServe's. InputError with the nearest names."""
    full = name if "/" in name else f"adaserve/{name}"
    if full in FIGURES:
        return FIGURES[full]
    known = [*FIGURES, *(known.split("/")[1] for known in FIGURES if known.startswith("adaserve/"))]
    raise InputError(f"unknown figure {name!r}; {nearest(name, known)}")


def find_figures(name: str) -> list[Figure]:
    """All figures for "all", else the one of that name."""
    return list(FIGURES.values()) if name == ALL else [find_figure(name)]


def resolve_backend(name: str) -> str:
    """The backend behind a name; auto is the simulator. InputError for one that is unknown or not built."""
    if name not in BACKENDS:
        raise InputError(f"unknown backend {name!r}; {nearest(name, list(BACKENDS))}")
    if name not in ("auto", "sim"):
        raise InputError(f"backend {name!r} is not in this version; use --backend sim.")
    return "sim"


def options_for(figure: Figure, options: Options, lenient: bool = False) -> Options:
    """The options as this figure understands them; the figure's first calibration where none is asked for.

    InputError for a calibration it does not know or traces it does not have; ``lenient`` falls back to its own.
    """
    calibration, traces = options.calibration, options.traces
    if calibration not in (None, *figure.calibrations) and not lenient:
        hint = nearest(str(calibration), list(figure.calibrations))
        raise InputError(f"{figure.id} has no calibration {calibration!r}; {hint}")
    if traces is not None and not figure.has_traces and not lenient:
        raise InputError(f"{figure.id} has no traces, its workload is always made; leave --traces out.")
    return replace(
        options,
        calibration=calibration if calibration in figure.calibrations else figure.calibrations[0],
        traces=traces if figure.has_traces else None,
    )


def expand(figure: Figure, selection: Selection, quick: bool = False) -> list[Point]:
    """The points a selection asks for, platforms first, then x, then systems."""
    systems = [canonical_system(text) for text in selection.systems] or list(figure.systems)
    return [
        Point(figure, platform, system, x)
        for platform in _platforms(figure, selection.models)
        for x in _values(figure, platform, selection, quick)
        for system in dict.fromkeys(systems)
    ]


def canonical_system(text: str) -> str:
    """The name of a preset, or a composition without blanks. InputError with the nearest names."""
    name = re.sub(r"\s+", "", text)
    parse_system(name)
    return name


def split_systems(values: list[str]) -> tuple[str, ...]:
    """Systems as typed: "vtc,fcfs" is two, "order=vtc,spec=adaserve" one composition; the option may be repeated."""
    return tuple(name for value in values for name in ([value] if "=" in value else split_names([value])))


def split_names(values: list[str]) -> tuple[str, ...]:
    """Names as typed, separated by commas or repeated."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


def parse_values(text: str) -> tuple[float, ...]:
    """ "2.6:4.8:0.2" (both ends included), "2.6,3.0" or "4". InputError when it is none of these."""
    wrong = InputError(f"--rps {text!r} is no range of rates above 0; write first:last:step, as in 2.6:4.8:0.2.")
    try:
        if ":" not in text:
            values = tuple(float(part) for part in text.split(","))
        else:
            first, last, step = (float(part) for part in text.split(":"))
            count = min(int((last - first) / step + 1e-9) + 1, MOST_VALUES + 1)
            values = tuple(round(first + i * step, 9) for i in range(count))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise wrong from None
    if not 0 < len(values) <= MOST_VALUES or not all(0 < value < 1e6 for value in values):
        raise wrong
    return tuple(dict.fromkeys(values))


def _platforms(figure: Figure, names: tuple[str, ...]) -> list[Platform]:
    known = {platform.name: platform for platform in figure.platforms}
    for name in names:
        if name not in known:
            raise InputError(f"{figure.id} has no model {name!r}; {nearest(name, list(known))}")
    return [known[name] for name in dict.fromkeys(names)] or list(figure.platforms)


def _values(figure: Figure, platform: Platform, selection: Selection, quick: bool) -> tuple[float, ...]:
    if not selection.rps:
        return figure.sweep.of(platform.name, quick)
    if figure.sweep.axis != "rps":
        raise InputError(f"{figure.id} does not sweep request rates; leave --rps out.")
    return selection.rps


def system_names() -> list[str]:
    """Every preset."""
    return list(PRESETS)
