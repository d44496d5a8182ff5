"""The figures by name, and the points that a selection asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engine.configuration import nearest
from engine.errors import InputError
from engine.system import PRESETS
from exps.figures.figure import AXES, Figure, Options, Platform, Point, Selection
from exps.figures.typed import canonical_system
from exps.papers.adaserve.figures import ADASERVE_FIGURES
from exps.papers.dlora.figures import DLORA_FIGURES
from exps.papers.exfairs.figures import EXFAIRS_FIGURES
from exps.papers.fairserve.figures import FAIRSERVE_FIGURES
from exps.papers.vtc.figures import VTC_FIGURES
from exps.run.backends import AUTO, BACKENDS, SIMULATED, backend_for
from exps.run.local import MEASURED

FIGURES = {
    figure.id: figure
    for figure in (*ADASERVE_FIGURES, *VTC_FIGURES, *FAIRSERVE_FIGURES, *EXFAIRS_FIGURES, *DLORA_FIGURES)
}
ALL = "all"


def find_figure(name: str) -> Figure:
    """The figure of an id ("vtc/fig3"); a bare "fig8" is AdaServe's. InputError with the nearest names."""
    full = name if "/" in name else f"adaserve/{name}"
    if full in FIGURES:
        return FIGURES[full]
    known = [*FIGURES, *(known.split("/")[1] for known in FIGURES if known.startswith("adaserve/"))]
    raise InputError(f"unknown figure {name!r}; {nearest(name, known)}")


def find_figures(name: str) -> list[Figure]:
    """All figures for "all", those of a paper for "vtc/all", else the one of that name."""
    if not is_several(name):
        return [find_figure(name)]
    paper = name.removesuffix(ALL)
    found = [figure for id, figure in FIGURES.items() if id.startswith(paper)]
    if not found:
        papers = list(dict.fromkeys(f"{id.split('/')[0]}/{ALL}" for id in FIGURES))
        raise InputError(f"no paper is called {paper.rstrip('/')!r}; {nearest(name, papers)}")
    return found


def is_several(name: str) -> bool:
    """Whether a name stands for all figures, or all of a paper, which take of the options what applies to them."""
    return name == ALL or name.endswith(f"/{ALL}")


def traces_of(name: str, figure: Figure, folder: Path | None) -> Path | None:
    """The traces of a figure: the paper's part of a folder that has one, else the folder itself.

    For "all", the figures of papers that have no part of it go without.
    """
    if folder is None or (part := folder / figure.id.split("/")[0]).is_dir():
        return folder and part
    return None if name == ALL else folder


def platforms_of(figure: Figure, names: tuple[str, ...], options: Options) -> list[Platform]:
    """The platforms of a figure by name; without names the paper's own, or the first local one of a native run.

    InputError for a name the figure does not know, and for local platforms together with the paper's.
    """
    known = {platform.name: platform for platform in figure.platforms}
    for name in names:
        if name and name in {setting.name for setting in figure.settings}:
            raise InputError(f"{name} is a setting of {figure.id}, not a model; write --setting {name}.")
        if name not in known:
            raise InputError(f"{figure.id} has no model {name!r}; {nearest(name, list(known))}")
    backend = BACKENDS.get(_named(figure, options.backend), SIMULATED)
    chosen = [known[name] for name in dict.fromkeys(names)] or list(backend.platforms(figure))
    if not chosen and figure.backend is not None:
        raise _wrong_backend(figure)
    if not chosen:
        raise InputError(
            f"{figure.id} has no model that --backend {options.backend} serves on this machine; leave --backend out."
        )
    chosen = [backend.serving(platform, figure, options.device) for platform in chosen]
    if len({platform.local for platform in chosen}) > 1:
        raise InputError(f"{' and '.join(names)} run on different machines; give each a command of its own.")
    if options.device is not None and not chosen[0].local:
        raise InputError(f"{chosen[0].title} is no device of this machine; leave --device out, or use --backend native.")
    return chosen


def is_served(figure: Figure, backend: str) -> bool:
    """Whether the backend has a platform of the figure where no model is named."""
    return bool(BACKENDS.get(_named(figure, backend), SIMULATED).platforms(figure))


def _named(figure: Figure, backend: str) -> str:
    """The backend that was named, or the only one that can measure the figure."""
    return figure.backend if figure.backend and backend == AUTO else backend


def _wrong_backend(figure: Figure) -> InputError:
    return InputError(f"{figure.id} {figure.why}; use --backend {figure.backend}.")


