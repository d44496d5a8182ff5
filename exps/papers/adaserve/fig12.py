"""AdaServe, Figure 12: tokens a verification over the request rate, from the points of Figure 8.

AdaServe's are output tokens, the bonus included; those of chains are what vLLM V0 counts: all draft tokens that the target
agrees with, also behind one that it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
from scipy.optimize import brentq

from exps.figures.claims import Claim, Verdict, verdict
from exps.figures.figure import Record
from exps.figures.numbers import Numbers
from exps.metrics.requests import summarize
from exps.papers.adaserve.distances import distance_to
from exps.papers.adaserve.evaluation import ADASERVE, STATIC
from exps.papers.adaserve.fig8 import FIG8
from exps.papers.adaserve.pictures import RPS, over
from plots.axes import Axis

COUNTED = Axis("counted_tokens", "Tokens a verification, as counted", (0, None))
LENGTHS = {system: int(system.rpartition("-")[2]) for system in STATIC}
SYSTEMS = (ADASERVE, *STATIC)


def counted_tokens(requests: pl.DataFrame, drafted: int) -> float | None:
    """What vLLM V0 counts of chains of ``drafted`` tokens: a verification, the tokens that the target agrees with.

    Records tell how many were accepted, up to the first that is not. The chance of each token follows from that for every
    category, as if all its tokens had the same; None where nothing was drafted.
    """
    sums = requests.filter(pl.col("drafted_tokens") > 0).group_by("category", maintain_order=True)
    rows = sums.agg(pl.col("accepted_tokens", "drafted_tokens").sum()).select("accepted_tokens", "drafted_tokens").rows()
    steps = np.array([tokens / drafted for _, tokens in rows])
    chances = np.array([_chance(accepted * drafted / tokens, drafted) for accepted, tokens in rows])
    return float(drafted * (chances @ steps) / steps.sum()) if rows else None


def _chance(accepted: float, drafted: int) -> float:
    """By which ``accepted`` of ``drafted`` tokens in a row are expected."""
    if not 0 < accepted < drafted:
        return float(accepted >= drafted)
    return float(brentq(lambda chance: np.sum(chance ** np.arange(1, drafted + 1)) - accepted, 0, 1))


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """model, system, rps, counted_tokens."""
    rows = []
    for record in records:
        point, drafted = record.point, LENGTHS.get(record.point.system)
        tokens = counted_tokens(record.requests, drafted) if drafted else None
        counted = tokens if drafted else summarize(record.requests)["mean_tokens_per_verification"]
        rows.append((point.platform.name, point.system, point.x, counted))
    schema = {"model": pl.String, "system": pl.String, "rps": pl.Float64, COUNTED.column: pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


NOISE = 0.15


def _falls(numbers: Numbers) -> Verdict:
    ours = list(numbers.each(ADASERVE, COUNTED.column, "rps", least=2).values())
    lengths = {system: list(numbers.each(system, COUNTED.column, "rps", least=2).values()) for system in STATIC}
    spread = max(max(values) - min(values) for values in lengths.values())
    falls = all(after <= before + NOISE for before, after in pairwise(ours)) and ours[-1] < ours[0] - NOISE
    return verdict(falls and spread < 0.1, f"AdaServe {ours[0]:.2f} -> {ours[-1]:.2f}; chains' spread at most {spread:.2f}")


CLAIMS = (
    Claim(
        "C8",
        "AdaServe's tokens a verification fall with the rate; those of chains stay the same",
        {
            "llama": "AdaServe 6.23 -> 4.82; chains' spread at most 0.06",
            "qwen": "AdaServe 3.85 -> 2.93; chains' spread at most 0.05",
        },
        "0.15 tokens; a spread of 0.1",
        _falls,
    ),
)
FIG12 = replace(
    FIG8,
    id="adaserve/fig12",
    title="Tokens a verification over the request rate",
    systems=SYSTEMS,
    measure=measure,
    draw=over("fig12", RPS, COUNTED, published="mean_accepted_tokens").draw,
    claims=CLAIMS,
    deviation=distance_to("fig12", "rps", COUNTED.column, published="mean_accepted_tokens"),
    points_of=FIG8.id,
)
