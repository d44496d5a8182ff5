"""Metrics of per-request records (requests.parquet).

Over the requests of a run, or of one of its clients:

| metric | formula |
|---|---|
| submitted, finished, rejected, aborted, failed, unfinished | requests by status; submitted is all of them |
| preemptions | sum of preemptions |
| attainment_pct | 100 x attained / requests with an SLO, whatever became of them; null when none has one |
| goodput_tokens_per_s | output tokens of attained requests / span |
| requests_per_s, output_tokens_per_s | finished requests, and their output tokens, / span |
| tokens_per_s | prompt and output tokens of finished requests / span |
| ttft_s | first_token_s - arrival_s, of requests with a first token: mean, median, p99 |
| tpot_s | (finished_s - first_token_s) / (output_tokens - 1), 0 for one token, of finished requests: same |
| e2e_s | finished_s - arrival_s, of finished requests: same |
| mean_tokens_per_verification | sum of (output_tokens - 1) / sum of steps, of requests with steps; bonus tokens count |
| acceptance_pct | 100 x accepted_tokens / drafted_tokens; null when nothing was drafted |

attained: finished and tpot_s <= slo_tpot_s (as in AdaServe). span: last finished_s - first arrival_s of the whole
run, so that it includes draining the backlog (as in VTC). Rates are 0 when nothing finished. Percentiles
interpolate linearly.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from exps.metrics.statuses import FINISHED

LATENCIES = ("ttft_s", "tpot_s", "e2e_s")
STATUSES = ("finished", "rejected", "aborted", "failed", "unfinished")


def with_latencies(requests: pl.DataFrame) -> pl.DataFrame:
    """The records with ttft_s, tpot_s, e2e_s (null where undefined) and attained (null without an SLO)."""
    gaps = pl.col("output_tokens") - 1
    decode_s = pl.col("finished_s") - pl.col("first_token_s")
    return requests.with_columns(
        ttft_s=pl.col("first_token_s") - pl.col("arrival_s"),
        tpot_s=pl.when(FINISHED).then(pl.when(gaps > 0).then(decode_s / gaps).otherwise(0.0)),
        e2e_s=pl.when(FINISHED).then(pl.col("finished_s") - pl.col("arrival_s")),
    ).with_columns(
        attained=pl.when(pl.col("slo_tpot_s").is_not_null()).then(
            (FINISHED & (pl.col("tpot_s") <= pl.col("slo_tpot_s"))).fill_null(False)
        )
    )


def summarize(requests: pl.DataFrame) -> dict[str, Any]:
    """The metrics of all requests of a run, by name."""
    return with_latencies(requests).select(**_metrics(span_s(requests))).row(0, named=True)


def summarize_by_client(requests: pl.DataFrame) -> pl.DataFrame:
    """One row a client, sorted by name: ``client`` and the metrics of its requests over the span of the run."""
    grouped = with_latencies(requests).group_by("client").agg(**_metrics(span_s(requests)))
    return grouped.sort("client")


def span_s(requests: pl.DataFrame) -> float | None:
    """Seconds from the first arrival to the last finish; None when nothing finished."""
    last = requests.filter(FINISHED)["finished_s"].max()
    return None if last is None else float(last) - float(requests["arrival_s"].min())  # type: ignore[arg-type]


def _metrics(span: float | None) -> dict[str, pl.Expr]:
    output = pl.col("output_tokens")
    verified = pl.col("steps") > 0
    has_slo = pl.col("attained").is_not_null().any()
    counts = {name: (pl.col("status") == name).sum().cast(pl.Int64) for name in STATUSES}
    latencies = {}
    for column in LATENCIES:
        latencies[f"mean_{column}"] = pl.col(column).mean()
        latencies[f"median_{column}"] = pl.col(column).median()
        latencies[f"p99_{column}"] = pl.col(column).quantile(0.99, "linear")
    return {
        "submitted": pl.len().cast(pl.Int64),
        **counts,
        "preemptions": pl.col("preemptions").sum(),
        "attainment_pct": 100.0 * pl.col("attained").mean(),
        "goodput_tokens_per_s": pl.when(has_slo).then(_rate(output.filter(pl.col("attained")).sum(), span)),
        "requests_per_s": _rate(FINISHED.sum(), span),
        "tokens_per_s": _rate((pl.col("prompt_tokens") + output).filter(FINISHED).sum(), span),
        "output_tokens_per_s": _rate(output.filter(FINISHED).sum(), span),
        **latencies,
        "mean_tokens_per_verification": _ratio((output - 1).filter(verified).sum(), pl.col("steps").sum()),
        "acceptance_pct": 100.0 * _ratio(pl.col("accepted_tokens").sum(), pl.col("drafted_tokens").sum()),
    }


def _rate(amount: pl.Expr, span: float | None) -> pl.Expr:
    if span is None:
        return pl.lit(0.0)
    return _ratio(amount, pl.lit(span))


def _ratio(amount: pl.Expr, divisor: pl.Expr) -> pl.Expr:
    return pl.when(divisor > 0).then(amount / divisor)
