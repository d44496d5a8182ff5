"""How fairly a run served its clients, in one row."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from exps.metrics.isolation import isolation, isolation_counting_refused
from exps.metrics.jain import jain
from exps.metrics.rounds import with_experience
from exps.metrics.service import clients_of, delivered, largest_difference, response_intervals
from exps.metrics.starvation import starvation_s
from exps.metrics.statuses import FINISHED, REFUSED


def fairness(requests: pl.DataFrame) -> dict[str, Any]:
    """Of service while requests arrive: largest_difference between two clients and jain_service; over the whole run:
    isolation, starvation_s of the client that starved longest, and violations_pct over the submitted requests with an
    end-to-end SLO (None without one). Beside them what refusal hides: refused_pct of the submitted, jain_finished of the
    shares of each client's requests that finished, and isolation and starvation in which a refused request waits to the
    end."""
    clients, responses = clients_of(requests), response_intervals(requests)
    last_s = float(requests["arrival_s"].max() or 0.0)  # type: ignore[arg-type]
    violated = with_experience(requests).filter(pl.col("slo_s").is_not_null())["violated"].mean()
    return {
        "largest_difference": largest_difference(responses, last_s, clients) if responses.height else 0.0,
        "jain_service": jain(delivered(responses, np.array([last_s]), clients)[:, 0]),
        "isolation": isolation(requests),
        "starvation_s": starvation_s(requests)["starvation_s"].max(),
        "refused_pct": 100.0 * float(requests.select(REFUSED.mean()).item()),
        "jain_finished": jain(requests.group_by("client").agg(FINISHED.mean())["status"].to_numpy()),
        "isolation_counting_refused": isolation_counting_refused(requests),
        "starvation_counting_refused_s": starvation_s(requests, count_refused=True)["starvation_s"].max(),
        "violations_pct": None if violated is None else 100.0 * float(violated),  # type: ignore[arg-type]
    }
