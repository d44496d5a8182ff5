"""Fitting Llama-2-7B on an A10G and Llama-2-13B on an A100 to the recordings of VTC's artifact."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.optimize import brentq, least_squares

from engine.configuration import from_table
from engine.executors.simulated.cost import Line, TiledPrefill
from engine.executors.simulated.profiles import Calibration, Deployment, load_deployment
from exps.calibrate.store import store
from exps.recorded.calibration import A100_RUN, FIRST_SESSION, SECOND_SESSION
from exps.recorded.perturb import perturbed_cold_start, perturbed_timetable
from exps.recorded.recordings import Environment, Recording, environment, read_recordings
from exps.recorded.replay import replay

PROFILE = "a10g_llama2_7b_cost_profile.json"
SLICES = (0.0, 0.02, 0.1, 0.4, 0.7, 0.9, 0.98, 1.0)
WEIGHTS = np.array([3.0, 0.3, *[1.0] * 7])
REPEATS = 8
COMMAND = "cli.py fit --vtc DIR"

Report = Callable[[str], None]


def fit(folder: Path, report: Report, into: Path | None = None) -> list[Path]:
    """Fit both deployments from ``folder`` (the form of a recorded folder, plus the cost profile); returns the files."""
    runs = {recording.name: recording for recording in read_recordings(folder)}
    a10g = fit_a10g(json.loads((folder / PROFILE).read_text()), runs, report)
    a100 = fit_a100(a10g, runs[A100_RUN], report)
    return [store("llama-2-7b@a10g", a10g, into), store("llama-2-13b@a100-80g", a100, into)]


def fit_a10g(profile: Mapping[str, Any], runs: Mapping[str, Recording], report: Report) -> dict[str, Any]:
    """The decode line and the tiles of the prefill from the profile; four numbers of the server from the runs."""
    rows = profile_rows(profile)
    base = replace(load_deployment("llama-2-7b", "a10g"), line=fit_decode(rows), prefill=fit_prefill(rows))
    server = fit_server(base, runs, report)
    fitted = server.applied_to(base)
    assert fitted.prefill is not None
    return {
        "fitted_by": COMMAND,
        "context_s": fitted.context_s,
        "forward": {"tokens": list(base.line.tokens), "seconds": list(base.line.seconds)},
        "prefill": {"fixed_s": fitted.prefill.fixed_s, "tile_s": fitted.prefill.tile_s},
        "calibration": {
            name: {
                "fitted_on": ", ".join(("cost profile", *FIRST_SESSION, *SECOND_SESSION)),
                "step_factor": calibration.step_factor,
                "host_s": calibration.host_s,
            }
            for name, calibration in fitted.calibrations.items()
        },
    }


def profile_rows(profile: Mapping[str, Any]) -> NDArray[np.float64]:
    """Rows of (input, output, batch, prefill seconds of the batch, decode seconds of the batch)."""
    return np.array(
        [
            (int(given), int(produced), batch, prefill * batch, decode * batch)
            for given, entries in profile.items()
            for produced, (batch, prefill, decode) in entries.items()
        ]
    )


def fit_decode(rows: NDArray[np.float64]) -> Line:
    """Seconds of a decode step without its context: a + b x batch to 64 requests, then the profile's own excess.

    Fitted to rows with 64 outputs or more; the context slope of the same fit is dropped, since a server's is larger.
    """
    rows = rows[rows[:, 1] >= 64]
    given, produced, batch, _, decode = rows.T
    step, context = decode / produced, batch * (given + (produced + 1) / 2)
    small = batch <= 64
    terms = np.stack([np.ones(batch.size), batch, context], axis=1)
    a, b, c = np.linalg.lstsq(terms[small] / step[small, None], np.ones(small.sum()), rcond=None)[0]
    order = np.argsort(batch[~small])
    above, rest = batch[~small][order], (step - c * context)[~small][order]
    return Line((1.0, 64.0, *above), (a + b, a + 64 * b, *rest))


def fit_prefill(rows: NDArray[np.float64], tile: int = 128) -> TiledPrefill:
    """A fixed cost and a cost a tile, by least squares on relative errors."""
    given, _, batch, seconds, _ = rows.T
    terms = np.stack([np.ones(batch.size), np.ceil(given * batch / tile)], axis=1)
    fixed_s, tile_s = np.linalg.lstsq(terms / seconds[:, None], np.ones(batch.size), rcond=None)[0]
    return TiledPrefill(float(fixed_s), float(tile_s), tile)


@dataclass(frozen=True)
class Server:
    """What the server adds to the profile: microseconds for each cached token, milliseconds of host time a step, the
    second session's decode steps relative to the first's, and the fixed milliseconds of a prefill."""

    context_us: float = 1.3
    host_ms: float = 0.5
    second_session: float = 0.98
    prefill_ms: float = 38.0

    def applied_to(self, base: Deployment) -> Deployment:
        """``base`` as this server runs it."""
        assert base.prefill is not None
        host_s = self.host_ms * 1e-3
        factors = {"session-2023": 1.0, "session-2024": self.second_session}
        calibrations = {name: Calibration("", step_factor=f, host_s=host_s) for name, f in factors.items()}
        prefill = replace(base.prefill, fixed_s=self.prefill_ms * 1e-3 - host_s)
        return replace(base, context_s=self.context_us * 1e-6, prefill=prefill, calibrations=calibrations)


def fit_server(base: Deployment, runs: Mapping[str, Recording], report: Report) -> Server:
    """Least squares on total times, decode times by slice, and the TTFT of the ramp, of the three calibration runs.

    Equal lengths lock a run into one of several groupings of its batch, so each run is replayed with
    ``REPEATS`` small perturbations, the same for every trial, and the mean is compared.
    """
    chosen = [runs[name] for name in (*FIRST_SESSION, *SECOND_SESSION)]

    def residuals(values: NDArray[np.float64]) -> NDArray[np.float64]:
        server = Server(*map(float, values))
        tried = server.applied_to(base)
        calls = (delayed(_replayed_marks)(tried, run, seed) for run in chosen for seed in range(REPEATS))
        marks = np.array(Parallel(n_jobs=-1)(calls)).reshape(len(chosen), REPEATS, -1).mean(axis=1)
        errors = (marks / np.array([landmarks(run) for run in chosen]) - 1) * WEIGHTS
        report(f"{server}: rms {np.sqrt(np.mean(errors**2)):.3%}")
        return errors.ravel()

    start = np.array(astuple(Server()))
    bounds = ((0.5, 0.0, 0.9, 0.0), (3.0, 5.0, 1.1, 100.0))
    steps = (0.02, 0.2, 0.005, 0.1)
    scale = (0.1, 0.5, 0.01, 5.0)
    best = least_squares(residuals, start, bounds=bounds, x_scale=scale, diff_step=steps, max_nfev=8)
    return Server(*map(float, best.x))


def _replayed_marks(tried: Deployment, run: Recording, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    timetable = perturbed_timetable(run.timetable(), rng)
    return landmarks(replay(run, _place(run), tried, seed, timetable, perturbed_cold_start(rng)))


def _place(run: Recording) -> Environment:
    return environment(run.name, run.committed_on)


def landmarks(run: Recording) -> NDArray[np.float64]:
    """Total seconds, mean TTFT of the first slice, and mean seconds an output token in each slice.

    Slices follow the order of sending, so that the ramp, the bulk and the drain stand apart; answers under 16 tokens are
    left out of the decode times.
    """
    rows = run.requests.sort("send_time_s", maintain_order=True)
    ramp = rows.head(round(SLICES[1] * rows.height))["first_token_latency_s"].mean()
    rows = rows.filter(pl.col("output_tokens") >= 16)
    decode_s = rows["request_latency_s"] - rows["first_token_latency_s"]
    seconds = (decode_s / rows["output_tokens"]).to_numpy()
    edges = [round(edge * seconds.size) for edge in SLICES]
    slices = [seconds[start:end].mean() for start, end in pairwise(edges)]
    return np.array([run.total_s, ramp, *slices])


def fit_a100(a10g: Mapping[str, Any], run: Recording, report: Report) -> dict[str, Any]:
    """13B on an A100 from one run at constant occupancy: one number is fitted, the step without context.

    The context slope is carried over from the A10G by bandwidth and KV size, the prefill by operations over matrix rate;
    the cost of one more sequence and the fixed cost of a prefill are the host's and stay.
    """
    from_, to = load_deployment("llama-2-7b", "a10g"), load_deployment("llama-2-13b", "a100-80g")
    bandwidth = to.hardware.bandwidth_bytes_per_s / from_.hardware.bandwidth_bytes_per_s
    rate = to.hardware.flops_per_s / from_.hardware.flops_per_s
    context_s = a10g["context_s"] * to.model.kv_bytes_per_token / from_.model.kv_bytes_per_token / bandwidth
    tile_s = a10g["prefill"]["tile_s"] * to.model.parameters / from_.model.parameters / rate
    prefill = TiledPrefill(a10g["prefill"]["fixed_s"], tile_s)
    measured = from_table(Line, a10g["forward"], "the A10G's line")
    sequence_s = (measured(64) - measured(1)) / 63
    same_host = Calibration("", host_s=a10g["calibration"]["session-2023"]["host_s"])

    def too_long(step_s: float) -> float:
        line = Line((1.0, 64.0), (step_s, step_s + 63 * sequence_s))
        sessions = {"session-2023": same_host}
        tried = replace(to, line=line, context_s=context_s, prefill=prefill, calibrations=sessions)
        error = replay(run, _place(run), tried).total_s / run.total_s - 1
        report(f"13B step {step_s * 1e3:.3f} ms: total time {error:+.3%}")
        return error

    step_s = float(brentq(too_long, 0.010, 0.080, xtol=5e-5))
    return {
        "fitted_by": COMMAND,
        "context_s": context_s,
        "forward": {"tokens": [1.0, 64.0], "seconds": [step_s, step_s + 63 * sequence_s]},
        "prefill": {"fixed_s": prefill.fixed_s, "tile_s": prefill.tile_s},
        "calibration": {"session-2023": {"fitted_on": run.name, "host_s": same_host.host_s}},
    }
