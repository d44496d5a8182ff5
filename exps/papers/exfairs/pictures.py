"""ExFairS's sheets: performance, fairness and aggregate over rounds, and the strategies beside one another."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

import polars as pl

from exps.figures.pictures import Caption
from exps.papers.exfairs.setup import (
    CONTINUOUS,
    EXFAIRS,
    FCFS,
    HALF_WAY,
    JUSTITIA,
    PENALIZED,
    PERIOD_S,
    ROUND_ROBIN,
    SHORT_ROUNDS,
    SLO_GREEDY,
    SLO_ONLY,
    TITLES,
    VTC,
)
from plots.axes import Axis
from plots.sheets import Bars, Stroke, bar_sheet, line_sheet
from plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, free_looks

WINE, OLIVE, BROWN = "#882255", "#999933", "#8C564B"
COLOURS = {EXFAIRS: VERMILLION, CONTINUOUS: ORANGE, PENALIZED: WINE, VTC: BLUE, "vtc-artifact": SKY, FCFS: BLACK,
           ROUND_ROBIN: GREEN, JUSTITIA: PURPLE, SLO_GREEDY: OLIVE, "que": BROWN, SLO_ONLY: ORANGE, SHORT_ROUNDS: PURPLE,
           HALF_WAY: OLIVE}
MARKERS = dict(zip(COLOURS, "osPD^vX<>d123", strict=True))
KINDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "short": ("-", (VERMILLION, ORANGE, PURPLE, WINE)),
    "long": ("--", (BLUE, GREEN, SKY, OLIVE)),
    "mix": (":", (VERMILLION, BLUE, GREEN, ORANGE, PURPLE, SKY, BLACK, OLIVE, WINE, BROWN)),
}
"""Line and colours: short clients are warm and solid, long ones cool and dashed, mixed ones dotted."""
NAMED = 10
SHARE = (-0.03, 1.03)
PERFORMANCE = (
    Axis("success_share", "Share completed in the round", SHARE),
    Axis("p99_tokens_per_s", "Tokens/s exceeded by 99 %", (0, None)),
    Axis("p99_e2e_s", "Latency, p99 (s)", (0, None)),
    Axis("p99_ttft_s", "Time to first token, p99 (s)", (0, None)),
    Axis("requests_per_s", "Completed requests/s", (0, None)),
    Axis("service", "Service (weighted tokens)", (0, None)),
    Axis("successful", "Completed requests", (0, None)),
    Axis("violations", "SLO violations", (0, None)),
)
FAIRNESS = (Axis("fairness_ratio", "Fairness ratio"), Axis("credit", "Credit"))
INDICES = {
    "jain_experience": Stroke(BLACK, "requests within SLO", "-", "o"),
    "jain_violations": Stroke(BLACK, "violations, artifact's", "--", "s"),
    "jain_ratio": Stroke(GREY, "ratio, artifact's (SAFI)", "-", "^"),
    "jain_service": Stroke(GREY, "service, artifact's", "--", "D"),
}
AGGREGATED = (
    Axis("success_share", "Mean share completed in the round", SHARE),
    Axis("mean_tokens_per_s", "Sum of tokens/s", (0, None)),
    Axis("mean_e2e_s", "Mean latency (s)", (0, None)),
    Axis("mean_ttft_s", "Mean time to first token (s)", (0, None)),
    Axis("requests_per_s", "Sum of completed requests/s", (0, None)),
    Axis("service", "Sum of service", (0, None)),
    Axis("successful", "Completed requests", (0, None)),
    Axis("violations", "SLO violations", (0, None)),
)
COMPARED = (
    Bars({"timely_share": "answered"}, "Share answered within 30 s", limits=(0, 1)),
    Bars({"violation_share": "violated"}, "Share violated, of submitted", limits=(0, 1)),
    Bars({"mean_queue_s": "queue", "mean_inference_s": "inference"}, "Mean latency (s)", stacked=True),
    Bars({"jain_experience": "plain", "jain_violations": "artifact's"}, "Jain's index of experience", limits=(0, 1)),
    Bars({"p95_e2e_s": "p95", "p99_e2e_s": "p99"}, "Latency (s)"),
    Bars({"goodput_rps": "goodput"}, "Requests/s within SLO"),
)
ROUND = Axis("round", "Round")


def draw_scenario(metrics: pl.DataFrame, name: str, caption: Caption, folder: Path, suffix: str) -> list[Path]:
    """All sheets of one scenario ``name``: those by client are of the first system that exchanges, or of the first one."""
    systems = metrics["system"].unique(maintain_order=True).to_list()
    shown = next((system for system in (EXFAIRS, CONTINUOUS) if system in systems), systems[0])
    over_rounds = metrics.drop_nulls("round").with_columns(pl.col("round") + 1)
    of_clients = over_rounds.filter(system=shown).drop_nulls("client")
    title = f"{name}, {TITLES.get(shown, shown)}, rounds of {PERIOD_S:.0f} s"
    strokes, entries = client_strokes(of_clients)
    performance = line_sheet(of_clients, PERFORMANCE, columns=2, x=ROUND, series="client", strokes=strokes, title=title,
                             path=folder / f"{name}-performance-{suffix}", footer=caption(of_clients), entries=entries)
    fairness = _draw_fairness(over_rounds.filter(system=shown), title, caption, folder / f"{name}-fairness-{suffix}")
    aggregated = line_sheet(over_rounds.filter(pl.col("client").is_null()), AGGREGATED, columns=2, x=ROUND, series="system",
                            strokes=system_strokes(systems), title=f"{name}, all clients", footer=caption(metrics),
                            path=folder / f"{name}-aggregated-{suffix}")
    return [*performance, *fairness, *aggregated, *draw_comparison(metrics, name, caption, folder, suffix)]


def draw_comparison(metrics: pl.DataFrame, name: str, caption: Caption, folder: Path, suffix: str) -> tuple[Path, Path]:
    """The strategies beside one another, over whole runs."""
    rows = metrics.filter(pl.col("client").is_null() & pl.col("round").is_null())
    strokes = system_strokes(rows["system"].to_list())
    return bar_sheet(
        rows,
        COMPARED,
        columns=3,
        category="system",
        names={system: stroke.label or system for system, stroke in strokes.items()},
        colours={system: stroke.colour for system, stroke in strokes.items()},
        title=name,
        path=folder / f"{name}-comparison-{suffix}",
        footer=caption(rows),
    )


def system_strokes(systems: list[str]) -> dict[str, Stroke]:
    """Strategies in the order of their titles, others after them."""
    ranked = sorted(systems, key=lambda system: [*TITLES, system].index(system))
    free = free_looks(set(COLOURS.values()), set())
    strokes = {}
    for name in ranked:
        colour, marker, line = (COLOURS[name], MARKERS.get(name, "x"), "-") if name in COLOURS else next(free)
        strokes[name] = Stroke(colour, TITLES.get(name, name), line, marker)
    return strokes


def client_strokes(rows: pl.DataFrame) -> tuple[dict[str, Stroke], list[Stroke]]:
    """A stroke for each client; with more than ten, the legend names their kinds alone."""
    kinds = dict(rows.select("client", "kind").unique(maintain_order=True).iter_rows())
    colours = {kind: cycle(of_kind) for kind, (_, of_kind) in KINDS.items()}
    few = len(kinds) <= NAMED
    ordered = sorted(kinds, key=lambda client: int(client.rsplit("_", 1)[1]))
    strokes = {
        client: Stroke(next(colours[kinds[client]]), client.replace("_", " ") if few else None, KINDS[kinds[client]][0])
        for client in ordered
    }
    counts = {kind: list(kinds.values()).count(kind) for kind in dict.fromkeys(kinds.values())}
    return strokes, [] if few else [Stroke(GREY, f"{count} {kind} clients", KINDS[kind][0]) for kind, count in counts.items()]


def _draw_fairness(rows: pl.DataFrame, title: str, caption: Caption, path: Path) -> tuple[Path, Path]:
    """Ratio and credit of each client, and the indices, in one column: series are clients and indices alike."""
    clients = rows.drop_nulls("client")
    strokes, entries = client_strokes(clients)
    indices = (
        rows.filter(pl.col("client").is_null())
        .drop("client")
        .unpivot(on=list(INDICES), index="round", variable_name="client", value_name="index")
    )
    both = pl.concat([clients.select("round", "client", "fairness_ratio", "credit"), indices], how="diagonal")
    panels = (FAIRNESS[0], Axis("index", "Jain's index", SHARE), FAIRNESS[1])
    return line_sheet(both, panels, columns=1, x=ROUND, series="client", strokes={**strokes, **INDICES}, title=title,
                      path=path, footer=caption(rows), entries=entries)
