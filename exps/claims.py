"""Claims: testable statements of a paper, and what our numbers say about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from exps.figure import Platform

HOLDS, FAILS, NOT_JUDGED = "holds", "fails", "not judged"


@dataclass(frozen=True)
class Verdict:
    """``status`` is HOLDS, FAILS or NOT_JUDGED; ``ours`` is what our numbers are, or what is missing."""

    status: str
    ours: str


@dataclass(frozen=True)
class Claim:
    """``published``: the paper's numbers by model or, where the figure has several settings, by setting.
    ``judge`` sees the figure's metrics of one of them.

    ``cause``: why it fails, where it does, and the command that shows it; one for all models, or by model.
    """

    id: str
    statement: str
    published: Mapping[str, str]
    tolerance: str
    judge: Callable[[pl.DataFrame], Verdict]
    cause: str | Mapping[str, str] = ""

    def cause_of(self, model: str) -> str:
        return self.cause if isinstance(self.cause, str) else self.cause.get(model, "")


@dataclass(frozen=True)
class Judgement:
    """One row of a claims table; ``points`` tells a partial judgement, as in "15 of 72 points", ``cause`` why it fails."""

    claim: str
    model: str
    setting: str
    statement: str
    published: str
    tolerance: str
    ours: str
    verdict: str
    points: str
    cause: str

    @property
    def place(self) -> str:
        """The model, and the setting where it has a name."""
        return ", ".join(filter(None, (self.model, self.setting)))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def verdict(holds: bool, ours: str) -> Verdict:
    """HOLDS or FAILS, with our numbers."""
    return Verdict(HOLDS if holds else FAILS, ours)


def missing(what: str) -> Verdict:
    """NOT_JUDGED for want of something."""
    return Verdict(NOT_JUDGED, f"needs {what}")


def judge(
    claims: Sequence[Claim], metrics: pl.DataFrame, coverage: Mapping[Platform, tuple[int, int]], quick: bool = False
) -> list[Judgement]:
    """Every claim for every platform, and setting of it, of ``coverage`` (points present, points of the whole figure).

    A ``quick`` run shows its numbers and judges nothing: its workloads are too short for the paper's statements.
    """
    rows = []
    for platform, (present, whole) in coverage.items():
        of_model = metrics.filter(pl.col("model") == platform.name)
        if "setting" in metrics.columns:
            of_model = of_model.filter(pl.col("setting") == platform.setting.name)
        points = "" if present >= whole else f"partial: {present} of {whole} points"
        for claim in claims:
            found = claim.judge(of_model)
            status = NOT_JUDGED if quick else found.status
            rows.append(
                Judgement(
                    claim=claim.id,
                    model=platform.name,
                    setting=platform.setting.name,
                    statement=claim.statement,
                    published=claim.published.get(platform.key, "-"),
                    tolerance=claim.tolerance,
                    ours=found.ours,
                    verdict=status,
                    points=points,
                    cause=claim.cause_of(platform.key) if status == FAILS else "",
                )
            )
    return rows


def any_fails(judgements: Sequence[Judgement]) -> bool:
    """Whether a claim failed; one that could not be judged did not."""
    return any(row.verdict == FAILS for row in judgements)
