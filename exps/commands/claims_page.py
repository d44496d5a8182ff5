"""Claims as a page of Markdown: what a reviewer files, and docs/verdicts.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from exps.figures.claims import FAILS, HOLDS, NOT_JUDGED, UNSURE, Judgement, counts
from exps.figures.figure import Figure

Entry = tuple[Figure, Sequence[Judgement], str]
COLUMNS = ("claim", "model", "statement", "published", "tolerance", "ours", "verdict", "holds in")


HEAD = (
    "# Claims",
    "",
    "What each paper states, what comes out here, and where it fails why. Printed by `cli.py check FIGURE --markdown"
    " --repeats 10`; FIGURE is one, all of a paper (`vtc/all`) or all. Of so many runs the first is as it is; the others"
    " move arrivals by up to 20 ms, steps by up to 1 % and the server's cold start, and draw what is accepted anew. A claim"
    " holds from 9 runs of 10, fails up to 1 of 10 and is unsure between; runs that cannot judge it do not count. A fact"
    " has no published value, or follows from the workload: it is shown and counts as no claim.",
)


def claims_page(found: Sequence[Entry]) -> str:
    """Counts, then for each figure its source, a table of its claims, and why those that fail do; claims that two figures
    share stand once."""
    own, shared = _shared(found)
    rows = [row for _, judgements, _ in own for row in judgements]
    number = counts(rows)
    facts = [row for row in rows if row.fact]
    lines = [
        *HEAD,
        "",
        f"{number[HOLDS]} claims hold, {number[FAILS]} fail, {number[UNSURE]} are unsure, {number[NOT_JUDGED]} are not judged;"
        f" {sum(row.verdict == HOLDS for row in facts)} of {len(facts)} facts are as stated.",
    ]
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
        bold = row.verdict in (FAILS, UNSURE) and not row.fact
        verdict = f"**{row.verdict}**" if bold else f"{row.verdict}{' (fact)' * row.fact}"
        cells = [row.claim, row.place, row.statement, row.published, row.tolerance, row.numbers, verdict, row.holds_in]
        yield _row(cells)


def _causes(judgements: Sequence[Judgement]) -> Iterator[str]:
    for cause in dict.fromkeys(row.cause for row in judgements if row.cause):
        names = dict.fromkeys(f"{row.claim} ({row.place})" for row in judgements if row.cause == cause)
        yield from ("", f"Why {', '.join(names)}: {cause}")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
