"""Claims: testable statements of a paper, what our numbers say about them, and in how many runs they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from exps.figures.numbers import MissingError, Numbers

if TYPE_CHECKING:
    from exps.figures.figure import Platform

HOLDS, FAILS, UNSURE, NOT_JUDGED = "holds", "fails", "unsure", "not judged"
SURE_OF_TEN = 9
UNPUBLISHED = "-"
NO_VALUE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, pl.exceptions.PolarsError)


@dataclass(frozen=True)
class Verdict:
    """What one run says. ``status`` is HOLDS, FAILS or NOT_JUDGED; ``ours`` is what our numbers are, or what is missing."""

    status: str
    ours: str


Judge = Callable[[Numbers], Verdict]


@dataclass(frozen=True)
class Claim:
    """``published``: the paper's numbers by model or, where the figure has several settings, by setting.
    ``judge`` sees the figure's metrics of one of them, and raises MissingError for want of a number.

    ``cause``: why it fails, where it does, and the command that shows it; one for all models, or by model. ``given``: what
    it states follows from the workload or from how every system works, so that it is shown and never counted.
    """

    id: str
    statement: str
    published: Mapping[str, str]
    tolerance: str
    judge: Judge
    cause: str | Mapping[str, str] = ""
    given: bool = False

    def cause_of(self, model: str) -> str:
        return self.cause if isinstance(self.cause, str) else self.cause.get(model, "")


@dataclass(frozen=True)
class Judgement:
    """One row of a claims table; ``points`` tells a partial judgement, as in "15 of 72 points", ``cause`` why it fails.

    It holds in ``held`` of the ``judged`` runs in which it could be judged. ``ours`` are the numbers of the first run,
    ``otherwise`` those of the first that says the opposite. ``fact``: nothing was published of this model, or it is given.
    """

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
    held: int
    judged: int
    otherwise: str = ""
    fact: bool = False

    @property
    def holds_in(self) -> str:
        """ "9 of 10 runs", "1 run", or nothing where it was not judged."""
        if self.judged <= 1:
            return "1 run" if self.judged else UNPUBLISHED
        return f"{self.held} of {self.judged} runs"

    @property
    def numbers(self) -> str:
        """Ours, with those of a run that says the opposite."""
        parts = [self.ours, *[f"in another run {self.otherwise}"] * bool(self.otherwise)]
        return "; ".join(parts) + (f" ({self.points})" if self.points else "")

    @property
    def place(self) -> str:
        """The model, and the setting where it has a name."""
        return ", ".join(filter(None, (self.model, self.setting)))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def verdict(holds: bool, ours: str) -> Verdict:
    """HOLDS or FAILS, with our numbers."""
    return Verdict(HOLDS if holds else FAILS, ours)


def judge(
    claims: Sequence[Claim], metrics: pl.DataFrame, coverage: Mapping[Platform, tuple[int, int]], quick: bool = False
) -> list[Judgement]:
    """Every claim for every platform, and setting of it, of ``coverage`` (points present, points of the whole figure), by
    one run.

    A ``quick`` run shows its numbers and judges nothing: its workloads are too short for the paper's statements.
    """
    rows = []
    for platform, (present, whole) in coverage.items():
        of_model = metrics.filter(pl.col("model") == platform.name) if "model" in metrics.columns else metrics
        if "setting" in metrics.columns:
            of_model = of_model.filter(pl.col("setting") == platform.setting.name)
        points = "" if quick or present >= whole else f"partial: {present} of {whole} points"
        for claim in claims:
            found = judge_one(claim, of_model)
            status = NOT_JUDGED if quick else found.status
            published = claim.published.get(platform.key, UNPUBLISHED)
            rows.append(
                Judgement(
                    claim=claim.id,
                    model=platform.name,
                    setting=platform.setting.name,
                    statement=claim.statement,
                    published=published,
                    tolerance=claim.tolerance,
                    ours=found.ours,
                    verdict=status,
                    points=points,
                    cause=claim.cause_of(platform.key) if status == FAILS else "",
                    held=int(status == HOLDS),
                    judged=int(status != NOT_JUDGED),
                    fact=claim.given or published == UNPUBLISHED,
                )
            )
    return rows


def judge_one(claim: Claim, metrics: pl.DataFrame) -> Verdict:
    """What the claim says of the metrics of one model; NOT_JUDGED where a value is missing, or 0 where it divides."""
    try:
        found = claim.judge(Numbers(metrics))
    except MissingError as error:
        return _needs(str(error))
    except NO_VALUE as error:
        return _needs(f"values that the run does not have{_empty(metrics)} ({type(error).__name__}: {_line(error)})")
    if found.status != NOT_JUDGED and re.search(r"\bnan\b", found.ours):
        return _needs(f"values that the run does not have{_empty(metrics)} ({found.ours})")
    return found


def _needs(what: str) -> Verdict:
    return Verdict(NOT_JUDGED, f"needs {what}")


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")


def _empty(metrics: pl.DataFrame, most: int = 3) -> str:
    """As in ": fcfs's service_total", the values by system that are nowhere there, or nowhere other than 0."""
    if "system" not in metrics.columns:
        return ": a run of any system"
    if {"metric", "value"} <= set(metrics.columns):
        cells = metrics.select("system", "metric", pl.col("value").cast(pl.Float64))
    else:
        known = [name for name, dtype in metrics.schema.items() if dtype.is_numeric()]
        floats = metrics.select("system", pl.col(known).cast(pl.Float64))
        cells = floats.unpivot(index="system", variable_name="metric", value_name="value")
    there = pl.col("value").fill_nan(None).fill_null(0) != 0
    rows = cells.group_by("system", "metric", maintain_order=True).agg(there=there.any()).filter(~pl.col("there"))
    names = [f"{system}'s {metric}" for system, metric in rows.select("system", "metric").iter_rows()]
    return f": {', '.join(names[:most])}{', ...' if len(names) > most else ''}" if names else ""


def over_runs(same: Sequence[Judgement], cause: str) -> Judgement:
    """One claim, judged by several runs: HOLDS from ``SURE_OF_TEN`` in ten of the runs that judge it, FAILS from as
    many of the opposite, UNSURE between; NOT_JUDGED where none does. ``cause`` is told where it fails."""
    judged = [row for row in same if row.judged]
    if not judged:
        return same[0]
    held = sum(row.held for row in judged)
    first = judged[0]
    status = ruled(held, len(judged))
    opposite = (row.ours for row in judged if row.held != first.held)
    return replace(
        first,
        verdict=status,
        held=held,
        judged=len(judged),
        otherwise=next(opposite, ""),
        cause=cause if status == FAILS else "",
    )


def ruled(held: int, judged: int) -> str:
    """The verdict of so many of the runs that judge a claim, at least one."""
    if 10 * held >= SURE_OF_TEN * judged:
        return HOLDS
    return FAILS if 10 * (judged - held) >= SURE_OF_TEN * judged else UNSURE


def counts(judgements: Iterable[Judgement]) -> dict[str, int]:
    """How many claims have each verdict; facts are not claims."""
    verdicts = [row.verdict for row in judgements if not row.fact]
    return {name: verdicts.count(name) for name in (HOLDS, FAILS, UNSURE, NOT_JUDGED)}


def any_fails(judgements: Iterable[Judgement]) -> bool:
    """Whether a claim fails; one that is unsure or could not be judged does not, and a fact is none."""
    return counts(judgements)[FAILS] > 0
