"""What the figure commands do: run, plot and check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from joblib import Parallel, delayed

from engine.configuration import read_toml
from engine.errors import InputError
from exps.backends.native import check_torch
from exps.batch import BatchRun, execute_batch, summarise
from exps.claims import Judgement, any_fails, judge
from exps.claims_page import claims_page
from exps.figure import Figure, Options, Platform, Point, Record, Selection
from exps.local import is_measured
from exps.numbers import table_of
from exps.parts import judged_systems, part_name
from exps.records import check_writable, storage
from exps.registry import expand, find_figures, is_several, platforms_of, traces_of
from exps.report import Reporter, provenance
from exps.runner import (
    Plan,
    complete_records,
    deaf_to_interrupts,
    estimate_s,
    make_plan,
    unique_jobs,
    useful_workers,
    variant,
)
from hosting.machine import cores

Found = TypeVar("Found")


@dataclass(frozen=True)
class Findings:
    """What the complete points of a plan say; ``judged`` are the metrics without added systems, ``numbers`` a row a point
    where systems were added."""

    plan: Plan
    metrics: pl.DataFrame
    judged: pl.DataFrame
    numbers: pl.DataFrame | None
    judgements: list[Judgement]
    caption: str


def run(
    name: str,
    selection: Selection,
    options: Options,
    root: Path,
    workers: int | None,
    report: Reporter,
    one_by_one: bool = False,
) -> bool:
    """Run what is missing of a figure, or of all, and show claims and pictures; False when a point failed.

    ``one_by_one``: with a line for each point and a summary. InputError for bad input or disks.
    """
    check_writable(root)
    measure_where_needed(name, selection, options, report)
    plans = plan_figures(name, selection, options, root)
    jobs = unique_jobs(plans)
    workers = 1 if one_by_one else workers or useful_workers(jobs)
    report.plans(plans, estimate_s(jobs, workers))
    batch = BatchRun(jobs, before=len({job.folder for plan in plans for job in plan.jobs if job.done}))
    execute_batch(batch, root, workers, report, one_by_one)
    ended = [replace(plan, jobs=tuple(replace(job, done=job.done or job.folder in batch.folders) for job in plan.jobs))
             for plan in plans]
    for findings, pictures in _each(_found_and_drawn, [plan for plan in ended if not batch.failed or plan.has_points]):
        show_findings(findings, report)
        report.pictures(pictures)
    if one_by_one or batch.failed:
        summarise(batch, report)
    return not batch.failed


def measure_where_needed(name: str, selection: Selection, options: Options, report: Reporter) -> None:
    """Measure this machine with every local model of the selection that it was not measured with."""
    figures = [figure for figure in find_figures(name) if not is_several(name) or _applicable(figure, selection)]
    platforms = [platform for figure in figures for platform in platforms_of(figure, selection.models, options.backend)]
    for platform in dict.fromkeys(platforms):
        if platform.local and options.profiles is not None and not is_measured(platform, options.profiles):
            profile(platform, options.weights, options.profiles, options.quick, report)


def profile(platform: Platform, weights: str, folder: Path, quick: bool, report: Reporter) -> Path:
    """Measure this machine with a local model. InputError where torch or the model is missing."""
    check_torch()
    from exps.calibrate.profile import measure

    with report.status(f"Measuring this machine with {platform.name}") as say:
        return measure(platform, weights, folder, quick, say)


def show_profile(path: Path, report: Reporter) -> None:
    """What was measured, and where it is kept."""
    table = read_toml(path)
    line = table["forward"]
    report.values(
        f"{path.stem}: {table['source']}",
        {
            "baseline TPOT (ms)": 1e3 * table["baseline_tpot_s"],
            **{
                f"forward of {tokens:.0f} tokens (ms)": 1e3 * seconds
                for tokens, seconds in zip(line["tokens"], line["seconds"], strict=True)
            },
            "1000 cached tokens (ms)": 1e6 * table["context_s"],
            "draft step (ms)": 1e3 * table.get("draft_step_s", 0.0),
            "each token of it (ms)": 1e3 * table.get("draft_step_token_s", 0.0),
            "AdaServe's budget B (tokens)": table["policies"].get("adaserve", {}).get("budget"),
        },
    )
    report.say(f"Profile: {path}")


def plot(name: str, selection: Selection, options: Options, root: Path, report: Reporter) -> None:
    """Draw the complete points again."""
    for _, pictures in _each(_found_and_drawn, _with_points(name, selection, options, root)):
        report.pictures(pictures)


def check(
    name: str, selection: Selection, options: Options, root: Path, report: Reporter, as_json: bool, as_page: bool = False
) -> bool:
    """Judge the claims on the complete points, printed as tables, JSON or a page of Markdown; True when none fails."""
    found = list(_each(find, _with_points(name, selection, options, root)))
    if as_json:
        report.json([as_document(item) for item in found])
    elif as_page:
        report.say(claims_page([(item.plan.figure, item.judgements, item.caption) for item in found]))
    else:
        for item in found:
            show_findings(item, report)
    return not any(any_fails(item.judgements) for item in found)


def plan_figures(name: str, selection: Selection, options: Options, root: Path) -> list[Plan]:
    """A plan a figure. For "all", figures take what applies to them of the selection and the options."""
    return [
        replace(make_plan(figure, points, settled, root), selection=wanted)
        for figure, points, settled, wanted in asked_of(name, selection, options)
    ]


def asked_of(
    name: str, selection: Selection, options: Options
) -> list[tuple[Figure, list[Point], Options, Selection]]:
    """The points of each figure, and the options and the selection as it understands them.

    InputError where no figure has the models.
    """
    lenient = is_several(name)
    found = []
    for figure in find_figures(name):
        wanted = _applicable(figure, selection) if lenient else selection
        if wanted is not None:
            own = replace(options, traces=traces_of(name, figure, options.traces))
            found.append((figure, *expand(figure, wanted, own, lenient), wanted))
    if not found:
        raise InputError(f"no figure has the models {', '.join(selection.models)}; `cli.py list` shows what there is.")
    return found


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
    return Findings(plan, metrics, judged, numbers, judgements, provenance(plan.options, points))


def coverage(figure: Figure, points: Sequence[Point], options: Options) -> dict[Platform, tuple[int, int]]:
    """By platform and setting how many of the whole figure's points there are, and how many it has."""
    found = {}
    for platform in dict.fromkeys(point.platform for point in points):
        xs = figure.values(platform, replace(options, quick=False))
        whole = {(system, x) for system in figure.systems for x in xs}
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
        report.frame("All systems, added ones too", findings.numbers, findings.caption)
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
        return plan.figure.draw(findings.metrics, findings.caption, folder, suffix)


