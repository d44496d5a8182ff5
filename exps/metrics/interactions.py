"""Metrics of interactions, from per-request records: what was aborted, what it wasted, and whom it hit (FairServe).

An interaction is one of a client: calls with the same ``client`` and ``interaction``; a request without an interaction is
one of its own. A request was aborted when it was rejected at its arrival or dropped from the queue (status "rejected" or
"aborted").

| metric | formula |
|---|---|
| aborted_requests | requests that were aborted |
| aborted_interactions | interactions with an aborted call |
| partly_served | of these, those with a finished call |
| throttled_clients | clients with an aborted request |
| wasted_prompt_tokens | prompt tokens of finished calls of aborted interactions |
| delayed_clients_pct | 100 x clients with an overtaken later call / clients with a later call; null when there is none |

A later call (call > 1) is overtaken when a request that came after it was admitted before it. Since a client's own
requests are served in order, that request is another client's: work in the middle of an interaction waits while others,
who came later, are let in. A later call that was aborted is not counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from exps.metrics.statuses import FINISHED, REFUSED

BY_CLIENT, BY_NUMBER = "client", "number"
COUNTS = ("aborted_requests", "aborted_interactions", "partly_served", "throttled_clients", "wasted_prompt_tokens")
OF_A_CLIENT = ("sent_requests", "aborted_requests", "aborted_interactions", "wasted_prompt_tokens")
WSC_CLASSES = ("0", "(0, 1]", "> 1")


def aborts(requests: pl.DataFrame, keyed_by: str = BY_CLIENT) -> dict[str, int]:
    """The metrics of ``COUNTS``. ``keyed_by`` BY_NUMBER knows interactions by number alone, whoever the client is, as the
    plotting code of FairServe's artifact does."""
    marked = _marked(requests, keyed_by)
    hit = marked.filter("hit")
    return {
        "aborted_requests": int(marked["aborted"].sum()),
        "aborted_interactions": hit["key"].n_unique(),
        "partly_served": hit.filter(FINISHED)["key"].n_unique(),
        "throttled_clients": marked.filter("aborted")["client"].n_unique(),
        "wasted_prompt_tokens": int(hit.filter(FINISHED)["prompt_tokens"].sum()),
    }


def aborts_by_client(requests: pl.DataFrame, keyed_by: str = BY_CLIENT) -> pl.DataFrame:
    """One row a client with an aborted request, sorted: client and ``OF_A_CLIENT``."""
    marked = _marked(requests, keyed_by)
    return (
        marked.group_by("client")
        .agg(
            sent_requests=pl.len().cast(pl.Int64),
            aborted_requests=pl.col("aborted").sum().cast(pl.Int64),
            aborted_interactions=pl.col("key").filter("aborted").n_unique().cast(pl.Int64),
            wasted_prompt_tokens=pl.col("prompt_tokens").filter(pl.col("hit") & FINISHED).sum(),
        )
        .filter(pl.col("aborted_requests") > 0)
        .sort("client")
    )


def spread(by_client: pl.DataFrame, column: str) -> tuple[float, float, float]:
    """Mean, 5th and 95th percentile (linear) of a column over the clients that have any of it; zeros where none has."""
    values = by_client.filter(pl.col(column) > 0)[column].to_numpy()
    if not values.size:
        return 0.0, 0.0, 0.0
    low, high = np.percentile(values, (5, 95))
    return float(values.mean()), float(low), float(high)


def delayed_clients_pct(requests: pl.DataFrame) -> float | None:
    """Share of the clients that have a later call which was admitted, of which one was overtaken. In order of arrival."""
    came = requests.with_columns(pl.col("admitted_s").fill_null(np.inf))
    after = came.select(pl.col("admitted_s").reverse().cum_min().reverse().shift(-1, fill_value=np.inf)).to_series()
    later = came.filter((pl.col("call") > 1) & pl.col("admitted_s").is_finite()).select("client")
    if later.is_empty():
        return None
    overtaken = came.with_columns(after=after).filter(
        (pl.col("call") > 1) & pl.col("admitted_s").is_finite() & (pl.col("after") < pl.col("admitted_s"))
    )
    return 100.0 * overtaken["client"].n_unique() / later["client"].n_unique()


