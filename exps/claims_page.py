"""Claims as a page of Markdown: what a reviewer files, and docs/claims.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from exps.claims import FAILS, HOLDS, Judgement
from exps.figure import Figure

COLUMNS = ("claim", "model", "statement", "published", "tolerance", "ours", "verdict")


def claims_page(found: Sequence[tuple[Figure, Sequence[Judgement], str]]) -> str:
    """A line of counts, then for each figure its source, a table of its claims, and why those that fail do."""
    verdicts = [row.verdict for _, judgements, _ in found for row in judgements]
    counts = {name: verdicts.count(name) for name in (HOLDS, FAILS)}
    rest = len(verdicts) - sum(counts.values())
    lines = [f"{counts[HOLDS]} claims hold, {counts[FAILS]} fail, {rest} are not judged."]
    for figure, judgements, caption in found:
        lines += ["", f"## {figure.id}: {figure.title}", "", caption, "", *_table(judgements), *_causes(judgements)]
    return "\n".join(lines)


def _table(judgements: Iterable[Judgement]) -> Iterator[str]:
    yield _row(COLUMNS)
    yield _row(["---"] * len(COLUMNS))
    for row in judgements:
        ours = f"{row.ours} ({row.points})" if row.points else row.ours
        verdict = f"**{row.verdict}**" if row.verdict == FAILS else row.verdict
        yield _row([row.claim, row.model, row.statement, row.published, row.tolerance, ours, verdict])


def _causes(judgements: Sequence[Judgement]) -> Iterator[str]:
    for cause in dict.fromkeys(row.cause for row in judgements if row.cause):
        names = dict.fromkeys(f"{row.claim} ({row.model})" for row in judgements if row.cause == cause)
        yield from ("", f"Why {', '.join(names)}: {cause}")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
