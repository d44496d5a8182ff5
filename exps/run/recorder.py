"""What happened in a run, as columns: one row a request, and tokens of each client over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from engine.core import Observer
from engine.request import FAILED, FINISHED, UNFINISHED, Request

NOTES = 1024


class Recorder:
    """The engine's observer: outcomes as columns, indexed by request id.

    ``timed``: also the seconds of the steps that computed each, in a column ``computed_s`` behind the others.
    """

    _COUNTS = {"output_tokens": "generated", "steps": "steps", "drafted_tokens": "drafted_tokens",
               "accepted_tokens": "accepted_tokens", "preemptions": "preemptions",
               "prompt_served": "prompt_served"}
    _TIMES = ("admitted_s", "first_token_s", "finished_s")

    def __init__(self, requests: int, record_steps: bool, timed: bool = False):
        self._replicas = np.zeros(requests, np.int64)
        self._computed_s = np.zeros(requests) if timed else None
        self._counts = np.zeros((requests, len(self._COUNTS)), np.int32)
        self._times = np.full((requests, len(self._TIMES)), np.nan)
        self._finished = np.zeros(requests, bool)
        self._faults: dict[int, tuple[str, str]] = {}
        self._noted: list[tuple[float | None, ...]] = []
        self._log = StepLog() if record_steps else None

    def request_done(self, request: Request) -> None:
        row = request.id
        if request.status != FINISHED:
            self._faults[row] = (request.status, request.reason or "")
        self._finished[row] = request.status == FINISHED
        self._note(request)

    def request_left(self, request: Request) -> None:
        """The run was stopped while the request waited or ran: it keeps the status "unfinished", and what is known of it. One
        that ended in the very step that stopped the run has ended."""
        if request.status in (FINISHED, FAILED):
            self.request_done(request)
        else:
            self._note(request)

    def _note(self, request: Request) -> None:
        self._replicas[request.id] = request.replica
        if self._computed_s is not None:
            self._computed_s[request.id] = request.computed_s
        self._noted.append(
            (
                request.id, request.generated, request.steps, request.drafted_tokens, request.accepted_tokens,
                request.preemptions, request.prompt_served, request.admitted_s, request.first_token_s, request.finished_s,
            )
        )
        if len(self._noted) == NOTES:
            self._write_down()

    def _write_down(self) -> None:
        """Move what was noted into the columns, all at once."""
        notes = np.array(self._noted, np.float64).reshape(-1, 1 + len(self._COUNTS) + len(self._TIMES))
        rows = notes[:, 0].astype(np.int64)
        self._counts[rows] = notes[:, 1 : -len(self._TIMES)]
        self._times[rows] = notes[:, -len(self._TIMES) :]
        self._noted.clear()

    def step_done(
        self, start_s: float, end_s: float, prompt: Mapping[str, int], output: Mapping[str, int], steps: int = 1,
        adapter: str | None = None,
    ) -> None:
        if self._log is not None:
            self._log.add(start_s, end_s, prompt, output, steps, adapter)

    def on(self, replica: int) -> Observer:
        """What hears of the steps of one replica of several, which may overlap in time with those of others."""
        return _OnReplica(self.request_done, self._log, replica)

    def requests(self, timetable: pl.DataFrame) -> pl.DataFrame:
        """The records in the order of the timetable."""
        self._write_down()
        status = np.where(self._finished, FINISHED, UNFINISHED).astype(object)
        reason: list[str | None] = [None] * timetable.height
        for row, fault in self._faults.items():
            status[row], reason[row] = fault
        counts = {name: self._counts[:, i].astype(np.int64) for i, name in enumerate(self._COUNTS)}
        times = {name: pl.Series(self._times[:, i]).fill_nan(None) for i, name in enumerate(self._TIMES)}
        given = timetable.drop("output_tokens").with_row_index("request").with_columns(pl.col("request").cast(pl.Int64))
        frame = given.with_columns(
            replica=pl.Series(self._replicas),
            status=pl.Series(status, dtype=pl.String),
            reason=pl.Series(reason, dtype=pl.String),
            **{name: pl.Series(values) for name, values in counts.items()},
            **times,
        )
        if self._computed_s is None:
            return frame.select(RECORD_COLUMNS)
        return frame.with_columns(computed_s=pl.Series(self._computed_s)).select(*RECORD_COLUMNS, "computed_s")

    def steps(self) -> pl.DataFrame | None:
        """Run-length rows of tokens by client, or None when steps were not recorded."""
        return None if self._log is None else self._log.frame()


RECORD_COLUMNS = (
    "request", "client", "app", "interaction", "call", "adapter", "category", "replica", "status", "reason",
    "prompt_tokens", "output_tokens", "arrival_s", "admitted_s", "first_token_s", "finished_s", "slo_tpot_s",
    "steps", "drafted_tokens", "accepted_tokens", "preemptions", "prompt_served", "calls", "system_tokens", "app_limit",
    "slo_s", "expected_input", "expected_system", "expected_output", "patience_s",
)


class _OnReplica:
    """The recorder, for the engine of one replica."""

    def __init__(self, request_done: Callable[[Request], None], log: StepLog | None, replica: int):
        self._request_done, self._log, self._replica = request_done, log, replica

    def request_done(self, request: Request) -> None:
        self._request_done(request)

    def step_done(
        self, start_s: float, end_s: float, prompt: Mapping[str, int], output: Mapping[str, int], steps: int = 1,
        adapter: str | None = None,
    ) -> None:
        if self._log is not None:
            self._log.add(start_s, end_s, prompt, output, steps, adapter, self._replica)


class StepLog:
    """Tokens of each client over time: one row for each stretch of a replica's steps in which a client's counts, and the
    adapter that was merged, stayed the same."""

    def __init__(self) -> None:
        self._open: dict[int, dict[str, list[Any]]] = {}
        self._rows: list[tuple[Any, ...]] = []

    def add(
        self, start_s: float, end_s: float, prompt: Mapping[str, int], output: Mapping[str, int], steps: int = 1,
        adapter: str | None = None, replica: int = 0,
    ) -> None:
        there = self._open.setdefault(replica, {})
        for client in [client for client in there if client not in output and client not in prompt]:
            self._close(replica, client)
        for client in {**output, **prompt}:
            counts = (prompt.get(client, 0), output.get(client, 0), adapter)
            run = there.get(client)
            if run is not None and run[0] == counts:
                run[2], run[3] = end_s, run[3] + steps
            else:
                self._close(replica, client)
                there[client] = [counts, start_s, end_s, steps]

    def _close(self, replica: int, client: str) -> None:
        run = self._open[replica].pop(client, None)
        if run is not None:
            (prompt, output, adapter), start_s, end_s, steps = run
            self._rows.append((client, start_s, end_s, steps, prompt * steps, output * steps, adapter, replica))

    def frame(self) -> pl.DataFrame:
        """Rows by start: client, start_s, end_s, steps, prompt_tokens, output_tokens; adapter where one was ever merged, and
        replica where there were several."""
        for replica, there in self._open.items():
            for client in list(there):
                self._close(replica, client)
        schema = {"client": pl.String, "start_s": pl.Float64, "end_s": pl.Float64, "steps": pl.Int64,
                  "prompt_tokens": pl.Int64, "output_tokens": pl.Int64, "adapter": pl.String, "replica": pl.Int64}
        rows = pl.DataFrame(self._rows, schema, orient="row").sort("start_s", "client", "replica", maintain_order=True)
        told = {"adapter": rows["adapter"].null_count() < rows.height, "replica": len(self._open) > 1}
        return rows.drop(name for name, there in told.items() if not there)