def whole_charge(w_p: float = 1.0, w_s: float = 1.0, w_q: float = 2.0) -> pl.Expr:
    """A request's share of FairServe's weighted service counter: weighted tokens over the weighted expected ones."""
    system = pl.min_horizontal("system_tokens", "prompt_tokens").fill_null(0)
    served = w_p * (pl.col("prompt_tokens") - system) + w_s * system + w_q * pl.col("output_tokens")
    expected = w_p * pl.col("expected_input") + w_s * pl.col("expected_system") + w_q * pl.col("expected_output")
    return served / expected


def service_counters(requests: pl.DataFrame, until_s: float) -> pl.DataFrame:
    """One row a client, sorted: client and ``counter``, the charges of its requests that finished by ``until_s``."""
    done = FINISHED & (pl.col("finished_s") <= until_s)
    return requests.group_by("client").agg(counter=whole_charge().filter(done).sum()).sort("client")


def counter_classes(counters: pl.DataFrame) -> dict[str, int]:
    """Clients by counter: 0, (0, 1] and above 1."""
    counter = pl.col("counter")
    classes = (counter == 0, (counter > 0) & (counter <= 1), counter > 1)
    found = counters.select(rule.sum().alias(name) for name, rule in zip(WSC_CLASSES, classes, strict=True))
    return dict(zip(WSC_CLASSES, found.row(0), strict=True))


def ratio_intervals(requests: pl.DataFrame) -> pl.DataFrame:
    """Intervals (exps.metrics.service) of normalised service: each kind of token over its expectation, output twice.

    It is what FairServe's plots call service: (input / expected) + (system / expected) + 2 (output / expected).
    """
    system = pl.min_horizontal("system_tokens", "prompt_tokens").fill_null(0)
    service = (pl.col("prompt_tokens") - system) / pl.col("expected_input") + system / pl.col("expected_system")
    service += 2 * pl.col("output_tokens") / pl.col("expected_output")
    return requests.filter(FINISHED).select("client", start_s="first_token_s", end_s="finished_s", service=service)


def decode_rates(requests: pl.DataFrame) -> pl.DataFrame:
    """One row a client with an answer of two tokens or more, sorted: client and ``tokens_per_s``, the mean over these
    answers of (output_tokens - 1) / (finished_s - first_token_s)."""
    seconds = pl.col("finished_s") - pl.col("first_token_s")
    answers = requests.filter(FINISHED & (pl.col("output_tokens") > 1) & (seconds > 0))
    rate = ((pl.col("output_tokens") - 1) / seconds).mean()
    return answers.group_by("client").agg(tokens_per_s=rate).sort("client")


def cumulative(values: npt.NDArray[np.floating[Any]]) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]:
    """The empirical distribution: sorted values, and the share of all values that is no larger than each."""
    ordered = np.sort(values)
    return ordered, np.arange(1, ordered.size + 1) / max(ordered.size, 1)


def _marked(requests: pl.DataFrame, keyed_by: str) -> pl.DataFrame:
    """With ``key`` of the interaction, ``aborted``, and ``hit``: its interaction has an aborted call."""
    if keyed_by not in (BY_CLIENT, BY_NUMBER):
        raise ValueError(f"keyed_by is {BY_CLIENT} or {BY_NUMBER}, not {keyed_by}")
    own = pl.when(pl.col("interaction").is_null()).then(pl.int_range(pl.len()))
    client = pl.col("client") if keyed_by == BY_CLIENT else pl.lit("")
    key = pl.struct(client.alias("of"), pl.col("interaction"), own.alias("alone"))
    marked = requests.with_columns(key=key, aborted=REFUSED)
    return marked.with_columns(hit=pl.col("aborted").any().over("key"))
