"""What becomes of the points of one command: told point by point or as a bar, and summed up at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exps.report import Reporter, duration
from exps.run.execute import execute
from exps.run.plan import Job
from exps.run.work import Product


@dataclass
class BatchRun:
    """The points of one command. ``before`` were complete when it began; ``failed`` has the sentence of each that failed."""

    jobs: Sequence[Job]
    before: int = 0
    done: list[Job] = field(default_factory=list)
    failed: list[tuple[Job, str]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, job: Job, product: Product) -> None:
        if product.failure:
            self.failed.append((job, product.failure))
        else:
            self.done.append(job)

    @property
    def folders(self) -> set[Path]:
        """Of the points that were completed now."""
        return {job.folder for job in self.done}

    @property
    def ended(self) -> int:
        return len(self.done) + len(self.failed)


def execute_batch(batch: BatchRun, root: Path, workers: int, report: Reporter, one_by_one: bool) -> None:
    """Run the jobs of a batch: one by one with a line at the start and the end of each, or together under a bar.

    A point whose policy raises is counted as failed and the others go on, but not after a failure that is final. An interrupt
    passes on after a word about what is kept.
    """
    begin = time.perf_counter()
    try:
        if one_by_one:
            execute(batch.jobs, root, 1, _ended(batch, report), _started(batch, report))
        else:
            _under_a_bar(batch, root, workers, report)
    except KeyboardInterrupt:
        report.interrupted(len(batch.done), len(batch.jobs))
        raise
    finally:
        batch.seconds = time.perf_counter() - begin


def summarise(batch: BatchRun, report: Reporter) -> None:
    """Counts, then every point that was completed and every one that failed, with its reason."""
    left = len(batch.jobs) - batch.ended
    report.values(
        "Summary",
        {
            "points": batch.before + len(batch.jobs),
            "complete before": batch.before,
            "completed now": len(batch.done),
            "failed": len(batch.failed),
            **({"not run": left} if left else {}),
            "time": duration(batch.seconds),
        },
    )
    if batch.done:
        report.say(f"Completed: {', '.join(title(job) for job in batch.done)}")
    for job, failure in batch.failed:
        report.say(f"Failed: {title(job)}: {failure}")


def title(job: Job) -> str:
    """A point as a person calls it."""
    point = job.point
    return f"{point.figure.id} {point.platform.place} {point.name} {point.system}"


def _under_a_bar(batch: BatchRun, root: Path, workers: int, report: Reporter) -> None:
    with report.progress(len(batch.jobs)) as advance:

        def on_done(job: Job, product: Product) -> None:
            batch.add(job, product)
            advance()

        execute(batch.jobs, root, workers, on_done)


def _started(batch: BatchRun, report: Reporter) -> Callable[[Job], None]:
    def say(job: Job) -> None:
        report.note(f"{batch.ended + 1}/{len(batch.jobs)} {title(job)}: started")

    return say


def _ended(batch: BatchRun, report: Reporter) -> Callable[[Job, Product], None]:
    def say(job: Job, product: Product) -> None:
        batch.add(job, product)
        what = f"failed: {product.failure}" if product.failure else f"complete in {product.wall_s:.1f} s"
        following = batch.jobs[batch.ended] if batch.ended < len(batch.jobs) else None
        then = f"; next: {title(following)}" if following else "; that was the last"
        then = f"; {len(batch.jobs) - batch.ended} more cannot be run after that" if product.final and following else then
        report.note(f"{batch.ended}/{len(batch.jobs)} {title(job)}: {what}{then}")

    return say
