"""AdaServe's workload: three categories of requests with three SLOs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from engine.errors import InputError
from exps.workload.adaserve_drawn import draw_emission
from exps.workload.adaserve_loads import CATEGORIES, TRACE_S, AnswerLengths, Load, generators, kinds_of
from exps.workload.adaserve_traces import find_emission, read_emission
from exps.workload.arrivals import ModulatedPoisson
from exps.workload.timetable import timetable

LLAMA_BASELINE_MS = 30.0


def evaluation_timetable(
    load: Load, baseline_s: float, seed: int, traces: Path | None = None, duration_s: float = TRACE_S
) -> pl.DataFrame:
    """The timetable of one load of the evaluation; ``client`` is the category.

    ``baseline_s`` is the model's TPOT near zero load. ``traces`` is a folder with the artifact's emission files;
    without it requests are drawn from ``seed`` alone. As in the artifact, all rates are one sequence of requests, of
    which a rate takes the first ``requests_at(rps)`` and stretches their arrivals over 360 s; a shorter ``duration_s``
    takes proportionally fewer. Answer lengths are drawn from ``seed`` in either case. Raises InputError for missing or
    malformed traces.
    """
    *emission_rngs, answers = generators(seed)
    emission = draw_emission(load, *emission_rngs) if traces is None else _read(find_emission(traces, load), load)
    emission = _first(emission, duration_s / TRACE_S)
    ratio = emission["slo_ratio"].to_numpy()
    return timetable(
        {
            "arrival_s": emission["arrival_s"],
            "client": emission["category"],
            "prompt_tokens": emission["prompt_tokens"],
            "output_tokens": AnswerLengths(cap=load.cap).draw(emission.height, answers),
            "slo_tpot_s": np.where(ratio > 0, ratio * baseline_s, -ratio / 1000),
            "category": emission["category"],
        }
    )


def local_timetable(
    rps: float, duration_s: float, baseline_s: float, seed: int, texts: Mapping[str, Sequence[tuple[int, int]]], context: int,
    load: Load | None = None,
) -> pl.DataFrame:
    """The evaluation's workload on the machine at hand: rps x duration_s requests, stretched over ``duration_s``.

    ``texts`` gives number and tokens of the prompts of each category, of which each request draws one that leaves room
    for its answer in ``context`` tokens. The SLOs keep the paper's ratios to the baseline latency: 1.2 for coding, and 50
    and 150 ms against Llama's 30 ms. ``load``: another mix, SLO or cap than Figure 8's; its rate does not count.
    """
    load = Load() if load is None else load
    levels, gaps, kinds, prompts, answers = generators(seed)
    count = max(1, round(rps * duration_s))
    output_tokens = AnswerLengths(cap=load.cap).draw(count, answers)
    arrival_s = ModulatedPoisson().draw(count, levels, gaps)
    kind, luck = kinds_of(kinds.random(count), load.shares), prompts.random(count)
    fitting = {
        name: [text for text in texts_of_kind if text[1] + load.cap <= context] for name, texts_of_kind in texts.items()
    }
    if empty := [category.name for category in CATEGORIES if not fitting.get(category.name)]:
        raise InputError(f"no {empty[0]} text leaves room for {load.cap} tokens in a context of {context}.")
    names = [CATEGORIES[number].name for number in kind]
    drawn = [fitting[name][int(share * len(fitting[name]))] for name, share in zip(names, luck, strict=True)]
    ratio = np.array([_to_baseline(slo_ratio) for slo_ratio in load.ratios])[kind]
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


def _read(path: Path, load: Load) -> pl.DataFrame:
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
    return _in_tokens(emission) if load.fluctuating else emission


def _in_tokens(emission: pl.DataFrame) -> pl.DataFrame:
    """Prompts that were counted in characters."""
    by_kind = {kind.name: kind.characters for kind in CATEGORIES}
    characters = pl.col("category").replace_strict(by_kind, return_dtype=pl.Float64)
    tokens = (pl.col("prompt_tokens") / characters).round().cast(pl.Int64).clip(lower_bound=1)
    return emission.with_columns(prompt_tokens=tokens)


def _first(emission: pl.DataFrame, part: float) -> pl.DataFrame:
    """The first ``part`` (above 0, at most 1) of the requests, stretched over the same part of the time."""
    kept = emission.head(max(1, round(emission.height * part)))
    last, kept_last = emission["arrival_s"][-1], kept["arrival_s"][-1]
    stretch = part * last / kept_last if kept_last > 0 else 1.0
    return kept.with_columns(pl.col("arrival_s") * stretch)
