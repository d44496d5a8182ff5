"""AdaServe's workload: three categories of requests with three SLOs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.errors import InputError
from exps.workload.adaserve_traces import find_emission, read_emission
from exps.workload.arrivals import ModulatedPoisson
from exps.workload.timetable import timetable

TRACE_S = 360.0
LLAMA_BASELINE_MS = 30.0
PROMPT_LENGTHS = Path(__file__).parent / "data" / "prompt_lengths.csv"


@dataclass(frozen=True)
class Category:
    """``slo_ratio`` above 0 is a multiple of the baseline latency, below 0 minus the milliseconds a token."""

    name: str
    slo_ratio: float
    share: float


CATEGORIES = (Category("coding", 1.2, 0.6), Category("chat", -50.0, 0.2), Category("summarization", -150.0, 0.2))


@dataclass(frozen=True)
class AnswerLengths:
    """True answer lengths: the cap with probability ``at_cap``, else uniform from ``shortest`` to the cap.

    The traces do not hold them; this form agrees with the published goodput per attained request.
    """

    cap: int = 256
    shortest: int = 32
    at_cap: float = 0.55

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """``count`` lengths in tokens; two draws a request, so that a longer draw starts with the shorter one."""
        capped, uniform = rng.random((count, 2)).T
        shorter = self.shortest + np.floor(uniform * (self.cap - self.shortest + 1)).astype(np.int64)
        return np.where(capped < self.at_cap, self.cap, shorter)


def requests_at(rps: float) -> int:
    """Requests in 360 s at a nominal rate: to the nearest 100, so that neighbouring rates may share one count."""
    return max(100, round(rps * TRACE_S / 100) * 100)


def fig8_timetable(
    rps: float,
    baseline_s: float,
    seed: int,
    traces: Path | None = None,
    output_cap: int = 256,
    duration_s: float = TRACE_S,
) -> pl.DataFrame:
    """The timetable of one rate of Figures 8 and 9; ``client`` is the category.

    ``baseline_s`` is the model's TPOT near zero load. ``traces`` is a folder with the artifact's emission files;
    without it requests are drawn from ``seed`` alone. As in the artifact, all rates are one sequence of requests, of
    which a rate takes the first ``requests_at(rps)`` and stretches their arrivals over 360 s; a shorter ``duration_s``
    takes proportionally fewer. Answer lengths are drawn from ``seed`` in either case. Raises InputError for missing or
    malformed traces.
    """
    *emission_rngs, answers = _generators(seed)
    if traces is None:
        emission = _generate(requests_at(rps), *emission_rngs)
    else:
        emission = _read(find_emission(traces, "fig8", rps, output_cap))
    emission = _first(emission, duration_s / TRACE_S)
    ratio = emission["slo_ratio"].to_numpy()
    return timetable(
        {
            "arrival_s": emission["arrival_s"],
            "client": emission["category"],
            "prompt_tokens": emission["prompt_tokens"],
            "output_tokens": AnswerLengths(cap=output_cap).draw(emission.height, answers),
            "slo_tpot_s": np.where(ratio > 0, ratio * baseline_s, -ratio / 1000),
            "category": emission["category"],
        }
    )


def local_timetable(
    rps: float, duration_s: float, baseline_s: float, seed: int, texts: Mapping[str, Sequence[tuple[int, int]]], context: int
) -> pl.DataFrame:
    """The evaluation's workload on the machine at hand: rps x duration_s requests, stretched over ``duration_s``.

    ``texts`` gives number and tokens of the prompts of each category, of which each request draws one that leaves room
    for its answer in ``context`` tokens. The SLOs keep the paper's ratios to the baseline latency: 1.2 for coding, and 50
    and 150 ms against Llama's 30 ms.
    """
    levels, gaps, kinds, prompts, answers = _generators(seed)
    count = max(1, round(rps * duration_s))
    output_tokens = AnswerLengths().draw(count, answers)
    arrival_s = ModulatedPoisson().draw(count, levels, gaps)
    kind, luck = _kinds(kinds.random(count)), prompts.random(count)
    fitting = {
        name: [text for text in texts_of_kind if text[1] + AnswerLengths.cap <= context]
        for name, texts_of_kind in texts.items()
    }
    if empty := [category.name for category in CATEGORIES if not fitting.get(category.name)]:
        raise InputError(f"no {empty[0]} text leaves room for {AnswerLengths.cap} tokens in a context of {context}.")
    names = [CATEGORIES[number].name for number in kind]
    drawn = [fitting[name][int(share * len(fitting[name]))] for name, share in zip(names, luck, strict=True)]
    ratio = np.array([_to_baseline(category.slo_ratio) for category in CATEGORIES])[kind]
    return timetable(
        {
            "arrival_s": arrival_s * (duration_s / max(arrival_s[-1], 1e-9)),
            "client": names,
            "prompt_tokens": [tokens for _, tokens in drawn],
            "output_tokens": output_tokens,
            "slo_tpot_s": ratio * baseline_s,
            "category": names,
            "prompt": [number for number, _ in drawn],
        }
    )


def _to_baseline(slo_ratio: float) -> float:
    """The multiple of the baseline latency that an SLO is."""
    return slo_ratio if slo_ratio > 0 else -slo_ratio / LLAMA_BASELINE_MS


def _kinds(quantile: NDArray[np.float64]) -> NDArray[np.intp]:
    shares = np.cumsum([category.share for category in CATEGORIES])[:-1]
    return np.searchsorted(shares, quantile, "right")


def _generators(seed: int) -> list[np.random.Generator]:
    """Independent streams for the arrival rate, the arrivals, the categories, the prompts and the answers."""
    return [np.random.default_rng(sequence) for sequence in np.random.SeedSequence(seed).spawn(5)]


def _generate(
    count: int,
    levels: np.random.Generator,
    gaps: np.random.Generator,
    kinds: np.random.Generator,
    prompts: np.random.Generator,
) -> pl.DataFrame:
    arrival_s = ModulatedPoisson().draw(count, levels, gaps)
    kind = _kinds(kinds.random(count))
    return pl.DataFrame(
        {
            "arrival_s": arrival_s * (TRACE_S / arrival_s[-1]),
            "prompt_tokens": _prompt_tokens(kind, prompts.random(count)),
            "slo_ratio": np.array([category.slo_ratio for category in CATEGORIES])[kind],
            "category": np.array([category.name for category in CATEGORIES])[kind],
        }
    )


def _prompt_tokens(kind: NDArray[np.intp], quantile: NDArray[np.float64]) -> NDArray[np.int64]:
    table = pl.read_csv(PROMPT_LENGTHS)
    lengths = [np.interp(quantile, table["quantile"], table[category.name]) for category in CATEGORIES]
    return np.rint(np.choose(kind, lengths)).astype(np.int64)


def _read(path: Path) -> pl.DataFrame:
    emission, ratio = read_emission(path), pl.col("slo_ratio")
    relative, *absolute = CATEGORIES
    names = ratio.replace_strict(
        [kind.slo_ratio for kind in absolute],
        [kind.name for kind in absolute],
        default=None,
        return_dtype=pl.String,
    )
    emission = emission.with_columns(category=pl.when(ratio > 0).then(pl.lit(relative.name)).otherwise(names))
    strange = emission.filter(pl.col("category").is_null())["slo_ratio"]
    if strange.len():
        known = ", ".join(f"{kind.slo_ratio:g}" for kind in absolute)
        raise InputError(f"{path}: slo_ratio {strange[0]:g} is of no category; it must be above 0 or one of {known}.")
    return emission


def _first(emission: pl.DataFrame, part: float) -> pl.DataFrame:
    """The first ``part`` (above 0, at most 1) of the requests, stretched over the same part of the time."""
    kept = emission.head(max(1, round(emission.height * part)))
    last, kept_last = emission["arrival_s"][-1], kept["arrival_s"][-1]
    stretch = part * last / kept_last if kept_last > 0 else 1.0
    return kept.with_columns(pl.col("arrival_s") * stretch)
