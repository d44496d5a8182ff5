"""Run the jobs of plans in parallel and record each at once."""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from engine.errors import InputError
from exps.figures.figure import Record
from exps.run.manifest import manifest
from exps.run.plan import Job, Plan
from exps.run.records import read_record, remove_stale, storage, write_record
from exps.run.work import Product, produce, produce_numbered

OnStart = Callable[[Job], None]


def execute(
    jobs: Sequence[Job], root: Path, workers: int, on_done: Callable[[Job, Product], None], on_start: OnStart | None = None
) -> None:
    """Run the jobs and record each as it comes; ``on_done`` hears of each recorded one, also of one that failed. None is run
    after one whose failure is final.

    ``on_start`` hears of each before it runs, where this process runs them one by one.

    Whatever stops it, recorded points stay. InputError when the disk refuses or a worker is killed.
    """
    remove_stale(root)
    with closing(_products(jobs, min(workers, len(jobs) or 1), on_start)) as products:
        for job, product in products:
            with storage(root):
                write_record(job.folder, product.files, manifest(job.configuration, product))
            on_done(job, product)
            if product.final:
                return


def complete_records(plan: Plan) -> list[Record]:
    """The complete points of a plan, read."""
    return [read_record(job.folder, job.point) for job in plan.jobs if job.done]


def _products(
    jobs: Sequence[Job], workers: int, on_start: OnStart | None
) -> Generator[tuple[Job, Product], None, None]:
    """Products as they come, in any order. A pool that is left early is torn down at once."""
    if workers == 1:
        for job in jobs:
            if on_start:
                on_start(job)
            yield job, produce(job.timetable, job.setup)
        return
    tasks = (delayed(produce_numbered)(index, job.timetable, job.setup) for index, job in enumerate(jobs))
    with deaf_to_interrupts():
        products = Parallel(n_jobs=workers, batch_size=1, return_as="generator_unordered")(tasks)
    try:
        yield from ((jobs[index], product) for index, product in products)
    except TerminatedWorkerError as error:
        raise InputError(
            "a worker process was killed, perhaps for want of memory; complete points are kept, so run the same"
            " command again with --jobs 1."
        ) from error
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            products.close()


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Processes that start in here ignore Ctrl-C for good: the terminal sends it to all, and one is to answer."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
