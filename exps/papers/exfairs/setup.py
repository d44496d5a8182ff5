"""What ExFairS's figures run: its testbed, its strategies, and the places of their sweeps."""

from __future__ import annotations

from typing import Any

import polars as pl

from engine.configuration import merge_policies
from exps.figures.figure import Options, Platform, Setting

MODEL, HARDWARE = "qwen2.5-32b", "8xv100-32g"
TESTBED = Platform("qwen-32b", MODEL, HARDWARE, "Qwen2.5-32B on 8 V100")
PERIOD_S, QUICK_ROUNDS = 105.0, 2
EXFAIRS, CONTINUOUS, FCFS, VTC = "exfairs", "exfairs-continuous", "vllm", "vtc"
ROUND_ROBIN, JUSTITIA, PENALIZED = "round-robin", "justitia", "exfairs,order=exfairs(penalize_service=true)"
SLO_ONLY, SHORT_ROUNDS = "exfairs,order=exfairs(alpha=1)", "exfairs,order=exfairs(round_s=20)"
HALF_WAY = "exfairs,order=exfairs(multiplier=1)"
SLO_GREEDY = "slo-greedy,order=slo-greedy(count_late=true)"
TITLES = {
    EXFAIRS: "ExFairS",
    CONTINUOUS: "ExFairS, continuous",
    VTC: "VTC",
    FCFS: "FCFS",
    ROUND_ROBIN: "Round-robin",
    "vtc-artifact": "VTC, artifact",
    JUSTITIA: "Justitia",
    SLO_GREEDY: "SLO-greedy",
    "que": "QuE",
    PENALIZED: "ExFairS, 1 - share",
    SLO_ONLY: "ExFairS, SLO alone",
    SHORT_ROUNDS: "ExFairS, rounds of 20 s",
    HALF_WAY: "ExFairS, half as far",
}
"""All batch as vLLM does. SLO-greedy counts late answers: it does not in the artifact, where failures are, of which a
simulation has none, so that it would be FCFS."""
VARIANTS = (EXFAIRS, PENALIZED, SLO_ONLY, SHORT_ROUNDS, HALF_WAY)
SYSTEMS = tuple(name for name in TITLES if name not in VARIANTS[1:])
EXFAIRS_FORMS = (EXFAIRS, CONTINUOUS)
BASELINES = (VTC, FCFS, ROUND_ROBIN)


SEATS, BOUNDED_SEQUENCES = 128, 16
"""The artifact's seats, and the fewest that cost FCFS no throughput: exps.calibrate.exfairs.fit finds them."""
PLACES = {"dec-1": "dec-1", "early-3-bounded": "early-3", "dec-1-bounded": "dec-1"}
"""Where a sweep takes place, and the scenario it is."""


BATCHING = "vllm"
ROUNDS = {name: {"round_s": PERIOD_S} for name in ("exfairs", "que", "vtc-artifact")}
"""A round of the policies is one of the clients."""


def seats(name: str, count: int, title: str = "") -> Setting:
    """So many requests at a time."""
    limits: dict[str, dict[str, Any]] = {BATCHING: {"max_sequences": count}}
    return Setting(name, f"{title}{count} at a time", BATCHING, merge_policies(ROUNDS, limits))


BY_SEATS = tuple(seats(f"seats-{count}", count) for count in (SEATS, BOUNDED_SEQUENCES))
SETTINGS = tuple(
    seats(name, BOUNDED_SEQUENCES if name.endswith("-bounded") else SEATS, f"{scenario}, ")
    for name, scenario in PLACES.items()
)


def scenario_timetable(name: str, options: Options, load: float = 1.0, slo_scale: float = 1.0) -> pl.DataFrame:
    """The rounds of a scenario; two of them where time is short."""
    from dataclasses import replace

    from exps.workload.exfairs import SCENARIOS, rounds_timetable

    scenario = SCENARIOS[name]
    assert scenario.period_s == PERIOD_S
    if options.quick:
        scenario = replace(scenario, rounds=QUICK_ROUNDS)
    return rounds_timetable(scenario, options.seed, load=load, slo_scale=slo_scale)
