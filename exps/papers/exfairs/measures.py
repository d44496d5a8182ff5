"""What ExFairS's figures measure of a point: by client and round, by round, and over the whole run."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from exps.figures.figure import Record
from exps.papers.exfairs.setup import PERIOD_S

TIMEOUT_S = 30.0


def sweep_measure(records: Sequence[Record]) -> pl.DataFrame:
    """One row a point: model, system, the axis, and the columns of ``whole_run``."""
    return pl.concat([_keyed(record, whole_run(record)) for record in records], how="diagonal_relaxed")


def measure(records: Sequence[Record]) -> pl.DataFrame:
    """Rows of three kinds: of a client and round (client and round given), of a round (round given), of the run (neither).

    Columns model, system, the axis, client, round, and those of exps.metrics.rounds. Of a client and round also ``kind``,
    fairness_ratio and, under ExFairS, credit and priority, after the exchange that ends the round. Of a round and of the run
    see ``of_rounds`` and ``whole_run``.
    """
    frames = []
    for record in records:
        clients = of_clients(record)
        frames += [_keyed(record, frame) for frame in (clients, of_rounds(clients), whole_run(record))]
    return pl.concat(frames, how="diagonal_relaxed")


def _keyed(record: Record, frame: pl.DataFrame) -> pl.DataFrame:
    point = record.point
    key = {"model": point.platform.name, "setting": point.platform.setting.name, "system": point.system,
           point.figure.sweep.axis: point.x}
    return frame.select(*(pl.lit(value).alias(name) for name, value in key.items()), pl.all())


def of_clients(record: Record) -> pl.DataFrame:
    """exps.metrics.rounds.by_round, each client's ``kind``, and what the policy made of the round."""
    from exps.metrics.rounds import by_round
    from exps.papers.exfairs.experience import experience

    rows = by_round(record.requests, PERIOD_S)
    kinds = record.requests.select("client", kind="category").unique()
    return rows.join(kinds, on="client").join(experience(record), on=["client", "round"], how="left").sort("round", "client")


def of_rounds(clients: pl.DataFrame) -> pl.DataFrame:
    """Each round over its clients, as the artifact sums up: means of shares and latencies, sums of the rest.

    jain_experience is Jain's index of 1 - violation_share. Of the artifact's form: jain_violations, of the violation shares,
    jain_ratio, of fairness_ratio (its SAFI), and jain_service.
    """
    from exps.metrics.jain import jain, min_max_jain

    means = ("success_share", "mean_e2e_s", "mean_ttft_s")
    sums = ("mean_tokens_per_s", "requests_per_s", "service", "successful", "violations", "submitted")
    rows = []
    for number, part in clients.group_by("round"):
        shares = part["violation_share"].to_numpy()
        indices = {
            "jain_experience": jain(1 - shares),
            "jain_violations": min_max_jain(shares, smaller_is_better=True),
            "jain_ratio": min_max_jain(part["fairness_ratio"].to_numpy()),
            "jain_service": min_max_jain(part["service"].to_numpy()),
        }
        rows.append({"round": number[0], **indices})
    totals = clients.group_by("round").agg(pl.col(*means).mean(), pl.col(*sums).sum())
    return totals.join(pl.DataFrame(rows), on="round").sort("round")


def whole_run(record: Record) -> pl.DataFrame:
    """exps.metrics.rounds.overall of the run, and over its span, from the first arrival to the last answer:

    requests_per_s and tokens_per_s of what finished, timely_per_s of what finished within the artifact's time-out of 30 s
    (timely_share: of the submitted), goodput_rps of what met its SLO. jain_experience and jain_violations as of rounds, over
    each client's whole run; of ExFairS exchanged and needless, as exps.papers.exfairs.experience.exchanges tells.
    """
    from exps.metrics.jain import jain, min_max_jain
    from exps.metrics.requests import span_s
    from exps.metrics.rounds import overall, with_experience
    from exps.papers.exfairs.experience import exchanges

    requests = record.requests
    span, shares = span_s(requests) or float("inf"), overall(requests, "client")["violation_share"].to_numpy()
    rows, finished, timely = with_experience(requests), pl.col("e2e_s").is_not_null(), pl.col("e2e_s") <= TIMEOUT_S
    rates = {
        "requests_per_s": finished,
        "timely_per_s": timely,
        "goodput_rps": ~pl.col("violated"),
        "tokens_per_s": (pl.col("prompt_tokens") + pl.col("output_tokens")).filter(finished),
    }
    per_s = rows.select(timely_share=timely.sum() / pl.len(), **{name: amount.sum() / span for name, amount in rates.items()})
    jains = {"jain_experience": jain(1 - shares), "jain_violations": min_max_jain(shares, smaller_is_better=True)}
    return pl.concat([overall(requests), per_s, pl.DataFrame([{**jains, **exchanges(record)}])], how="horizontal")
