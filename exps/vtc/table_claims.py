"""Claims on VTC's Tables 2, 3 and 4. A metrics frame has the rows of exps.vtc.tables; the artifact's units are judged."""

from __future__ import annotations

from collections.abc import Sequence

from exps.claims import Claim, Verdict, verdict
from exps.numbers import Numbers
from exps.vocabulary import ascending, fraction, listed, near, near_in_all
from exps.vtc.claims import PLATFORM
from exps.vtc.real import of_recorded
from exps.vtc.table_rows import Row, Table


def claims_of(table: Table) -> tuple[Claim, ...]:
    """The order by mean difference, each row's values, equal throughput; of a table with RPM rows also what RPM trades."""
    claims = [_order(table), *(_near(table, row) for row in table.rows), _alike(table)]
    if table.number == 2:
        claims += [_half(table), _isolation(table)]
    if any(row.title == "LCF" for row in table.rows):
        claims.append(_groups(table))
    return (*claims, _trade(table)) if _limited(table) else tuple(claims)


def _values(numbers: Numbers, rows: Sequence[Row], metric: str) -> list[float]:
    """Of each row."""
    return [numbers.at(row.system, metric, units="linear") for row in rows]


def _limited(table: Table) -> list[Row]:
    return [row for row in table.rows if row.title.startswith("RPM")]


def _free(table: Table) -> list[Row]:
    return [row for row in table.rows if not row.title.startswith("RPM")]


def _order(table: Table) -> Claim:
    by_title = {row.title: row for row in table.rows}
    ranked = [by_title[title] for title in table.ranked]

    def judge(numbers: Numbers) -> Verdict:
        return ascending(_values(numbers, ranked, "mean"), ".2f")

    published = listed((row.mean for row in ranked), ".2f", " < ")
    return Claim(f"Table {table.number} order", f"Mean difference: {' < '.join(table.ranked)}", {PLATFORM: published}, "none",
                 judge)  # fmt: skip


def _groups(table: Table) -> Claim:
    """What remains of the order where a single run does not tell apart what VTC knows."""
    vtc = [row for row in table.rows if row.title.startswith("VTC")]
    rows = [*vtc, *(row for title in ("LCF", "FCFS") for row in table.rows if row.title == title)]

    def judge(numbers: Numbers) -> Verdict:
        *ours, lcf, fcfs = _values(numbers, rows, "mean")
        return verdict(max(ours) < lcf < fcfs, f"{max(ours):.2f} < {lcf:.2f} < {fcfs:.2f}")

    published = listed((max(row.mean for row in vtc), *(row.mean for row in rows[-2:])), ".2f", " < ")
    statement = "Mean difference: VTC, whatever it knows, < LCF < FCFS"
    return Claim(f"Table {table.number} groups", statement, {PLATFORM: published}, "none", judge)


def _near(table: Table, row: Row) -> Claim:
    def judge(numbers: Numbers) -> Verdict:
        ours = [numbers.at(row.system, metric, units="linear") for metric in ("largest", "mean")]
        return of_recorded(numbers, near(ours, (row.largest, row.mean), 0.2, ".2f"))

    statement = f"{row.title}: largest and mean difference"
    return Claim(f"Table {table.number} {row.title}", statement, {PLATFORM: f"{row.largest:.2f}, {row.mean:.2f}"}, "20 %",
                 judge)  # fmt: skip


def _alike(table: Table) -> Claim:
    rows = _free(table)

    def judge(numbers: Numbers) -> Verdict:
        speeds = _values(numbers, rows, "tokens_per_s")
        return near_in_all(speeds, [speeds[0]] * len(speeds), 0.02)

    published = listed((row.tokens_per_s for row in rows), ".0f")
    statement = f"Throughput as under FCFS: {', '.join(row.title for row in rows)}"
    return Claim(f"Table {table.number} throughput", statement, {PLATFORM: published}, "2 %", judge)


def _half(table: Table) -> Claim:
    rows = [row for title in ("VTC", "FCFS") for row in table.rows if row.title == title]

    def judge(numbers: Numbers) -> Verdict:
        vtc, fcfs = _values(numbers, rows, "largest")
        return verdict(vtc <= fcfs / 2, fraction(vtc, fcfs))

    published = {PLATFORM: fraction(*(row.largest for row in rows))}
    statement = "VTC's largest difference is at most half of FCFS's"
    return Claim(f"Table {table.number} half", statement, published, "none", judge)


def _isolation(table: Table) -> Claim:
    """The table's column of that name, where it says yes or no; by exps.metrics.isolation."""
    fcfs, *vtc = (row for title in ("FCFS", "VTC") for row in table.rows if row.title.split(",")[0] == title)

    def judge(numbers: Numbers) -> Verdict:
        without, *isolated = _values(numbers, [fcfs, *vtc], "isolation")
        return verdict(without <= 0.2 and min(isolated) >= 0.8, listed((without, *isolated), ".2f"))

    names = ", ".join(row.title for row in vtc)
    statement = f"Isolation: FCFS has none, {names} have it (0: all wait alike, 1: the modest do not)"
    published = {PLATFORM: ", ".join(["no", *("yes" for _ in vtc)])}
    return Claim(f"Table {table.number} isolation", statement, published, "at most 0.2; at least 0.8", judge)


def _trade(table: Table) -> Claim:
    """No limit is at least as fast and at least as fair as VTC."""
    limited = _limited(table)
    vtc = next(row for row in table.rows if row.title == "VTC")

    def judge(numbers: Numbers) -> Verdict:
        speeds, largest = (_values(numbers, [vtc, *limited], metric) for metric in ("tokens_per_s", "largest"))
        pairs = list(zip(speeds, largest, strict=True))
        better = [speed >= speeds[0] and wide <= largest[0] for speed, wide in pairs[1:]]
        return verdict(not any(better), ", ".join(f"{speed:.0f} at {wide:.0f}" for speed, wide in pairs))

    published = ", ".join(f"{row.tokens_per_s:.0f} at {row.largest:.0f}" for row in (vtc, *limited))
    statement = "No RPM limit has both VTC's throughput and VTC's largest difference (VTC, then the limits)"
    return Claim(f"Table {table.number} trade", statement, {PLATFORM: published}, "none", judge)
