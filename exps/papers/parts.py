"""Parts of a figure: which systems of a selection its claims judge, and what its pictures are called."""

from __future__ import annotations

from exps.figures.figure import Figure, Selection
from exps.figures.typed import canonical_system
from exps.run.plan import folder_name


def judged_systems(figure: Figure, selection: Selection) -> tuple[str, ...]:
    """The systems that claims are about: those chosen, else the figure's own; added ones are not."""
    return tuple(canonical_system(text) for text in selection.systems) or figure.systems


def part_name(figure: Figure, selection: Selection) -> str:
    """What a selection leaves out of the figure or adds to it, as part of a file's name; empty for the whole figure."""
    names = {platform.name for platform in figure.published_platforms}
    local = [platform.name for platform in figure.platforms if platform.local][:1]
    whole = set(selection.models) in (names, set(local))
    parts = {
        "model": () if whole else selection.models,
        "setting": () if set(selection.settings) == {setting.name for setting in figure.settings} else selection.settings,
        "system": () if set(judged_systems(figure, selection)) == set(figure.systems) else selection.systems,
        "with": tuple(canonical_system(text) for text in selection.added),
        "at": tuple(f"{value:.10g}" for value in selection.at),
        **{axis: tuple(f"{value:.10g}" for value in values) for axis, values in selection.by_axis().items()},
    }
    text = "-".join(f"{key}={','.join(sorted(set(values)))}" for key, values in parts.items() if values)
    return folder_name(text.replace(" ", "")) if text else ""
