"""What the complete points of a plan say: metrics, judgements, distance to what was published, pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from joblib import Parallel, delayed

from engine.errors import InputError
from exps.figures.claims import Judgement, judge
from exps.figures.figure import Figure, Options, Platform, Point, Record, Selection
from exps.figures.numbers import table_of
from exps.papers.parts import judged_systems, part_name
from exps.report import Reporter, provenance
from exps.run.execute import complete_records, deaf_to_interrupts
from exps.run.plan import Plan, variant
from exps.run.records import storage
from hosting.machine import cores

Found = TypeVar("Found")
KEYS: Mapping[str, Callable[[Point], str]] = {
    "model": lambda point: point.platform.name,
    "setting": lambda point: point.platform.setting.name,
    "system": lambda point: point.system,
}
"""The columns by which rows of the metrics tell their points."""


@dataclass(frozen=True)
class Findings:
    """What the complete ``points`` of a plan say; ``judged`` are the metrics without added systems, ``numbers`` a row a point
    where systems were added."""

    plan: Plan
    points: Sequence[Point]
    metrics: pl.DataFrame
    judged: pl.DataFrame
    numbers: pl.DataFrame | None
    judgements: list[Judgement]

    @property
    def caption(self) -> str:
        return provenance(self.plan.options, self.points)

    def caption_of(self, rows: pl.DataFrame) -> str:
        """Of a picture that shows these rows of the metrics."""
        told = {name: key for name, key in KEYS.items() if name in rows.columns}
        shown = set(rows.select(*told).iter_rows())
        points = [point for point in self.points if tuple(key(point) for key in told.values()) in shown]
        return provenance(self.plan.options, points)


def each(work: Callable[[Plan], Found], plans: Sequence[Plan]) -> Iterator[Found]:
    """What ``work`` makes of each plan, in their order, on all cores."""
    with deaf_to_interrupts():
        return Parallel(n_jobs=min(cores(), len(plans)) or 1, return_as="generator")(delayed(work)(plan) for plan in plans)


def found_and_drawn(plan: Plan) -> tuple[Findings, list[Path]]:
    findings = find(plan)
    return findings, draw(findings)


def find(plan: Plan) -> Findings:
    """Metrics, judgements and caption of the complete points. InputError when there are none."""
    records = complete_records(plan)
    figure = plan.figure
    if not records:
        raise InputError(
            f"no complete points of {figure.id} for these options below {plan.root};"
            f" make them with `cli.py run {figure.id}` and the same options."
        )
    metrics, points = figure.measure(records), [record.point for record in records]
    judged = judged_metrics(figure, plan.selection, records, metrics)
    judgements = judge(figure.claims, judged, coverage(figure, points, plan.options), plan.options.quick)
    numbers = table_of(metrics, figure.sweep.axis) if plan.selection.added else None
    return Findings(plan, points, metrics, judged, numbers, judgements)


def coverage(figure: Figure, points: Sequence[Point], options: Options) -> dict[Platform, tuple[int, int]]:
    """By platform and setting how many of the whole figure's points there are, and how many it has."""
    found = {}
    for platform in dict.fromkeys(point.platform for point in points):
        xs = figure.values(platform, replace(options, quick=False))
        whole = {(system, x) for system in figure.systems for x in xs if figure.runs(system, x)}
        there = {(point.system, point.x) for point in points if point.platform == platform}
        found[platform] = (len(there & whole), len(whole))
    return found


def judged_metrics(figure: Figure, selection: Selection, records: Sequence[Record], metrics: pl.DataFrame) -> pl.DataFrame:
    """The metrics measured as though no system had been added."""
    systems = judged_systems(figure, selection)
    kept = [record for record in records if record.point.system in systems]
    if len(kept) == len(records):
        return metrics
    return figure.measure(kept) if kept else metrics.clear()


def show_findings(findings: Findings, report: Reporter) -> None:
    """The claims, and the distance to the published values where there are any."""
    figure = findings.plan.figure
    report.claims(figure, findings.judgements, findings.caption)
    if findings.numbers is not None:
        title = "All systems, added ones too; what changes over time, at the last tick"
        report.frame(title, findings.numbers, findings.caption)
    if (distance := _distance(findings)) is not None:
        report.frame("Distance to the published values", distance, findings.caption)


def as_document(findings: Findings) -> dict[str, Any]:
    """What `check --json` says of one figure."""
    distance = _distance(findings)
    return {
        "figure": findings.plan.figure.id,
        "source": findings.caption,
        "claims": [row.as_dict() for row in findings.judgements],
        "distance_to_published": [] if distance is None else distance.to_dicts(),
    }


def _distance(findings: Findings) -> pl.DataFrame | None:
    plan = findings.plan
    local = any(job.point.platform.local for job in plan.jobs)
    if plan.figure.deviation is None or plan.options.quick or local:
        return None
    return plan.figure.deviation(findings.judged)


def draw(findings: Findings) -> list[Path]:
    """The pictures, in root/paper/figure."""
    plan = findings.plan
    folder = plan.root / plan.figure.id
    suffix = "-".join(filter(None, (variant(plan.options), part_name(plan.figure, plan.selection))))
    with storage(plan.root):
        folder.mkdir(parents=True, exist_ok=True)
        return plan.figure.draw(findings.metrics, findings.caption_of, folder, suffix)
