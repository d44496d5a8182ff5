"""How each client fared in each round: ExFairS's metrics, from per-request records.

A request belongs to the round in which it arrives: round k lasts from k x period until before (k + 1) x period. Over the
requests of one client and round:

| metric | formula |
|---|---|
| submitted, successful | requests; those that finished before the round, or the whole run, was over |
| success_share | successful / submitted |
| violations | requests that did not finish, for whatever reason, or not within slo_s of their arrival |
| violation_share | violations / submitted |
| late | finished requests beyond slo_s: the artifact's count, which dropping requests lowers |
| late_share | late / finished requests |
| service | prompt + 2 x output tokens of successful requests |
| requests_per_s | successful / period |
| tokens_per_s | output tokens / e2e_s of a request: mean, and p99 as in the artifact, what 99 % of requests exceed |
| e2e_s, ttft_s | finished_s and first_token_s less arrival_s: mean, p99 |
| queue_s, inference_s | admitted_s - arrival_s, and the rest of e2e_s: mean |

Percentiles interpolate linearly; means and percentiles are of finished requests, null where there is none.
"""

from __future__ import annotations

import polars as pl

from exps.metrics.statuses import FINISHED

SERVICE = pl.col("prompt_tokens") + 2 * pl.col("output_tokens")


def with_experience(requests: pl.DataFrame) -> pl.DataFrame:
    """The records with e2e_s, ttft_s, queue_s, inference_s, tokens_per_s (null unless finished), late and violated."""
    of_finished = pl.when(FINISHED)
    timed = requests.with_columns(
        e2e_s=of_finished.then(pl.col("finished_s") - pl.col("arrival_s")),
        ttft_s=of_finished.then(pl.col("first_token_s") - pl.col("arrival_s")),
        queue_s=of_finished.then(pl.col("admitted_s") - pl.col("arrival_s")),
    )
    late = (pl.col("e2e_s") > pl.col("slo_s")).fill_null(False)
    return timed.with_columns(
        inference_s=pl.col("e2e_s") - pl.col("queue_s"),
        tokens_per_s=pl.col("output_tokens") / pl.col("e2e_s"),
        late=late,
        violated=late | ~FINISHED,
    )


def by_round(requests: pl.DataFrame, period_s: float) -> pl.DataFrame:
    """One row a client and round in which it sent something: ``client``, ``round`` (from 0) and the metrics, by both."""
    rows = with_experience(requests).with_columns(round=(pl.col("arrival_s") // period_s).cast(pl.Int64))
    in_time = FINISHED & (pl.col("finished_s") < (pl.col("round") + 1) * period_s).fill_null(False)
    grouped = rows.group_by("client", "round").agg(**_metrics(in_time))
    return grouped.with_columns(requests_per_s=pl.col("successful") / period_s).sort("client", "round")


def overall(requests: pl.DataFrame, by: str | None = None) -> pl.DataFrame:
    """The metrics but requests_per_s over a whole run: one row, or one for each value of column ``by``, sorted."""
    rows = with_experience(requests)
    metrics = _metrics(FINISHED)
    return rows.select(**metrics) if by is None else rows.group_by(by).agg(**metrics).sort(by)


def _metrics(succeeds: pl.Expr) -> dict[str, pl.Expr]:
    successful = succeeds.sum().cast(pl.Int64)
    submitted = pl.len().cast(pl.Int64)
    latencies = {f"p{place}_{name}": pl.col(name).quantile(place / 100, "linear")
                 for name, place in (("e2e_s", 95), ("e2e_s", 99), ("ttft_s", 99))}
    means = ("tokens_per_s", "e2e_s", "ttft_s", "queue_s", "inference_s")
    return {
        "submitted": submitted,
        "successful": successful,
        "success_share": successful / submitted,
        "violations": pl.col("violated").sum().cast(pl.Int64),
        "violation_share": pl.col("violated").mean(),
        "late": pl.col("late").sum().cast(pl.Int64),
        "late_share": pl.col("late").filter(FINISHED).mean(),
        "service": SERVICE.filter(succeeds).sum(),
        **{f"mean_{name}": pl.col(name).mean() for name in means},
        "p99_tokens_per_s": pl.col("tokens_per_s").quantile(0.01, "linear"),
        **latencies,
    }
