"""What dLoRA's server took for each sequence of a step, beyond the constants of its scheduler.

These constants, a merged step of 15 ms and an unmerged one of 27, are what steps of one or two requests took: at the rates of
PEFT and of vLLM with a model for each adapter, which never batch more, the simulator comes close without further ado. With 16
requests in a step the published server was slower. One number, seconds of the host for each sequence, is fitted to one
published value: dLoRA's throughput in Figure 12 with 16 adapters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from scipy.optimize import brentq

from engine.executors.simulated.profiles import Deployment
from engine.system import parse_system
from exps.figures.figure import Options
from exps.figures.published import read_published
from exps.papers.dlora.replicas import FIG12
from exps.papers.dlora.setup import DLORA, FITTED, LLAMA_7B
from exps.run.serving import Setup
from exps.run.simulation import simulate

ADAPTERS, MOST_S, CLOSE_S = 16.0, 0.004, 1e-5
Report = Callable[[str], None]


def fit(report: Report) -> None:
    """Report the number; it belongs to the deployments of the three models."""
    place = replace(LLAMA_7B, setting=FIG12.settings[0])
    requests = FIG12.timetable(place, ADAPTERS, Options())
    setup = Setup(parse_system(DLORA), place.model, place.hardware, FITTED, kv_tokens=FIG12.pool_at(ADAPTERS),
                  policies=place.setting.policies)
    deployment, published = setup.deployment(), _published()

    def excess(sequence_s: float) -> float:
        served = simulate(requests, setup, _with(deployment, sequence_s))
        rate = requests.height / (served.facts["end_s"] - float(requests["arrival_s"][0]))
        report(f"{1000 * sequence_s:.3f} ms a sequence: {rate:.2f} requests/s, published {published:.2f}")
        return rate - published

    sequence_s = round(brentq(excess, 0.0, MOST_S, xtol=CLOSE_S), 6)
    report(f"sequence_s {sequence_s:.6f}; the deployments have {deployment.calibration(FITTED).sequence_s:.6f}")


def _published() -> float:
    row = read_published("dlora", "fig12").filter(system=DLORA, adapters=int(ADAPTERS))
    return float(row["requests_per_s"].item())


def _with(deployment: Deployment, sequence_s: float) -> Deployment:
    fitted = replace(deployment.calibration(FITTED), sequence_s=sequence_s)
    return replace(deployment, calibrations={**deployment.calibrations, FITTED: fitted})
