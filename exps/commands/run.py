"""`cli.py run`: what is missing of a figure is served, then its claims are judged and its pictures drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from exps.commands.batch import BatchRun, execute_batch, summarise
from exps.commands.findings import each, found_and_drawn, show_findings
from exps.commands.planning import applicable, plan_figures
from exps.commands.profile import profile
from exps.figures.figure import Options, Selection
from exps.papers.registry import find_figures, is_several, platforms_of
from exps.report import Reporter
from exps.run.backends import NATIVE
from exps.run.backends.native import check_torch
from exps.run.local import check_memory, is_measured
from exps.run.plan import estimate_s, unique_jobs, useful_workers
from exps.run.records import check_writable
from hosting.device import CPU


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
    for findings, pictures in each(found_and_drawn, [plan for plan in ended if not batch.failed or plan.has_points]):
        show_findings(findings, report)
        report.pictures(pictures)
    if one_by_one or batch.failed:
        summarise(batch, report)
    return not batch.failed


def measure_where_needed(name: str, selection: Selection, options: Options, report: Reporter) -> None:
    """Measure this machine with every local model of the selection that it was not measured with, after a word about what is
    loaded for it."""
    every, lenient = find_figures(name), is_several(name)
    figures = [figure for figure in every if not lenient or applicable(figure, selection, options.backend)]
    platforms = [platform for figure in figures for platform in platforms_of(figure, selection.models, options)]
    for platform in dict.fromkeys(platforms):
        if platform.local and options.profiles is not None and not is_measured(platform, options.profiles):
            check_torch()
            check_memory(platform.model, platform.device or CPU)
            then = "it was not measured here yet, which comes first and takes minutes; then follow its points and their time"
            report.say(f"{platform.name}: {NATIVE.notice(platform, options)}; {then}.")
            profile(platform, options, report)