def places_of(figure: Figure, selection: Selection, options: Options) -> list[Platform]:
    """The platforms of a selection under each of its settings; without settings all of the figure's.

    InputError for a setting the figure does not know.
    """
    known = {setting.name: setting for setting in figure.settings}
    for name in selection.settings:
        if name not in known or not name:
            raise InputError(f"{figure.id} has no setting {name!r}; {_settings(figure, name)}")
    chosen = [known[name] for name in dict.fromkeys(selection.settings)] or figure.settings
    platforms = platforms_of(figure, selection.models, options)
    return [replace(platform, setting=setting) for platform in platforms for setting in chosen]


def _settings(figure: Figure, name: str) -> str:
    named = [setting.name for setting in figure.settings if setting.name]
    return nearest(name, named) if named else "it has one alone, so leave --setting out."


def options_for(figure: Figure, options: Options, platforms: Sequence[Platform], lenient: bool = False) -> Options:
    """The options as this figure understands them for these platforms.

    The backend is settled, and so is the calibration where none is asked for. InputError for a backend that cannot serve
    the platforms, a calibration the figure does not know or traces it does not have; ``lenient`` falls back to its own.
    """
    local, traces = platforms[0].local, options.traces
    backend = backend_for(_named(figure, options.backend), platforms)
    if traces is not None and (local or not figure.has_traces) and not lenient:
        raise InputError(f"{figure.id} has no traces for {platforms[0].name}, its workload is made; leave --traces out.")
    if options.weights != "own" and backend.simulates and not local:
        raise InputError("a simulation has no weights; leave --weights out, or use --backend native.")
    if figure.backend not in (None, backend.name):
        raise _wrong_backend(figure)
    if options.output_tokens is not None and figure.output_tokens is None and not lenient:
        raise InputError(f"{figure.id} has answers of its own lengths; leave --output-tokens out.")
    own_cap = options.output_tokens in (None, figure.output_tokens) or figure.output_tokens is None
    return replace(
        options,
        backend=backend.name,
        calibration=_calibration(figure, options.calibration, local, lenient),
        traces=traces if figure.has_traces and not local else None,
        profiles=options.profiles if local else None,
        output_tokens=None if own_cap else options.output_tokens,
    )


def _calibration(figure: Figure, asked: str | None, local: bool, lenient: bool) -> str:
    known = (MEASURED,) if local else figure.calibrations
    if asked not in (None, *known) and not lenient:
        raise InputError(f"{figure.id} has no calibration {asked!r}; {nearest(str(asked), list(known))}")
    return asked if asked in known else known[0]


def expand(
    figure: Figure, selection: Selection, options: Options, lenient: bool = False
) -> tuple[list[Point], Options]:
    """The points a selection asks for, platforms first, then x, then systems; and the options settled for them."""
    platforms = places_of(figure, selection, options)
    settled = options_for(figure, options, platforms, lenient)
    systems = [canonical_system(text) for text in selection.systems] or list(figure.systems)
    systems += [canonical_system(text) for text in selection.added]
    points = [
        Point(figure, platform, system, x)
        for platform in platforms
        for x in _values(figure, platform, selection, settled)
        for system in dict.fromkeys(systems)
        if figure.runs(system, x)
    ]
    return points, settled


def _values(figure: Figure, platform: Platform, selection: Selection, options: Options) -> tuple[float, ...]:
    if selection.at:
        return _listed(figure, platform, selection.at, options)
    asked = selection.by_axis()
    if other := next((axis for axis in asked if axis != figure.sweep.axis), None):
        raise InputError(f"{figure.id} does not sweep {AXES[other]}; leave --{other.replace('_', '-')} out.")
    if figure.sweep.axis not in asked:
        return figure.values(platform, options)
    values = asked[figure.sweep.axis]
    return _listed(figure, platform, values, options) if figure.sweep.listed else values


def _listed(figure: Figure, platform: Platform, asked: tuple[float, ...], options: Options) -> tuple[float, ...]:
    known = figure.values(platform, options)
    if wrong := next((value for value in asked if value not in known), None):
        listed = ", ".join(f"{value:g}" for value in known)
        raise InputError(f"{figure.id} has no {figure.sweep.axis} {wrong:g} for {platform.name}; choose from {listed}.")
    return asked


def system_names() -> list[str]:
    """Every preset."""
    return list(PRESETS)
