"""A figure is data: what is swept, for which systems, and how its numbers are measured, judged and drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from exps.figures.claims import Claim
from exps.figures.pictures import Draw
from hosting.device import Device


@dataclass(frozen=True)
class Setting:
    """What a figure fixes for all its systems; ``name`` is what a person types, empty where the figure has one alone.

    ``batching``: the policy of every system whose text does not choose one itself, over that of a preset; None leaves each
    its own. ``policies``: parameters by policy name (pace, seats, rounds), under those of the axis.
    """

    name: str = ""
    title: str = ""
    batching: str | None = None
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Platform:
    """A model of a figure and the hardware that serves it; ``name`` is what a person types.

    ``device``: what of the machine at hand is the hardware, which serves the model natively or, once it has been measured, in
    simulation; None for the paper's own. ``setting`` is the figure's that holds on it.
    """

    name: str
    model: str
    hardware: str
    title: str
    device: Device | None = None
    setting: Setting = Setting()

    @property
    def local(self) -> bool:
        return self.device is not None

    @property
    def key(self) -> str:
        """The setting's name where it has one, else the model's: what values, claims and pictures tell apart."""
        return self.setting.name or self.name

    @property
    def place(self) -> str:
        """The model, and the setting where it has a name."""
        return ", ".join(filter(None, (self.name, self.setting.name)))


@dataclass(frozen=True)
class Sweep:
    """The axis of a figure and its values by Platform.key. ``quick``: values of a quick run, else three of them.

    ``listed``: no other value has a workload. A local platform has no values here: Figure.local_values makes them from
    what was measured.
    """

    axis: str
    values: Mapping[str, tuple[float, ...]]
    quick: tuple[float, ...] = ()
    listed: bool = False

    def of(self, platform: str, quick: bool) -> tuple[float, ...]:
        values = self.values[platform]
        if not quick or (len(values) <= 3 and not self.quick):
            return values
        return self.quick or (values[0], values[len(values) // 2], values[-1])


@dataclass(frozen=True)
class Execution:
    """How native steps run on GPUs: whose ``attention`` computes them (None: the fastest there is), whether forwards are
    replayed as CUDA ``graphs``, and whether the next step begins while the last one is planned (``overlap``)."""

    attention: str | None = None
    graphs: bool = True
    overlap: bool = True


FASTEST = Execution()
AXES = {"rps": "request rates", "urgent": "shares of urgent requests", "slo_scale": "scales of an SLO"}
"""The axes that have an option of their own, and what it names."""


@dataclass(frozen=True)
class Options:
    """What a run chooses beside its points.

    ``backend`` auto is native for local platforms and the simulator for the others. ``calibration`` None is the figure's
    own; ``acceptance`` "measured" replaces a simulation's model of the draft; ``traces`` replaces the drawn workload;
    ``quick`` means short workloads. ``weights`` of a native run: "own" or "widened". ``profiles`` is the folder of what
    was measured on this machine. ``device`` of it: cpu, gpu or 4xgpu, None for what fits the model. ``output_tokens`` caps
    answers, None is the figure's own cap. ``trace_steps``: what speculation decides in each step is recorded too.
    ``step_by_step``: a simulation takes each step by itself, for the same records.
    """

    backend: str = "auto"
    calibration: str | None = None
    seed: int = 0
    traces: Path | None = None
    quick: bool = False
    acceptance: str | None = None
    weights: str = "own"
    profiles: Path | None = None
    device: str | None = None
    execution: Execution = FASTEST
    output_tokens: int | None = None
    trace_steps: bool = False
    step_by_step: bool = False

    @property
    def workload_source(self) -> str:
        return "the artifact's traces" if self.traces else "the traces' statistics"


@dataclass(frozen=True)
class Selection:
    """Which points of a figure: platform names, systems, request rates or others of its axis values, settings; empty means
    the figure's own.

    For a local platform these are rates scaled to the measured capacity. ``added``: systems beside those, not judged.
    ``urgent`` and ``slo_scale`` are values of axes of these names, ``at`` of whatever axis a figure has.
    """

    models: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    rps: tuple[float, ...] = ()
    at: tuple[float, ...] = ()
    settings: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    urgent: tuple[float, ...] = ()
    slo_scale: tuple[float, ...] = ()

    def by_axis(self) -> dict[str, tuple[float, ...]]:
        """The values that were asked for of an axis by its name."""
        return {axis: values for axis in AXES if (values := getattr(self, axis))}

    def along(self, axis: str) -> Selection:
        """The same without values of other axes."""
        others: dict[str, Any] = {other: () for other in AXES if other != axis}
        return replace(self, at=(), **others)


@dataclass(frozen=True)
class Figure:
    """One figure of one paper.

    ``settings``: what it fixes, each run on every platform.
    ``timetable(platform, x, options)`` makes the workload of a point, the same for every system.
    ``measure(records)`` turns complete points into the metrics frame that ``claims`` judge.
    ``draw(metrics, caption, folder, suffix)`` writes folder/figN-suffix.pdf and .png, each with the ``caption`` of the
    rows that it shows, and returns their paths.
    ``deviation(metrics)``, where values are published, tells how far ours are from them (exps.figures.deviation).
    ``point_seconds`` and ``point_bytes`` are what a point costs on one core and on disk.
    ``has_traces``: the paper's artifact ships its workload. ``points_of``: the figure whose points this one draws from.
    ``kv_tokens`` is the KV pool, at every x or by x; ``policies(x)`` gives parameters by policy name to every system that
    does not choose its own, as in {"rpm": {"limit": 50}}.
    ``served_at(system, x)``: the axis value at which a system is served whose records serve for x too, told apart by what the
    figure measures of them. ``backend``: the only one that can measure it, and ``why`` no other can; ``timed_parts``: it tells
    drafting from verifying. ``output_tokens``: the answers' cap, where a person may choose another.
    ``local_values(platform, options)`` are the axis values on the machine at hand, ``until_s(x)`` when a local run ends
    with what is unfinished then. ``has_point(system, x)``: whether the figure has that point, where not every system is run at
    every x.
    """

    id: str
    title: str
    platforms: tuple[Platform, ...]
    settings: tuple[Setting, ...]
    systems: tuple[str, ...]
    sweep: Sweep
    calibrations: tuple[str, ...]
    timetable: Callable[[Platform, float, Options], pl.DataFrame]
    measure: Callable[[Sequence[Record]], pl.DataFrame]
    draw: Draw
    claims: tuple[Claim, ...] = ()
    deviation: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    point_seconds: float = 1.0
    point_bytes: int = 100_000
    record_steps: bool = False
    kv_tokens: int | Callable[[float], int] | None = None
    policies: Callable[[float], Mapping[str, Mapping[str, Any]]] | None = None
    has_traces: bool = False
    points_of: str | None = None
    local_values: Callable[[Platform, Options], tuple[float, ...]] | None = None
    until_s: Callable[[float], float] | None = None
    served_at: Callable[[str, float], float] | None = None
    backend: str | None = None
    why: str = ""
    timed_parts: bool = False
    output_tokens: int | None = None
    has_point: Callable[[str, float], bool] | None = None

    @property
    def points_folder(self) -> str:
        return self.points_of or self.id

    @property
    def published_platforms(self) -> tuple[Platform, ...]:
        """The paper's own."""
        return tuple(platform for platform in self.platforms if not platform.local)

    def values(self, platform: Platform, options: Options) -> tuple[float, ...]:
        """The figure's axis values for one platform."""
        if not platform.local:
            return self.sweep.of(platform.key, options.quick)
        assert self.local_values is not None
        return self.local_values(platform, options)

    def pool_at(self, x: float) -> int | None:
        """Tokens of the KV pool at an axis value; None means the deployment's."""
        return self.kv_tokens(x) if callable(self.kv_tokens) else self.kv_tokens

    def size(self, platform: Platform) -> int:
        """Points of the whole figure for one of the paper's platforms."""
        places = (platform.setting,) if platform.setting.name else self.settings
        values = [x for setting in places for x in self.sweep.values[setting.name or platform.name]]
        return sum(self.runs(system, x) for system in self.systems for x in values)

    def runs(self, system: str, x: float) -> bool:
        """Whether the figure runs the system at this value; those that are not its own it runs at every one."""
        return self.has_point is None or system not in self.systems or self.has_point(system, x)


@dataclass(frozen=True)
class Point:
    """One cell of a figure's sweep for one system: the unit that is run, resumed and cached."""

    figure: Figure = field(repr=False)
    platform: Platform
    system: str
    x: float

    @property
    def name(self) -> str:
        return f"{self.figure.sweep.axis}-{self.x:.10g}"

    @property
    def served(self) -> Point:
        """The point whose records are this one's too."""
        served_at = self.figure.served_at
        return self if served_at is None else replace(self, x=served_at(self.system, self.x))


@dataclass(frozen=True)
class Record:
    """A complete point as read: requests (one row a request), steps where the figure asked for them, manifest."""

    point: Point
    requests: pl.DataFrame
    steps: pl.DataFrame | None
    manifest: Mapping[str, Any]
