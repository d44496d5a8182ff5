"""The simulate command: a person's own trace on any system, model and hardware."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from engine.errors import InputError, PolicyError
from engine.executors.simulated.profiles import load_deployment
from engine.ordering.mechanics.weights import numbers
from engine.system import System, parse_system
from exps.commands.reasons import reasons_by_kind
from exps.commands.slos import hopeless
from exps.figures.typed import canonical_system, split_systems
from exps.metrics.fairness import fairness
from exps.metrics.requests import summarize, summarize_by_client
from exps.metrics.starvation import starvation_s
from exps.report import Reporter
from exps.run.manifest import configuration, manifest
from exps.run.plan import check_needs, check_setup
from exps.run.records import NAMES, REQUESTS, check_writable, is_complete, remove_stale, storage, write_record
from exps.run.serving import Setup
from exps.run.work import produce
from exps.workload.checks import check_clients
from exps.workload.clock import from_first_arrival
from exps.workload.trace_csv import read_trace_csv

CLIENT_COLUMNS = (
    "client", "submitted", "finished", "rejected", "aborted", "attainment_pct", "tokens_per_s", "mean_ttft_s", "p99_ttft_s",
    "mean_tpot_s", "p99_tpot_s", "mean_e2e_s", "starvation_s",
    "starvation_counting_refused_s",
)
MOST_CLIENTS = 40


def command(trace: Path, setup: Setup, out: Path, report: Reporter) -> None:
    """Serve the trace, write its records to ``out`` and print overall and per-client metrics.

    ``out`` must be new, empty, or an earlier result, which is replaced. InputError on bad input or a bad disk; PolicyError
    when a policy raises, after the records so far were written.
    """
    timetable, start_s = from_first_arrival(read_trace_csv(trace))
    if start_s:
        report.note(f"The clock starts at the first arrival, {start_s:.15g} s in {trace.name}.")
    policies = check_setup(setup)
    _check_weighted(timetable, setup.system)
    check_needs(timetable, policies.ordering, setup.system.name)
    if sentence := hopeless(timetable, setup):
        report.note(sentence)
    _check_replaceable(out)
    check_writable(out.absolute().parent)
    remove_stale(out.absolute().parent, pattern="")
    asked = configuration(setup, timetable, f"trace {trace.name}")
    if not is_complete(out, asked):
        product = produce(timetable, setup)
        with storage(out):
            write_record(out.absolute(), product.files, manifest(asked, product))
        if product.failure:
            raise PolicyError(f"{product.failure} Records so far: {out}.")
    _show(trace, setup, out, report)


def only_system(named: Sequence[str]) -> System:
    """The system of a run. InputError for several."""
    systems = split_systems(list(named))
    if len(systems) != 1:
        named_ones = " and ".join(systems) or "none"
        raise InputError(f"simulate runs one system, not {named_ones}; compare them by a command and an --out each.")
    return parse_system(canonical_system(systems[0]))


def first_calibration(model: str, hardware: str) -> str:
    """The calibration to use where none is asked for."""
    return next(iter(load_deployment(model, hardware).calibrations))


def _check_weighted(timetable: pl.DataFrame, system: System) -> None:
    """InputError when the ordering gives a weight or a priority to a client that the trace does not have."""
    ordering = system.choices["ordering"]
    for parameter in ("weights", "priorities"):
        check_clients(timetable, numbers(ordering.parameters.get(parameter)), f"order={ordering}")


def _check_replaceable(out: Path) -> None:
    """InputError unless ``out`` holds nothing but what an earlier run wrote."""
    if out.is_dir():
        foreign = sorted(path.name for path in out.iterdir() if path.name not in NAMES)
        if foreign:
            raise InputError(f"{out} holds other files, such as {foreign[0]}; choose a new folder with --out DIR.")
    elif out.exists():
        raise InputError(f"{out} is a file; choose a new folder with --out DIR.")


def _show(trace: Path, setup: Setup, out: Path, report: Reporter) -> None:
    requests = pl.read_parquet(out / REQUESTS)
    source = (
        f"SIMULATION, not a measurement: {setup.system.name} ({setup.system.parts}), {setup.model} on {setup.hardware},"
        f" calibration {setup.calibration}, trace {trace.name}, seed {setup.seed}."
    )
    report.values("All requests", summarize(requests), source)
    report.values("Fairness", fairness(requests), "Each is defined in docs/metrics.md.")
    counting = starvation_s(requests, count_refused=True).rename({"starvation_s": "starvation_counting_refused_s"})
    by_client = summarize_by_client(requests).join(starvation_s(requests), on="client").join(counting, on="client")
    clients = by_client.select(CLIENT_COLUMNS).sort("submitted", "client", descending=[True, False])
    more = clients.height - MOST_CLIENTS
    note = f"{more} smaller clients are not shown." if more > 0 else None
    report.frame("By client", clients.head(MOST_CLIENTS), note)
    for count, reason in reasons_by_kind(requests):
        report.say(f"Not served: {count:,} requests: {reason}")
    report.say(f"Records: {out}")
