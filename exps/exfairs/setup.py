"""What ExFairS's figures run: its testbed, its strategies, and the places of their sweeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.configuration import merge_policies
from exps.figure import Options, Platform, Setting

if TYPE_CHECKING:
    import polars as pl

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


@dataclass(frozen=True)
class Place:
    """Where a sweep takes place: a scenario at a load."""

    scenario: str
    load: float = 1.0


BOUNDED_SEQUENCES, BOUNDED_LOAD = 16, 0.8
"""The fewest sequences that the artifact passes to its engine, instead of 128, and a load that the server then still bears."""
PLACES = {
    "dec-1": Place("dec-1"),
    "early-3-bounded": Place("early-3", BOUNDED_LOAD),
    "dec-1-bounded": Place("dec-1", BOUNDED_LOAD),
}


def _setting(name: str) -> Setting:
    bounded = name.endswith("-bounded")
    slots = f"{BOUNDED_SEQUENCES if bounded else 128} at a time"
    limits: dict[str, dict[str, Any]] = {"vllm": {"max_sequences": BOUNDED_SEQUENCES}} if bounded else {}
    return Setting(name, f"{PLACES[name].scenario}, {slots}", BATCHING, merge_policies(ROUNDS, limits))


BATCHING = "vllm"
ROUNDS = {name: {"round_s": PERIOD_S} for name in ("exfairs", "que", "vtc-artifact")}
"""A round of the policies is one of the clients."""
PUBLISHED = Setting(batching=BATCHING, policies=ROUNDS)
SETTINGS = tuple(_setting(name) for name in PLACES)


def scenario_timetable(name: str, options: Options, load: float = 1.0, slo_scale: float = 1.0) -> pl.DataFrame:
    """The rounds of a scenario; two of them where time is short."""
    from dataclasses import replace

    from exps.workload.exfairs import SCENARIOS, rounds_timetable

    scenario = SCENARIOS[name]
    assert scenario.period_s == PERIOD_S
    if options.quick:
        scenario = replace(scenario, rounds=QUICK_ROUNDS)
    return rounds_timetable(scenario, options.seed, load=load, slo_scale=slo_scale)
