"""The contract of a backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import polars as pl

from exps.figures.figure import Figure, Options, Platform
from exps.run.local import on_this_machine
from exps.run.serving import Outcome, Setup
from hosting.engines import Found
from hosting.gpus import Driver

PACKAGES = ("numpy", "scipy", "polars", "matplotlib", "typer", "rich", "joblib")


class Backend(ABC):
    """Serves points. ``name`` is what a person types, ``label`` what pictures and tables say.

    ``simulates``: times come from a calibration, so that a figure can be repeated under small doubts. ``alone``: a point has
    the machine to itself. ``packages`` whose versions the manifest tells, ``roots`` the source files that it runs from and
    ``data`` the other files that decide the records, as patterns.
    """

    name: str
    label: str
    simulates: bool = False
    alone: bool = True
    packages: tuple[str, ...] = PACKAGES
    roots: tuple[str, ...] = ()
    data: tuple[str, ...] = ()

    @abstractmethod
    def made_for(self, platform: Platform) -> bool:
        """Whether it serves the platform where no backend was named."""

    @abstractmethod
    def refuses(self, platform: Platform) -> str | None:
        """Why it cannot serve the platform on this machine, in a sentence that says what to type instead."""

    def serving(self, platform: Platform, figure: Figure, device: str | None) -> Platform:
        """The platform of the figure by which it serves this one, with ``device`` (Options.device) if it is local."""
        return on_this_machine(platform, device) if platform.local else platform

    @abstractmethod
    def hindrance(self, engine: Found | None) -> str | None:
        """What keeps it from running here whatever the platform, and what would mend it; ``engine`` builds containers."""

    def note(self, driver: Driver | None) -> str:
        """What to know of it on this machine, where nothing hinders it."""
        return ""

    @abstractmethod
    def platforms(self, figure: Figure) -> Sequence[Platform]:
        """Those of the figure's platforms that it serves where none was named."""

    @abstractmethod
    def serve(self, timetable: pl.DataFrame, setup: Setup) -> Outcome:
        """One run: a row of the timetable a request, in order of arrival."""

    @abstractmethod
    def seconds(self, figure: Figure, timetable: pl.DataFrame, until_s: float | None) -> float:
        """How long a point will take."""

    def notice(self, platform: Platform, options: Options) -> str | None:
        """What a person is to know before points of the platform are served, where it takes more than a simulation."""
        return None

    def configured(self, setup: Setup) -> dict[str, Any]:
        """What of the machine decides the records."""
        return {}
