"""Claims on VTC's Tables 2, 3 and 4, in the artifact's units. A metrics frame has the rows of exps.papers.vtc.tables."""

from __future__ import annotations

from collections.abc import Sequence

from exps.figures.claims import Claim, Judge, Verdict, verdict
from exps.figures.numbers import Numbers
from exps.figures.vocabulary import ascending, fraction, listed, near, near_in_all
from exps.papers.vtc.claims import claim
from exps.papers.vtc.real import of_recorded
from exps.papers.vtc.table_rows import Row, Table


def claims_of(table: Table) -> tuple[Claim, ...]:
    """The order by mean difference, each row's values, equal throughput; of a table with RPM rows also what RPM trades."""
    claims = [_order(table), *(_near(table, row) for row in table.rows), _alike(table)]
    if table.number == 2:
        claims += [_half(table), _isolation(table)]
    if _titled(table, "LCF"):
        claims.append(_groups(table))
    return (*claims, _trade(table)) if _beginning(table, "RPM") else tuple(claims)


def _titled(table: Table, *titles: str) -> list[Row]:
    return [row for title in titles for row in table.rows if row.title == title]


def _beginning(table: Table, word: str) -> list[Row]:
    return [row for row in table.rows if row.title.startswith(word)]


def _values(numbers: Numbers, rows: Sequence[Row], metric: str) -> list[float]:
    """Of each row."""
    return [numbers.at(row.system, metric, units="linear") for row in rows]


def _claim(table: Table, id: str, statement: str, published: str, tolerance: str, judge: Judge) -> Claim:
    return claim(f"Table {table.number} {id}", statement, published, tolerance, judge)


def _order(table: Table) -> Claim:
    ranked = _titled(table, *table.ranked)

    def judge(numbers: Numbers) -> Verdict:
        return ascending(_values(numbers, ranked, "mean"), ".2f")

    published = listed((row.mean for row in ranked), ".2f", " < ")
    return _claim(table, "order", f"Mean difference: {' < '.join(table.ranked)}", published, "none", judge)


def _groups(table: Table) -> Claim:
    """What remains of the order where a single run does not tell apart what VTC knows."""
    vtc, others = _beginning(table, "VTC"), _titled(table, "LCF", "FCFS")

    def judge(numbers: Numbers) -> Verdict:
        ours, (lcf, fcfs) = max(_values(numbers, vtc, "mean")), _values(numbers, others, "mean")
        return verdict(ours < lcf < fcfs, listed((ours, lcf, fcfs), ".2f", " < "))

    published = listed((max(row.mean for row in vtc), *(row.mean for row in others)), ".2f", " < ")
    return _claim(table, "groups", "Mean difference: VTC, whatever it knows, < LCF < FCFS", published, "none", judge)


def _near(table: Table, row: Row) -> Claim:
    def judge(numbers: Numbers) -> Verdict:
        ours = [numbers.at(row.system, metric, units="linear") for metric in ("largest", "mean")]
        return of_recorded(numbers, near(ours, (row.largest, row.mean), 0.2, ".2f"))

    statement = f"{row.title}: largest and mean difference"
    return _claim(table, row.title, statement, f"{row.largest:.2f}, {row.mean:.2f}", "20 %", judge)


def _alike(table: Table) -> Claim:
    rows = [row for row in table.rows if row not in _beginning(table, "RPM")]

    def judge(numbers: Numbers) -> Verdict:
        speeds = _values(numbers, rows, "tokens_per_s")
        return near_in_all(speeds, [speeds[0]] * len(speeds), 0.02)

    published = listed((row.tokens_per_s for row in rows), ".0f")
    statement = f"Throughput as under FCFS: {', '.join(row.title for row in rows)}"
    return _claim(table, "throughput", statement, published, "2 %", judge)


def _half(table: Table) -> Claim:
    rows = _titled(table, "VTC", "FCFS")

    def judge(numbers: Numbers) -> Verdict:
        vtc, fcfs = _values(numbers, rows, "largest")
        return verdict(vtc <= fcfs / 2, fraction(vtc, fcfs))

    published = fraction(*(row.largest for row in rows))
    return _claim(table, "half", "VTC's largest difference is at most half of FCFS's", published, "none", judge)


def _isolation(table: Table) -> Claim:
    """The table's column of that name, where it says yes or no; by exps.metrics.isolation."""
    fcfs, vtc = _titled(table, "FCFS"), _beginning(table, "VTC")

    def judge(numbers: Numbers) -> Verdict:
        without, *isolated = found = _values(numbers, [*fcfs, *vtc], "isolation")
        return verdict(without <= 0.2 and min(isolated) >= 0.8, listed(found, ".2f"))

    names = ", ".join(row.title for row in vtc)
    statement = f"Isolation: FCFS has none, {names} have it (0: all wait alike, 1: the modest do not)"
    return _claim(table, "isolation", statement, ", ".join(["no", *("yes" for _ in vtc)]), "at most 0.2; at least 0.8", judge)


def _trade(table: Table) -> Claim:
    """No limit is at least as fast and at least as fair as VTC."""
    rows = [*_titled(table, "VTC"), *_beginning(table, "RPM")]

    def judge(numbers: Numbers) -> Verdict:
        speeds, largest = (_values(numbers, rows, metric) for metric in ("tokens_per_s", "largest"))
        vtc, *limited = pairs = list(zip(speeds, largest, strict=True))
        better = any(speed >= vtc[0] and wide <= vtc[1] for speed, wide in limited)
        return verdict(not better, ", ".join(f"{speed:.0f} at {wide:.0f}" for speed, wide in pairs))

    published = ", ".join(f"{row.tokens_per_s:.0f} at {row.largest:.0f}" for row in rows)
    statement = "No RPM limit has both VTC's throughput and VTC's largest difference (VTC, then the limits)"
    return _claim(table, "trade", statement, published, "none", judge)
