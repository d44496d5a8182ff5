"""Claims on VTC's Tables 2, 3 and 4. A metrics frame has the rows of exps.vtc.tables; the artifact's units are judged."""

from __future__ import annotations

import polars as pl

from exps.claims import Claim, Verdict, missing, verdict
from exps.vtc.claims import PLATFORM
from exps.vtc.real import of_recorded
from exps.vtc.table_rows import Row, Table

NEAR, ALIKE = 0.2, 0.02
ISOLATED = (0.2, 0.8)


def claims_of(table: Table) -> tuple[Claim, ...]:
    """The order by mean difference, each row's values, equal throughput; of a table with RPM rows also what RPM trades."""
    claims = [_order(table), *(_near(table, row) for row in table.rows), _alike(table)]
    if table.number == 2:
        claims += [_half(table), _isolation(table)]
    if any(row.title == "LCF" for row in table.rows):
        claims.append(_groups(table))
    return (*claims, _trade(table)) if _limited(table) else tuple(claims)


def value_of(metrics: pl.DataFrame, row: Row, metric: str) -> float | None:
    rows = metrics.filter((pl.col("system") == row.system) & (pl.col("metric") == metric) & (pl.col("units") == "linear"))
    return None if rows.is_empty() else rows["value"][0]


def _values(metrics: pl.DataFrame, rows: list[Row], metric: str) -> list[float]:
    """Of each row; empty when one is missing."""
    found = [value for row in rows if (value := value_of(metrics, row, metric)) is not None]
    return found if len(found) == len(rows) else []


def _limited(table: Table) -> list[Row]:
    return [row for row in table.rows if row.title.startswith("RPM")]


def _free(table: Table) -> list[Row]:
    return [row for row in table.rows if not row.title.startswith("RPM")]


def _named(rows: list[Row]) -> str:
    return "all of " + ", ".join(row.title for row in rows)


def _order(table: Table) -> Claim:
    by_title = {row.title: row for row in table.rows}
    ranked = [by_title[title] for title in table.ranked]

    def judge(metrics: pl.DataFrame) -> Verdict:
        means = _values(metrics, ranked, "mean")
        if not means:
            return missing(_named(ranked))
        return verdict(means == sorted(means), " < ".join(f"{mean:.2f}" for mean in means))

    published = " < ".join(f"{row.mean:.2f}" for row in ranked)
    return Claim(f"Table {table.number} order", f"Mean difference: {' < '.join(table.ranked)}", {PLATFORM: published}, "none",
                 judge)  # fmt: skip


def _groups(table: Table) -> Claim:
    """What remains of the order where a single run does not tell apart what VTC knows."""
    vtc = [row for row in table.rows if row.title.startswith("VTC")]
    rows = [*vtc, *(row for title in ("LCF", "FCFS") for row in table.rows if row.title == title)]

    def judge(metrics: pl.DataFrame) -> Verdict:
        *ours, lcf, fcfs = _values(metrics, rows, "mean") or [0.0, 0.0]
        if not ours:
            return missing(_named(rows))
        return verdict(max(ours) < lcf < fcfs, f"{max(ours):.2f} < {lcf:.2f} < {fcfs:.2f}")

    published = " < ".join(f"{mean:.2f}" for mean in (max(row.mean for row in vtc), *(row.mean for row in rows[-2:])))
    statement = "Mean difference: VTC, whatever it knows, < LCF < FCFS"
    return Claim(f"Table {table.number} groups", statement, {PLATFORM: published}, "none", judge)


def _near(table: Table, row: Row) -> Claim:
    def judge(metrics: pl.DataFrame) -> Verdict:
        ours = [value for metric in ("largest", "mean") for value in _values(metrics, [row], metric)]
        if len(ours) < 2:
            return missing(row.title)
        off = [abs(found / theirs - 1) for found, theirs in zip(ours, (row.largest, row.mean), strict=True)]
        return of_recorded(metrics, verdict(max(off) <= NEAR, ", ".join(f"{found:.2f}" for found in ours)))

    statement = f"{row.title}: largest and mean difference"
    return Claim(f"Table {table.number} {row.title}", statement, {PLATFORM: f"{row.largest:.2f}, {row.mean:.2f}"}, "20 %",
                 judge)  # fmt: skip


