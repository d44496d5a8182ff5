"""From points to jobs: what each is served with and where its result lies, and which are complete already."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import polars as pl

from engine.blame import blame
from engine.configuration import merge_policies
from engine.contract import ContractError
from engine.errors import InputError
from engine.ordering import Ordering
from engine.roles import Policies
from engine.system import parse_system
from exps.figures.figure import Figure, Options, Platform, Point, Selection
from exps.run.backends import BACKENDS
from exps.run.manifest import configuration
from exps.run.records import is_complete
from exps.run.serving import Setup
from exps.workload.timetable import SCHEMA
from hosting.device import CPU
from hosting.machine import cores

POOL_START_S = 2.0


@dataclass(frozen=True)
class Job:
    """A point with all it takes to run it and the folder of its result."""

    point: Point
    setup: Setup
    timetable: pl.DataFrame
    configuration: dict[str, Any]
    folder: Path
    done: bool


@dataclass(frozen=True)
class Plan:
    """The jobs of one figure under ``root``, the results folder, and the selection that they are of."""

    figure: Figure
    options: Options
    root: Path
    jobs: tuple[Job, ...]
    selection: Selection = field(default_factory=Selection)

    @property
    def to_do(self) -> list[Job]:
        return [job for job in self.jobs if not job.done]

    @property
    def has_points(self) -> bool:
        return any(job.done for job in self.jobs)


def make_plan(figure: Figure, points: Sequence[Point], options: Options, root: Path) -> Plan:
    """One timetable for each (platform, x), shared by all systems, and what is complete already. Writes nothing."""
    timetables: dict[tuple[Platform, float], pl.DataFrame] = {}
    jobs = []
    for point in points:
        key = (point.platform, point.served.x)
        if key not in timetables:
            timetables[key] = figure.timetable(*key, options)
        jobs.append(_job(point, options, root, timetables[key]))
    return Plan(figure, options, root, tuple(jobs))


def unique_jobs(plans: Iterable[Plan]) -> list[Job]:
    """The jobs to do of several plans, each folder once: figures may share points."""
    return list({job.folder: job for plan in plans for job in plan.to_do}.values())


def estimate_s(jobs: Sequence[Job], workers: int) -> float:
    """Seconds that the jobs will take: the figures' own estimates of simulations, the clock's of native runs."""
    return POOL_START_S + sum(map(_seconds, jobs)) / workers if jobs else 0.0


def useful_workers(jobs: Sequence[Job]) -> int:
    """All cores, or this process alone where it must be, or where starting others would take longer than they save."""
    if any(BACKENDS[job.setup.backend].alone for job in jobs):
        return 1
    return cores() if estimate_s(jobs, cores()) < sum(map(_seconds, jobs)) else 1


def _seconds(job: Job) -> float:
    return BACKENDS[job.setup.backend].seconds(job.point.figure, job.timetable, job.setup.until_s)


def variant(options: Options, hardware: str | None = None) -> str:
    """The name of what results come from: backend, hardware, calibration, traces, quick."""
    parts = [options.backend, hardware, options.calibration if BACKENDS[options.backend].simulates else None]
    parts += [f"acceptance-{options.acceptance}"] * bool(options.acceptance)
    parts += ["widened"] * (options.weights != "own") + ["traces"] * bool(options.traces) + ["quick"] * options.quick
    parts += [f"output-{options.output_tokens}"] * bool(options.output_tokens) + ["traced"] * options.trace_steps
    return "-".join(part for part in parts if part)


def check_setup(setup: Setup) -> Policies:
    """The policies of a system. InputError unless they can be built for the model and hardware with this calibration."""
    deployment = setup.deployment()
    policies = setup.system.build(setup.parameters(deployment))
    if policies.speculation is not None and deployment.draft is None:
        raise InputError(
            f"{setup.system.name} speculates, and {setup.model} on {setup.hardware} has no draft model;"
            " choose a system without speculation, or another model."
        )
    return policies


def check_needs(timetable: pl.DataFrame, ordering: Ordering, name: str) -> None:
    """InputError when the ordering of the system ``name`` goes by what the trace does not tell of every request."""
    try:
        lacking = [column for column in columns_of(ordering) if timetable[column].null_count()]
    except Exception as error:
        raise InputError(f"{name}: {blame(error) or error}") from error
    if lacking:
        raise InputError(
            f"{name} goes by {', '.join(lacking)}, which the workload lacks for some of its requests; choose"
            " another --system, or add the columns to a trace of your own."
        )


def columns_of(ordering: Ordering) -> tuple[str, ...]:
    """What the ordering needs of a timetable. ContractError when it names something else than columns."""
    needs = ordering.needs
    if not isinstance(needs, tuple | list) or not set(needs) <= set(SCHEMA):
        raise ContractError(ordering, "needs", f"answered {needs!r}, which are no columns of a timetable,")
    return tuple(needs)


def folder_of(point: Point, options: Options, root: Path) -> Path:
    """root/paper/figure/variant/model/setting/system/point; a setting without a name has no folder."""
    place = root / point.figure.points_folder / variant(options, point.platform.hardware)
    return place / point.platform.name / point.platform.setting.name / folder_name(point.system) / point.name


def folder_name(system: str) -> str:
    """A system as the name of a folder; what a file system may not like becomes a digest."""
    if re.fullmatch(r"[\w=,()-][\w=,().-]{0,99}", system, re.ASCII):
        return system
    return f"{re.sub(r'[^A-Za-z0-9=,-]', '_', system)[:60]}-{hashlib.sha256(system.encode()).hexdigest()[:8]}"


def setup_of(point: Point, options: Options) -> Setup:
    """What runs on what at a point."""
    figure, platform = point.figure, point.platform
    return Setup(
        system=parse_system(point.system).under(platform.setting.batching),
        model=platform.model,
        hardware=platform.hardware,
        calibration=options.calibration or figure.calibrations[0],
        seed=options.seed,
        kv_tokens=figure.pool_at(point.x),
        policies=merge_policies(platform.setting.policies, figure.policies(point.x) if figure.policies else {}),
        record_steps=figure.record_steps,
        backend=options.backend,
        acceptance=options.acceptance,
        profiles=options.profiles,
        weights=options.weights,
        device=platform.device or CPU,
        execution=options.execution,
        trace_steps=options.trace_steps,
        timed_parts=figure.timed_parts,
        step_by_step=options.step_by_step,
        until_s=figure.until_s(point.x) if platform.local and figure.until_s else None,
    )


def _job(point: Point, options: Options, root: Path, timetable: pl.DataFrame) -> Job:
    served = point.served
    setup = setup_of(served, options)
    check_needs(timetable, check_setup(setup).ordering, setup.system.name)
    asked = configuration(
        setup,
        timetable,
        options.workload_source,
        point.figure.points_folder,
        quick=options.quick,
        point={point.figure.sweep.axis: served.x},
    )
    folder = folder_of(served, options, root)
    return Job(point, setup, timetable, asked, folder, is_complete(folder, asked))


def minutes(figure: Figure, workers: int) -> int:
    """Minutes that the whole figure takes, rounded up."""
    points = sum(figure.size(platform) for platform in figure.published_platforms)
    return ceil((POOL_START_S + points * figure.point_seconds / workers) / 60)
