"""How long a client is left without service while it has work waiting."""

from __future__ import annotations

import polars as pl

from exps.metrics.statuses import REFUSED, last_end_s


def starvation_s(requests: pl.DataFrame, count_refused: bool = False) -> pl.DataFrame:
    """One row a client, sorted by name: ``client`` and ``starvation_s``, the longest stretch in which it starves.

    A client starves while it has a waiting request and none that is admitted and unfinished. Waiting is from arrival to
    the first admission; what is never admitted waits to the last end of the run if it is unfinished, and does not count
    if it was rejected or given up, unless ``count_refused``, by which that waits to the end as well. In order of admission
    d, the k-th request ends the stretch d_k - max(min of a_j for j >= k, max of f_j for j < k), a being arrivals and f
    ends.
    """
    end_s = last_end_s(requests)
    waits = pl.col("admitted_s").is_not_null() | (pl.col("status") == "unfinished")
    never = REFUSED & pl.col("admitted_s").is_null()
    seen = requests.with_columns(finished_s=pl.when(never).then(None).otherwise(pl.col("finished_s")))
    waited = seen.filter(waits | REFUSED if count_refused else waits).with_columns(
        pl.col("admitted_s").fill_null(end_s), pl.col("finished_s").fill_null(end_s)
    )
    oldest = pl.col("arrival_s").reverse().cum_min().reverse()
    busy_until = pl.col("finished_s").cum_max().shift(1)
    stretch = pl.col("admitted_s") - pl.max_horizontal(oldest, busy_until)
    longest = waited.sort("admitted_s").group_by("client").agg(starvation_s=stretch.max().clip(0.0))
    clients = requests.select(pl.col("client").unique())
    return clients.join(longest, on="client", how="left").with_columns(pl.col("starvation_s").fill_null(0.0)).sort("client")
