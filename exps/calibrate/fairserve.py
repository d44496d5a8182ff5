"""Fitting Llama-2-7B on an A100, and the pace at which its server read requests, to a recorded run of FairServe's artifact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.executors.simulated.cost import Line, TiledPrefill
from engine.executors.simulated.profiles import Calibration, Deployment, load_deployment
from exps.calibrate.store import store
from exps.papers.fairserve.recordings import FairServeRun, decode_step_s, overtaking, read_recordings
from exps.papers.fairserve.replay import replay
from exps.papers.fairserve.server import CALIBRATION, HARDWARE, MODEL, READS_PER_WAIT
from exps.recorded.calibration import OF_FAIRSERVE
from exps.recorded.perturb import perturbed_cold_start, perturbed_deployment

COMMAND = "cli.py fit --fairserve DIR"
REPEATS, ROUNDS, TRIALS = 6, 3, 6

Report = Callable[[str], None]


@dataclass(frozen=True)
class Server:
    """A decode step of one request without its context, a tile of the prefill, and requests read at each wait."""

    step_s: float = 0.0155
    tile_s: float = 0.008
    reads_per_wait: float = 1.3

    def deployment(self) -> Deployment:
        """Llama-2-7B on an A100 as this server ran it.

        What one more sequence costs, the fixed cost of a prefill and the host's share of a step are the same server's on an
        A10G; what a cached token costs follows from the A100's bandwidth.
        """
        base, like = load_deployment(MODEL, HARDWARE), load_deployment(MODEL, "a10g")
        assert like.prefill is not None
        sequence_s = (like.line(64) - like.line(1)) / 63
        host_s = like.calibration("session-2023").host_s
        return replace(
            base,
            line=Line((1.0, 64.0), (self.step_s, self.step_s + 63 * sequence_s)),
            prefill=TiledPrefill(like.prefill.fixed_s, self.tile_s),
            calibrations={CALIBRATION: Calibration(OF_FAIRSERVE, host_s=host_s)},
        )


def fit(folder: Path, report: Report, into: Path | None = None) -> list[Path]:
    """Fit three numbers to three of the run's: its decode step, its length and how far requests overtook one another.

    One after the other, in rounds, since each number moves mostly its own. Returns the file of the first two; the third is
    reported, and belongs to exps.papers.fairserve.server.
    """
    run = next(run for run in read_recordings(folder) if run.name == OF_FAIRSERVE)
    wanted = _landmarks(run)
    server = Server()
    for _ in range(ROUNDS):
        for place, name in enumerate(("step_s", "tile_s", "reads_per_wait")):
            server = _solve(server, name, run, place, wanted, 0.01 if name == "reads_per_wait" else 0.03)
        found = _replayed(server, run)
        report(f"{server}: decode step {found[0] / wanted[0] - 1:+.2%}, length {found[1] / wanted[1] - 1:+.2%},"
               f" overtaking {found[2]:.2f} of {wanted[2]:.2f}")
    report(f"reads_per_wait {server.reads_per_wait:.3f}; exps/papers/fairserve/server.py has {READS_PER_WAIT}")
    return [store(f"{MODEL}@{HARDWARE}", _table(server), into)]


def _landmarks(run: FairServeRun) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([decode_step_s(run.requests), run.total_s, overtaking(run.requests)])


def _replayed(server: Server, run: FairServeRun) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The landmarks of small perturbations of the replay, the same for every trial: their mean."""
    marks = []
    for seed in range(REPEATS):
        rng = np.random.default_rng(seed)
        tried = perturbed_deployment(server.deployment(), rng)
        marks.append(_landmarks(replay(run, tried, server.reads_per_wait, perturbed_cold_start(rng))))
    found: np.ndarray[Any, np.dtype[np.float64]] = np.mean(marks, axis=0)
    return found


def _solve(
    server: Server, name: str, run: FairServeRun, place: int, wanted: np.ndarray[Any, np.dtype[np.float64]], span: float
) -> Server:
    """The value at which the landmark's logarithm, a line through trials within ``span`` of the present value, is met."""
    start = getattr(server, name)
    values = start * (1 + np.linspace(-span, span, TRIALS))
    marks = np.array([_replayed(replace(server, **{name: float(value)}), run)[place] for value in values])
    slope, offset = np.polyfit(values, np.log(marks), 1)
    best = float(np.clip((np.log(wanted[place]) - offset) / slope, start * (1 - 3 * span), start * (1 + 3 * span)))
    return replace(server, **{name: best})


def _table(server: Server) -> dict[str, Any]:
    fitted = server.deployment()
    assert fitted.prefill is not None
    return {
        "fitted_by": COMMAND,
        "forward": {"tokens": list(fitted.line.tokens), "seconds": list(fitted.line.seconds)},
        "prefill": {"fixed_s": fitted.prefill.fixed_s, "tile_s": fitted.prefill.tile_s},
        "calibration": {
            CALIBRATION: {"fitted_on": f"FairServe {OF_FAIRSERVE}", "host_s": fitted.calibration(CALIBRATION).host_s}
        },
    }

