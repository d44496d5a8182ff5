"""From what a person asked for to a plan a figure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.errors import InputError
from exps.figures.figure import Figure, Options, Point, Selection
from exps.papers.registry import expand, find_figures, is_served, is_several, traces_of
from exps.run.plan import Plan, make_plan


def plan_figures(name: str, selection: Selection, options: Options, root: Path) -> list[Plan]:
    """A plan a figure. For "all", figures take what applies to them of the selection and the options."""
    return [
        replace(make_plan(figure, points, settled, root), selection=wanted)
        for figure, points, settled, wanted in asked_of(name, selection, options)
    ]


def plans_with_points(name: str, selection: Selection, options: Options, root: Path) -> list[Plan]:
    """The plans of a figure; of "all", those that have points."""
    plans = plan_figures(name, selection, options, root)
    return [plan for plan in plans if plan.has_points] or plans if is_several(name) else plans


def asked_of(
    name: str, selection: Selection, options: Options
) -> list[tuple[Figure, list[Point], Options, Selection]]:
    """The points of each figure, and the options and the selection as it understands them.

    InputError where no figure has the models.
    """
    lenient = is_several(name)
    found = []
    for figure in find_figures(name):
        wanted = applicable(figure, selection, options.backend) if lenient else selection
        if wanted is not None:
            own = replace(options, traces=traces_of(name, figure, options.traces))
            found.append((figure, *expand(figure, wanted, own, lenient), wanted))
    if not found:
        asked = f"the models {', '.join(selection.models)}" if selection.models else f"a model for --backend {options.backend}"
        raise InputError(f"no figure has {asked}; `cli.py list` shows what there is.")
    return found


def applicable(figure: Figure, selection: Selection, backend: str) -> Selection | None:
    """The part of a selection that a figure knows, or None when it has none of the models, or none that the backend serves;
    what one backend alone can measure is left out unless that is named."""
    if figure.backend not in (None, backend):
        return None
    known = {platform.name for platform in figure.platforms}
    models = tuple(name for name in selection.models if name in known)
    if (selection.models and not models) or not (models or is_served(figure, backend)):
        return None
    settings = tuple(name for name in selection.settings if name in {setting.name for setting in figure.settings})
    if selection.settings and not settings:
        return None
    return replace(selection.along(figure.sweep.axis), models=models, settings=settings)
