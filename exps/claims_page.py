"""Claims as a page of Markdown: what a reviewer files, and docs/claims.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from exps.claims import FAILS, HOLDS, Judgement
from exps.figure import Figure

Entry = tuple[Figure, Sequence[Judgement], str]
COLUMNS = ("claim", "model", "statement", "published", "tolerance", "ours", "verdict")


HEAD = (
    "# Claims",
    "",
    "What each paper states, what comes out here, and where it fails why. Printed by `cli.py check FIGURE --markdown`;"
    " FIGURE is one, all of a paper (`vtc/all`) or all.",
)


def claims_page(found: Sequence[Entry]) -> str:
    """Counts, then for each figure its source, a table of its claims, and why those that fail do; claims that two figures
    share stand once."""
    own, shared = _shared(found)
    verdicts = [row.verdict for _, judgements, _ in own for row in judgements]
    counts = {name: verdicts.count(name) for name in (HOLDS, FAILS)}
    rest = len(verdicts) - sum(counts.values())
    lines = [*HEAD, "", f"{counts[HOLDS]} claims hold, {counts[FAILS]} fail, {rest} are not judged."]
    for figure, judgements, caption in own:
        more = f" Also those of {', '.join(shared[figure.id])}." if shared[figure.id] else ""
        lines += ["", f"## {figure.id}: {figure.title}", "", caption + more, "", *_table(judgements), *_causes(judgements)]
    return "\n".join(lines)


def _shared(found: Sequence[Entry]) -> tuple[list[Entry], dict[str, list[str]]]:
    """The figures with claims of their own, and which others have the same."""
    own: list[Entry] = []
    shared: dict[str, list[str]] = {}
    for entry in found:
        first = next((other for other, _, _ in own if other.claims == entry[0].claims), None)
        if first is None:
            own.append(entry)
            shared[entry[0].id] = []
        else:
            shared[first.id].append(entry[0].id)
    return own, shared


def _table(judgements: Iterable[Judgement]) -> Iterator[str]:
    yield _row(COLUMNS)
    yield _row(["---"] * len(COLUMNS))
    for row in judgements:
        ours = f"{row.ours} ({row.points})" if row.points else row.ours
        verdict = f"**{row.verdict}**" if row.verdict == FAILS else row.verdict
        yield _row([row.claim, row.place, row.statement, row.published, row.tolerance, ours, verdict])


def _causes(judgements: Sequence[Judgement]) -> Iterator[str]:
    for cause in dict.fromkeys(row.cause for row in judgements if row.cause):
        names = dict.fromkeys(f"{row.claim} ({row.place})" for row in judgements if row.cause == cause)
        yield from ("", f"Why {', '.join(names)}: {cause}")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
