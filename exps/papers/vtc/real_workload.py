"""VTC, Figures 11 and 20: who sends how much when, and how long the requests of the real workload are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from exps.figures.claims import Verdict, verdict
from exps.figures.figure import Record
from exps.figures.numbers import MissingError, Numbers
from exps.figures.pictures import Caption
from exps.figures.vocabulary import off
from exps.papers.vtc.claims import claim
from exps.papers.vtc.real import figure, ranks
from plots.axes import Axis

TICKS, WINDOW_S, NAMED, BINS = 100, 60.0, 3, 25
BIN_S, MINUTE_S = 20.0, 60.0
LENGTHS = {"prompt_tokens": "Prompt (tokens)", "output_tokens": "Output (tokens)"}
MEANS = {"prompt_tokens": 136.0, "output_tokens": 256.0}


def measure_rates(records: Sequence[Record]) -> pl.DataFrame:
    """Rows model, client, rank, requests, time_s, value, dispersion: requests a minute in the 60 s around each of 100
    ticks, of each client and of all (rank 0); dispersion of all counts in 20 s, and of a client's by the minute."""
    import numpy as np

    from exps.workload.arrivals import index_of_dispersion

    record = records[0]
    end_s, rows = record.point.x, []
    ticks = np.linspace(0, end_s, TICKS + 1)[1:]
    ticks = ticks[(ticks >= WINDOW_S / 2) & (ticks <= end_s - WINDOW_S / 2)]
    whole = pl.DataFrame({"client": ["all"], "requests": [record.requests.height], "rank": [0]})
    for client, requests, rank in (*whole.iter_rows(), *ranks(record.requests).iter_rows()):
        sent = record.requests if rank == 0 else record.requests.filter(pl.col("client") == client)
        times = sent["arrival_s"].sort().to_numpy()
        after, before = (np.searchsorted(times, ticks + side * WINDOW_S / 2) for side in (1, -1))
        spread = index_of_dispersion(times, BIN_S if rank == 0 else MINUTE_S, end_s)
        rates = ((after - before) * MINUTE_S / WINDOW_S).tolist()
        key = (record.point.platform.name, client, rank, requests)
        rows += [(*key, tick, rate, spread) for tick, rate in zip(ticks.tolist(), rates, strict=True)]
    schema = {"model": pl.String, "client": pl.String, "rank": pl.Int64, "requests": pl.Int64, "time_s": pl.Float64,
              "value": pl.Float64, "dispersion": pl.Float64}
    return pl.DataFrame(rows, schema, orient="row")


def draw_rates(metrics: pl.DataFrame, caption: Caption, folder: Path, suffix: str) -> list[Path]:
    from plots.many import many_curves

    rows = metrics.rename({"value": "rate"}).with_columns(
        client=pl.format("rank {}: {} requests", pl.col("rank"), pl.col("requests"))
    )
    named = rows.filter(pl.col("rank") > pl.col("rank").max() - NAMED).sort("rank", descending=True)["client"]
    return list(
        many_curves(
            rows.filter(pl.col("rank") > 0),
            rows.filter(pl.col("rank") == 0),
            x=Axis("time_s", "Time (s)", limits=(0, None)),
            y=Axis("rate", "Requests per minute", limits=(0, None)),
            series="client",
            named=named.unique(maintain_order=True).to_list(),
            path=folder / f"fig11-{suffix}",
            footer=caption(metrics),
        )
    )


def measure_lengths(records: Sequence[Record]) -> pl.DataFrame:
    """Rows model, prompt_tokens, output_tokens: one a request, the prompt as it was sent, without what the tokenizer adds."""
    from exps.recorded.recordings import EXTRA_PROMPT_TOKENS

    record = records[0]
    return record.requests.select(
        model=pl.lit(record.point.platform.name),
        prompt_tokens=pl.col("prompt_tokens") - EXTRA_PROMPT_TOKENS,
        output_tokens="output_tokens",
    )


def draw_lengths(metrics: pl.DataFrame, caption: Caption, folder: Path, suffix: str) -> list[Path]:
    from plots.bars import histograms

    path = folder / f"fig20-{suffix}"
    return list(histograms(metrics, columns=LENGTHS, y="Requests", bins=BINS, path=path, footer=caption(metrics)))


def _run(numbers: Numbers) -> pl.DataFrame:
    if numbers.frame.is_empty():
        raise MissingError("a run")
    return numbers.frame


def _skewed(numbers: Numbers) -> Verdict:
    clients = _run(numbers).filter(pl.col("rank") > 0).select("rank", "requests").unique().sort("rank")
    counts = clients["requests"].to_list()
    share = sum(counts[-3:]) / sum(counts)
    return verdict(share >= 1 / 3, f"{len(counts)} clients, {counts[0]} to {counts[-1]} requests, {100 * share:.0f} %")


def _bursty(numbers: Numbers) -> Verdict:
    of_all, *of_clients = _run(numbers).select("rank", "dispersion").unique().sort("rank")["dispersion"].to_list()
    return verdict(of_all > 1.5 and max(of_clients) > 5, f"{of_all:.1f}; {max(of_clients):.1f}")


def _means(numbers: Numbers) -> Verdict:
    found = {name: _run(numbers)[name].to_numpy() for name in LENGTHS}
    ours = "; ".join(f"{lengths.mean():.0f} ({lengths.min()}-{lengths.max()})" for lengths in found.values())
    return verdict(off([lengths.mean() for lengths in found.values()], [*MEANS.values()]) <= 0.1, ours)


RATE_CLAIMS = (
    claim("11 skewed", "Three of 27 clients send more than a third of all requests", "27 clients, 1 to 296 requests, 50 %",
          "none", _skewed, given=True),
    claim("11 bursty", "Dispersion of the counts in 20 s of all, and by the minute of the burstiest client, above Poisson's 1",
          "3.4; 19.0", "1.5; 5", _bursty, given=True),
)
LENGTH_CLAIMS = (
    claim("20 means", "Mean length of prompts and outputs", "136 (2-1021); 256 (2-977)", "10 %", _means, given=True),
)
WORKLOAD_FIGURES = (
    figure("fig11", "Request rates of the real workload's clients", ("vtc",), measure_rates, draw_rates, RATE_CLAIMS),
    figure("fig20", "Lengths of the real workload's requests", ("vtc",), measure_lengths, draw_lengths, LENGTH_CLAIMS),
)
