"""Service and response over time, and how fast answers come to each client."""

from __future__ import annotations

from exps.figures.pictures import Curves, all_of
from exps.papers.fairserve import claims
from exps.papers.fairserve.measures import OUTPUT, SERVICE, TTFT, decode_distribution, of_points, over_time
from exps.papers.fairserve.points import AT_LIMIT, FAIRSERVE, RPM, TITLES, VTC, WSC, figure
from exps.papers.fairserve.server import SETTINGS
from plots.axes import Axis, Panels

QUANTITIES = {SERVICE: "Normalised service per second", OUTPUT: "Output tokens per second", TTFT: "Time to first token (s)"}
PANELS = Panels("setting", {setting.name: setting.title for setting in SETTINGS})
SPEED = Axis("tokens_per_s", "Output tokens per second", (0, None))

CURVES = tuple(
    Curves(f"overtime{letter}", Axis("value", label, (0, None)), panels=PANELS, labels=TITLES, metric=metric)
    for letter, (metric, label) in zip("abc", QUANTITIES.items(), strict=True)
)

OVERTIME = figure(
    "overtime", "Service, output tokens and time to first token over time", (VTC, FAIRSERVE), AT_LIMIT, of_points(over_time),
    all_of(*CURVES), claims.OVERTIME,
)
CDF = figure(
    "cdf", "How fast answers come to each client", (RPM, VTC, WSC, FAIRSERVE), AT_LIMIT, of_points(decode_distribution),
    Curves("cdf", Axis("share_pct", "Clients (%)", (0, 100)), SPEED, panels=PANELS, labels=TITLES).draw,
)
LINES = (OVERTIME, CDF)