def _alike(table: Table) -> Claim:
    rows = _free(table)

    def judge(metrics: pl.DataFrame) -> Verdict:
        speeds = _values(metrics, rows, "tokens_per_s")
        if not speeds:
            return missing(_named(rows))
        off = max(abs(speed / speeds[0] - 1) for speed in speeds)
        return verdict(off <= ALIKE, f"{', '.join(f'{speed:.0f}' for speed in speeds)} ({100 * off:.1f} % off)")

    published = ", ".join(f"{row.tokens_per_s:.0f}" for row in rows)
    statement = f"Throughput as under FCFS: {', '.join(row.title for row in rows)}"
    return Claim(f"Table {table.number} throughput", statement, {PLATFORM: published}, "2 %", judge)


def _half(table: Table) -> Claim:
    rows = [row for title in ("VTC", "FCFS") for row in table.rows if row.title == title]

    def judge(metrics: pl.DataFrame) -> Verdict:
        largest = _values(metrics, rows, "largest")
        if not largest:
            return missing(_named(rows))
        ours = f"{largest[0]:.0f} / {largest[1]:.0f} = {largest[0] / largest[1]:.2f}"
        return verdict(largest[0] <= largest[1] / 2, ours)

    published = f"{rows[0].largest:.0f} / {rows[1].largest:.0f} = {rows[0].largest / rows[1].largest:.2f}"
    return Claim(f"Table {table.number} half", "VTC's largest difference is at most half of FCFS's", {PLATFORM: published},
                 "none", judge)  # fmt: skip


def _isolation(table: Table) -> Claim:
    """The table's column of that name, where it says yes or no; by exps.metrics.isolation."""
    fcfs, *vtc = (row for title in ("FCFS", "VTC") for row in table.rows if row.title.split(",")[0] == title)

    def judge(metrics: pl.DataFrame) -> Verdict:
        found = _values(metrics, [fcfs, *vtc], "isolation")
        if not found:
            return missing(_named([fcfs, *vtc]))
        holds = found[0] <= ISOLATED[0] and min(found[1:]) >= ISOLATED[1]
        return verdict(holds, ", ".join(f"{value:.2f}" for value in found))

    names = ", ".join(row.title for row in vtc)
    statement = f"Isolation: FCFS has none, {names} have it (0: all wait alike, 1: the modest do not)"
    published = {PLATFORM: ", ".join(["no", *("yes" for _ in vtc)])}
    return Claim(f"Table {table.number} isolation", statement, published, "at most 0.2; at least 0.8", judge)


def _trade(table: Table) -> Claim:
    """No limit is at least as fast and at least as fair as VTC."""
    limited = _limited(table)
    vtc = next(row for row in table.rows if row.title == "VTC")

    def judge(metrics: pl.DataFrame) -> Verdict:
        speeds, largest = (_values(metrics, [vtc, *limited], metric) for metric in ("tokens_per_s", "largest"))
        if not speeds:
            return missing(_named([vtc, *limited]))
        pairs = list(zip(speeds, largest, strict=True))
        better = [speed >= speeds[0] and wide <= largest[0] for speed, wide in pairs[1:]]
        return verdict(not any(better), ", ".join(f"{speed:.0f} at {wide:.0f}" for speed, wide in pairs))

    published = ", ".join(f"{row.tokens_per_s:.0f} at {row.largest:.0f}" for row in (vtc, *limited))
    statement = "No RPM limit has both VTC's throughput and VTC's largest difference (VTC, then the limits)"
    return Claim(f"Table {table.number} trade", statement, {PLATFORM: published}, "none", judge)
