"""Service and response over time, and how fast answers come to each client."""

from __future__ import annotations

from exps.figures.figure import Figure
from exps.figures.pictures import Curves, all_of
from exps.papers.fairserve import claims
from exps.papers.fairserve.measures import OUTPUT, SERVICE, TTFT, decode_distribution, of_points, over_time
from exps.papers.fairserve.points import AT_LIMIT, FAIRSERVE, POINTS, RPM, SHARED, TITLES, VTC, WSC, limited, timetable
from exps.papers.fairserve.server import SETTINGS
from plots.axes import Axis, Panels

QUANTITIES = {SERVICE: "Normalised service per second", OUTPUT: "Output tokens per second", TTFT: "Time to first token (s)"}
PANELS = Panels("setting", {setting.name: setting.title for setting in SETTINGS})
SPEED = Axis("tokens_per_s", "Output tokens per second", (0, None))

OVERTIME = Figure(
    id="fairserve/overtime",
    title="Service, output tokens and time to first token over time",
    systems=(VTC, FAIRSERVE),
    sweep=AT_LIMIT,
    timetable=timetable,
    policies=limited,
    measure=of_points(over_time),
    draw=all_of(
        *(
            Curves(f"overtime{letter}", Axis("value", label, (0, None)), panels=PANELS, labels=TITLES, metric=metric)
            for letter, (metric, label) in zip("abc", QUANTITIES.items(), strict=True)
        )
    ),
    claims=claims.OVERTIME,
    points_of=POINTS,
    **SHARED,
)
CDF = Figure(
    id="fairserve/cdf",
    title="How fast answers come to each client",
    systems=(RPM, VTC, WSC, FAIRSERVE),
    sweep=AT_LIMIT,
    timetable=timetable,
    policies=limited,
    measure=of_points(decode_distribution),
    draw=Curves("cdf", Axis("share_pct", "Clients (%)", (0, 100)), SPEED, panels=PANELS, labels=TITLES).draw,
    points_of=POINTS,
    **SHARED,
)
LINES = (OVERTIME, CDF)
