"""How often a draft token is accepted, by kind of text: distances from public tables, level and spread from Figure 12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, least_squares
from scipy.special import expit, logit

from exps.workload.adaserve import CATEGORIES

FIRST_ACCEPTED = {"HumanEval": 0.837, "question": 0.630}
"""Share of first draft tokens that Llama-3.2-1B accepts (vllm-project/speculators, issue 1135)."""

ACCEPTED_OF_5 = {"question": 2.13, "summarization": 1.94}
"""Tokens a verification of five draft tokens, the bonus included, on Qwen3-30B-A3B (the same project, pull request 610)."""


def tokens_a_verification(accepted: NDArray[np.float64] | float, drafted: int) -> NDArray[np.float64]:
    """Of a chain of ``drafted`` tokens, each of which is accepted with that chance once all before it are; the bonus too."""
    return np.power.outer(np.asarray(accepted), np.arange(drafted + 1)).sum(axis=-1)


def public_distances() -> dict[str, float]:
    """Log-odds of acceptance by category, less those of coding; chat stands for questions."""

    def of_5(kind: str) -> float:
        return float(brentq(lambda accepted: tokens_a_verification(accepted, 5) - ACCEPTED_OF_5[kind], 0, 1))

    chat = logit(FIRST_ACCEPTED["question"]) - logit(FIRST_ACCEPTED["HumanEval"])
    longer = logit(of_5("summarization")) - logit(of_5("question"))
    return {"coding": 0.0, "chat": float(chat), "summarization": float(chat + longer)}


def counted(by_kind: NDArray[np.float64], shares: NDArray[np.float64], drafted: int) -> float:
    """The acceptance rate that vLLM V0 counts: of all draft tokens those accepted, also behind one that is not.

    Kinds count by their verifications, of which a kind takes the fewer the more of its tokens are accepted.
    """
    verifications = shares / tokens_a_verification(by_kind, drafted)
    return float(by_kind @ verifications / verifications.sum())


def fit_kinds(levels: Mapping[int, float], spread: float | None = None) -> dict[str, float]:
    """Acceptance by category from ``levels``, Figure 12's acceptance rate by length of the chain.

    Two numbers are fitted: the log-odds of coding, and by what the public distances are multiplied, which a ``spread`` fixes.
    """
    shares = np.array([category.share for category in CATEGORIES])
    distances = public_distances()
    away = np.array([distances[category.name] for category in CATEGORIES])

    def errors(numbers: Sequence[float]) -> list[float]:
        by_kind = expit(numbers[0] + (numbers[1] if spread is None else spread) * away)
        return [counted(by_kind, shares, drafted) - level for drafted, level in levels.items()]

    found = least_squares(errors, (2.0, 1.0) if spread is None else (2.0,)).x
    by_kind = expit(found[0] + (found[1] if spread is None else spread) * away)
    return {category.name: round(float(chance), 3) for category, chance in zip(CATEGORIES, by_kind, strict=True)}
