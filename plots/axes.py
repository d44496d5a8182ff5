"""What pictures are told of their columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Limits = tuple[float | None, float | None]


@dataclass(frozen=True)
class Axis:
    """A column and how its values are shown; ``limits`` None leaves an end to the data."""

    column: str
    label: str
    limits: Limits = (None, None)


@dataclass(frozen=True)
class Bound:
    """A labelled thin horizontal line: what theory allows."""

    value: float
    label: str


@dataclass(frozen=True)
class Panels:
    """One panel a value of ``column``, side by side, in the order of ``titles`` (value to title)."""

    column: str
    titles: Mapping[str, str]
