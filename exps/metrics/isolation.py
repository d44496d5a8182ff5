"""Whether clients that ask for little are served as if those that ask for much were not there."""

from __future__ import annotations

import polars as pl

from exps.metrics.service import response_intervals
from exps.metrics.statuses import REFUSED, last_end_s


def modest_clients(requests: pl.DataFrame) -> list[str]:
    """The clients whose requests ask for less than an equal share of the service delivered while requests arrive.

    Service is w_p prompt + w_q output tokens (1 and 2); a finished response is spread over [first token, completion].
    What a request asks for is read from its answer, so that requests without one count by their prompts alone.
    """
    last = float(requests["arrival_s"].max() or 0.0)  # type: ignore[arg-type]
    start, end = pl.col("start_s"), pl.col("end_s")
    spread = ((last - start) / (end - start)).clip(0.0, 1.0)
    by_then = pl.when(end > start).then(spread).otherwise((end <= last).cast(pl.Float64))
    delivered = float(response_intervals(requests).select((pl.col("service") * by_then).sum()).item())
    asked = requests.group_by("client").agg(asked=(pl.col("prompt_tokens") + 2 * pl.col("output_tokens")).sum())
    return sorted(asked.filter(pl.col("asked") < delivered / asked.height)["client"])


def isolation_counting_refused(requests: pl.DataFrame) -> float | None:
    """Isolation in which a refused request waits to the end of the run, and who is modest is told by prompts alone.

    So a client whose requests are turned away neither waits for nothing nor seems to ask for little.
    """
    first_s = pl.when(REFUSED).then(pl.lit(last_end_s(requests))).otherwise(pl.col("first_token_s"))
    asked = requests.group_by("client").agg(pl.col("prompt_tokens").sum())
    modest = asked.filter(pl.col("prompt_tokens") < pl.col("prompt_tokens").mean())["client"]
    return _isolation(requests.with_columns(first_token_s=first_s), list(modest))


def isolation(requests: pl.DataFrame) -> float | None:
    """1 - (mean TTFT of the modest clients' requests) / (mean TTFT of all others').

    1: the modest do not wait at all; 0: everybody waits alike, as under FCFS; below 0: the modest wait longer. None when
    all or none are modest, or when one side has no first token.
    """
    return _isolation(requests, modest_clients(requests))


def _isolation(requests: pl.DataFrame, modest_ones: list[str]) -> float | None:
    waits = pl.col("first_token_s") - pl.col("arrival_s")
    is_modest = pl.col("client").is_in(modest_ones)
    modest, others = requests.select(modest=waits.filter(is_modest).mean(), others=waits.filter(~is_modest).mean()).row(0)
    return None if modest is None or not others else 1 - modest / others
