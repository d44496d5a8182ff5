"""How often a draft token is accepted, by kind of text: distances from public tables, level and spread from Figure 12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, least_squares
from scipy.special import expit, logit, ndtri

from exps.workload.adaserve_loads import CATEGORIES

FIRST_ACCEPTED = {"HumanEval": 0.837, "question": 0.630}
"""Share of first draft tokens that Llama-3.2-1B accepts (vllm-project/speculators, issue 1135)."""

ACCEPTED_OF_5 = {"question": 2.13, "summarization": 1.94}
"""Tokens a verification of five draft tokens, the bonus included, on Qwen3-30B-A3B (the same project, pull request 610)."""

REQUESTS = ndtri((np.arange(64) + 0.5) / 64)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Kinds:
    """Acceptance of the median request of each category, and the deviation of requests' log-odds around it."""

    by_kind: Mapping[str, float]
    spread: float


def tokens_a_verification(accepted: Floats | float, drafted: int) -> Floats:
    """Of a chain of ``drafted`` tokens, each of which is accepted with that chance once all before it are; the bonus too."""
    return np.power.outer(np.asarray(accepted), np.arange(drafted + 1)).sum(axis=-1)


def public_distances() -> dict[str, float]:
    """Log-odds of acceptance by category, less those of coding; chat stands for questions."""

    def of_5(kind: str) -> float:
        return float(brentq(lambda accepted: tokens_a_verification(accepted, 5) - ACCEPTED_OF_5[kind], 0, 1))

    chat = logit(FIRST_ACCEPTED["question"]) - logit(FIRST_ACCEPTED["HumanEval"])
    longer = logit(of_5("summarization")) - logit(of_5("question"))
    return {"coding": 0.0, "chat": float(chat), "summarization": float(chat + longer)}


def counted(chances: Floats, shares: Floats, drafted: int) -> float:
    """The acceptance rate that vLLM V0 counts: of all draft tokens those accepted, also behind one that is not.

    Requests count by their verifications, of which one takes the fewer the more of its tokens are accepted.
    """
    verifications = shares / tokens_a_verification(chances, drafted)
    return float((chances * verifications).sum() / verifications.sum())


def fit_kinds(levels: Mapping[int, float]) -> Kinds:
    """Acceptance from ``levels``, Figure 12's acceptance rate by length of the chain.

    The public distances hold between kinds. Two numbers are fitted: the log-odds of coding, and the spread, by which the rate
    falls with the length.
    """
    distances = public_distances()
    away = np.array([distances[category.name] for category in CATEGORIES])
    shares = np.array([[category.share / len(REQUESTS)] for category in CATEGORIES])

    def errors(numbers: Sequence[float]) -> list[float]:
        chances = expit(numbers[0] + away[:, None] + abs(numbers[1]) * REQUESTS)
        return [counted(chances, shares, drafted) - level for drafted, level in levels.items()]

    coding, spread = least_squares(errors, (2.0, 0.5)).x
    medians = np.round(expit(coding + away), 3).tolist()
    return Kinds(dict(zip((category.name for category in CATEGORIES), medians, strict=True)), round(abs(float(spread)), 2))
