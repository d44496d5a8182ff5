"""Claims C1 and C6 over the share of urgent requests (AdaServe, Figure 10)."""

from __future__ import annotations

from functools import partial

from exps.figures.claims import Claim, Verdict, verdict
from exps.figures.numbers import MissingError, Numbers
from exps.papers.adaserve.claims import POINTS, dominates
from exps.papers.adaserve.evaluation import ADASERVE, STATIC, SYSTEMS

ATTAINMENT = "attainment_pct"
DRAWN = 0.2
"""The smallest share in the figure; the artifact's 10 % is not drawn."""


def _by_share(numbers: Numbers, system: str) -> list[float]:
    values = [value for share, value in numbers.each(system, ATTAINMENT, "urgent").items() if share >= DRAWN - 1e-9]
    if len(values) < 3:
        raise MissingError(f"{system} at three shares")
    return values


def _ends(numbers: Numbers, systems: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    return {system: (values[0], values[-1]) for system in systems if (values := _by_share(numbers, system))}


def _told(ends: dict[str, tuple[float, float]]) -> str:
    return "; ".join(f"{system} {first:.0f} -> {last:.0f}" for system, (first, last) in ends.items())


def _falls(numbers: Numbers, *systems: str) -> Verdict:
    ends = _ends(numbers, systems)
    return verdict(all(first - last > POINTS for first, last in ends.values()), _told(ends))


def _rises(numbers: Numbers) -> Verdict:
    ends = _ends(numbers, (ADASERVE, *STATIC))
    return verdict(all(last - first > POINTS for first, last in ends.values()), _told(ends))


def _steady(numbers: Numbers) -> Verdict:
    spread = {system: max(values) - min(values) for system in SYSTEMS if (values := _by_share(numbers, system))}
    least = min(spread[system] for system in SYSTEMS if system != ADASERVE)
    ours = f"AdaServe {spread[ADASERVE]:.0f} points; of others at least {least:.0f}"
    return verdict(spread[ADASERVE] <= least + POINTS, ours)


SHARE_CLAIMS = (
    Claim(
        "C1",
        "AdaServe's attainment and goodput are at least the best baseline's at every share of urgent requests",
        {"llama": "least lead +4.2 points, +2.1 % goodput", "qwen": "least lead -0.7 points, +3.9 % goodput"},
        "1.5 points, 1.5 %",
        partial(dominates, axis="urgent", least=DRAWN),
    ),
    Claim(
        "C6 vLLM",
        "vLLM's attainment falls as the share of urgent requests grows",
        {"llama": "46 -> 14", "qwen": "64 -> 24"},
        "by more than 1.5 points",
        lambda numbers: _falls(numbers, "vllm"),
    ),
    Claim(
        "C6 Sarathi",
        "Sarathi-Serve's attainment falls too",
        {"llama": "64 -> 31", "qwen": "76 -> 61, from 50 at 70 %"},
        "by more than 1.5 points",
        lambda numbers: _falls(numbers, "sarathi"),
    ),
    Claim(
        "C6 speculation",
        "AdaServe's attainment and that of all chains rise",
        {
            "llama": "A 85 -> 98; S4 57 -> 94; S6 52 -> 94; S8 46 -> 92",
            "qwen": "A 75 -> 97; S4 33 -> 92; S6 20 -> 80; S8 9 -> 54",
        },
        "by more than 1.5 points",
        _rises,
    ),
    Claim(
        "C6 steady",
        "AdaServe's attainment varies least",
        {"llama": "13 points; of others at least 32", "qwen": "22 points; of others at least 26"},
        "1.5 points",
        _steady,
    ),
)
