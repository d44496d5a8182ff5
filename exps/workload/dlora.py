"""dLoRA's workload: requests of ShareGPT's lengths for adapters as popular as Azure's functions."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from exps.workload.azure_functions import MAF1, MAF2, draw_calls, read_2019, read_2021, shares_of
from exps.workload.timetable import timetable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
INTERVAL_MINUTES = 60
SHORTEST, LONGEST_PROMPT = 4, 1024
MEAN_PROMPT, MEAN_OUTPUT = 245.995, 196.273
"""Tokens of 1,000 requests that vLLM's benchmark takes from ShareGPT by the rules of dLoRA's client, with Llama-2's tokenizer
(issue 144 of vectorch-ai/ScaleLLM)."""
PROMPT, OUTPUT = (193.0, 1.3), (116.5, 1.1)
"""Median and sigma of lognormal lengths that have these means once they are cut; the sigmas are assumed."""


@dataclass(frozen=True)
class Load:
    """``requests`` at ``rps`` for ``adapters`` adapters, whose shares are of ``hours`` hours of ``trace`` (maf1 or maf2).

    ``ranked`` and ``stride``: which functions make an adapter (azure_functions.shares_of). ``cv``: of the gaps between an
    adapter's arrivals. ``same_seed``: every adapter draws the same gaps, as in the artifact. ``ratio`` lengthens prompt and
    output together up to ``longest``, of which only the output is longer for it.
    """

    trace: str
    hours: int
    adapters: int
    rps: float
    requests: int
    ranked: bool = False
    stride: int = 1
    cv: float = 1.0
    same_seed: bool = False
    ratio: float = 1.0
    longest: int = 2048


def dlora_timetable(load: Load, seed: int, traces: Path | None = None) -> pl.DataFrame:
    """A request belongs to the client that has the adapter's name."""
    shares = shares_of(_calls(load, seed, traces), load.adapters, load.stride, load.ranked)
    arrival_s, adapter = arrivals(shares, load, seed)
    prompt, output = lengths(load, np.random.default_rng([seed, 1]))
    names = [f"adapter-{number:03}" for number in adapter.tolist()]
    return timetable(
        {"arrival_s": arrival_s, "client": names, "adapter": names, "prompt_tokens": prompt, "output_tokens": output}
    )


def _calls(load: Load, seed: int, traces: Path | None) -> Floats:
    kind, read = {"maf1": (MAF1, read_2019), "maf2": (MAF2, read_2021)}[load.trace]
    if traces is not None:
        return read(traces, 0, load.hours, INTERVAL_MINUTES)
    return draw_calls(kind, load.hours, INTERVAL_MINUTES, seed)


def arrivals(shares: Floats, load: Load, seed: int) -> tuple[Floats, Ints]:
    """When each request comes, in seconds, and for which adapter.

    Each interval has an equal part of the requests, and the next one begins with the last of them, so that the time of the
    trace is not replayed: it gives the shares alone.
    """
    begin, times, adapters = 0.0, [], []
    parts = np.diff(np.linspace(0, load.requests, len(shares) + 1).round().astype(int)).tolist()
    for interval, (share, quota) in enumerate(zip(shares, parts, strict=True)):
        drawn = [_gaps(load, seed, interval, number, part * load.rps, quota) for number, part in enumerate(share) if part > 0]
        numbers = np.repeat(np.flatnonzero(share > 0), [len(gaps) for gaps in drawn])
        when = np.concatenate([np.cumsum(gaps) for gaps in drawn])
        first = np.argsort(when, kind="stable")[:quota]
        times.append(begin + when[first])
        adapters.append(numbers[first])
        begin = float(times[-1][-1]) if quota else begin
    return np.concatenate(times), np.concatenate(adapters)


def _gaps(load: Load, seed: int, interval: int, adapter: int, rps: float, quota: int) -> Floats:
    """More gaps between arrivals of one adapter than the interval has requests of it."""
    rng = np.random.default_rng([seed, 2] if load.same_seed else [seed, 2, interval, adapter])
    share = rps / load.rps
    enough = min(quota, ceil(quota * share + 6 * (quota * share) ** 0.5 * max(load.cv, 1.0)) + 8)
    return rng.gamma(load.cv**-2, load.cv**2 / rps, enough)


def lengths(load: Load, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Tokens of the prompts and of the outputs."""
    prompt = output = np.zeros(0, np.int64)
    while len(prompt) < load.requests:
        new_prompt, new_output = (
            np.rint(median * np.exp(sigma * rng.standard_normal(2 * load.requests))).astype(np.int64)
            for median, sigma in (PROMPT, OUTPUT)
        )
        kept = (np.minimum(new_prompt, new_output) >= SHORTEST) & (new_prompt <= LONGEST_PROMPT)
        kept &= new_prompt + new_output <= load.longest
        prompt, output = np.append(prompt, new_prompt[kept]), np.append(output, new_output[kept])
    prompt, output = prompt[: load.requests], output[: load.requests]
    if load.ratio == 1:
        return prompt, output
    whole = np.minimum(load.ratio * (prompt + output), load.longest)
    return prompt, np.maximum(whole * output // (prompt + output), 1).astype(np.int64)
