"""What knowing the lengths of answers is worth to VTC (Sheng et al., OSDI 2024, Figure 19)."""

from __future__ import annotations

import random
from functools import cache

import numpy as np

from engine.ordering.vtc import VTC
from engine.request import Request
from tests.engine.invariants.stages import SIMULATED
from tests.engine.invariants.traffic import crowd

FORMS = {"plain": "nothing", "predict": "mean", "oracle": "oracle"}
SEEDS = range(4)
FEW_FIT, MANY_FIT = 150, 600
TOLERANCE = 0.05


def backlog(client: str, first: int, draws: random.Random) -> list[Request]:
    """120 requests of 20 tokens and answers of about 30."""
    return crowd([(client, 20, max(1, round(draws.gauss(30, 6)))) for _ in range(120)], first=first)


def unevenness(predict: str, pool_tokens: int, seed: int) -> float:
    """How far the difference of two clients' service is, on average, from its mean while both are backlogged."""
    draws = random.Random(seed)
    now, late = backlog("a", 0, draws), backlog("b", 120, draws)
    history = SIMULATED.serve(now, VTC(predict=predict), pool_tokens, late=late)
    both = np.flatnonzero(history.backlogged("a") & history.backlogged("b"))
    lead = (history.service("a") - history.service("b"))[both[0] : both[-1] + 2]
    return float(np.abs(lead - lead.mean()).mean())


@cache
def mean_unevenness(pool_tokens: int) -> dict[str, float]:
    """By form, over ``SEEDS``."""
    return {
        form: float(np.mean([unevenness(predict, pool_tokens, seed) for seed in SEEDS])) for form, predict in FORMS.items()
    }


def test_where_few_requests_fit_the_oracle_beats_the_guess_and_the_guess_beats_plain_vtc() -> None:
    """Means over seeds, each no more than 5 % above the next."""
    mean = mean_unevenness(FEW_FIT)
    assert mean["oracle"] <= mean["predict"] * (1 + TOLERANCE)
    assert mean["predict"] <= mean["plain"] * (1 + TOLERANCE)
    assert mean["oracle"] < 0.8 * mean["plain"]


def test_where_many_requests_fit_charging_tokens_as_they_come_is_at_least_as_even() -> None:
    """The gain of the prediction is of the granularity of admissions, and disappears when a request is little of the pool."""
    mean = mean_unevenness(MANY_FIT)
    assert mean["plain"] <= mean["oracle"] * (1 + TOLERANCE)