def _with_points(name: str, selection: Selection, options: Options, root: Path) -> list[Plan]:
    """The plans of a figure; of "all", those that have points."""
    plans = plan_figures(name, selection, options, root)
    return [plan for plan in plans if plan.has_points] or plans if is_several(name) else plans


def _found_and_drawn(plan: Plan) -> tuple[Findings, list[Path]]:
    findings = find(plan)
    return findings, draw(findings)


def _each(work: Callable[[Plan], Found], plans: Sequence[Plan]) -> Iterator[Found]:
    """What ``work`` makes of each plan, in their order, on all cores."""
    with deaf_to_interrupts():
        return Parallel(n_jobs=min(cores(), len(plans)) or 1, return_as="generator")(delayed(work)(plan) for plan in plans)


def _applicable(figure: Figure, selection: Selection) -> Selection | None:
    """The part of a selection that a figure knows, or None when it has none of the models."""
    known = {platform.name for platform in figure.platforms}
    models = tuple(name for name in selection.models if name in known)
    if selection.models and not models:
        return None
    settings = tuple(name for name in selection.settings if name in {setting.name for setting in figure.settings})
    if selection.settings and not settings:
        return None
    rps = selection.rps if figure.sweep.axis == "rps" else ()
    return replace(selection, models=models, settings=settings, rps=rps, at=())
