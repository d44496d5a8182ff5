"""What became of requests, by their records."""

from __future__ import annotations

import polars as pl

FINISHED = pl.col("status") == "finished"
REFUSED = pl.col("status").is_in(("rejected", "aborted"))
"""Turned away at their arrival, given up by the policy, or by a client that lost patience."""


def last_end_s(requests: pl.DataFrame) -> float:
    """When a run was over: the last end of a request, or the last arrival, should that be later."""
    return requests.select(pl.max_horizontal(pl.col("finished_s").max(), pl.col("arrival_s").max())).item()
