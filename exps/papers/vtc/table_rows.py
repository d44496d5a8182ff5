"""What VTC's Tables 2, 3 and 4 say, and which runs they say it of."""

from __future__ import annotations

from dataclasses import dataclass

from exps.papers.vtc.real import RPM, as_recorded

MEASURES = {"largest": "Largest difference", "mean": "Mean difference", "tokens_per_s": "Tokens per second"}
PROFILED = ",cost=profiled"


@dataclass(frozen=True)
class Row:
    """What the paper's table, or the runs behind it, say of a scheduler; in the artifact's units."""

    title: str
    system: str
    largest: float
    mean: float
    tokens_per_s: float


@dataclass(frozen=True)
class Table:
    """``cost`` of service: linear or profiled. ``ranked`` are titles by mean difference, the smallest first.

    ``is_suite``: the workload is a suite, whose requests are known without the artifact's files.
    """

    number: int
    title: str
    cost: str
    rows: tuple[Row, ...]
    ranked: tuple[str, ...]
    is_suite: bool = False

    @property
    def units(self) -> tuple[str, ...]:
        """How the service asked for is counted. The artifact counts it linearly whatever the cost; its units come first."""
        return ("linear",) if self.cost == "linear" else ("linear", "profiled")


def _rpm(values: dict[int, tuple[float, float, float]]) -> tuple[Row, ...]:
    return tuple(Row(f"RPM {limit}", RPM[limit], *published) for limit, published in values.items())


TABLE2 = Table(
    2,
    "Service difference on the real workload (Table 2)",
    "linear",
    (
        Row("FCFS", "fcfs", 759.97, 433.53, 777),
        Row("LCF", as_recorded(",lift=false"), 750.49, 323.82, 778),
        Row("VTC", as_recorded(), 368.40, 251.66, 779),
        Row("VTC, lengths guessed", as_recorded(",predict=mean"), 365.47, 240.33, 773),
        Row("VTC, lengths known", as_recorded(",predict=oracle"), 329.46, 227.51, 781),
        *_rpm({5: (143.86, 83.58, 340), 10: (217.65, 128.24, 532), 15: (343.07, 161.06, 626), 20: (446.76, 195.71, 694),
               30: (693.66, 309.45, 747)}),
    ),
    ("VTC, lengths known", "VTC, lengths guessed", "VTC", "LCF", "FCFS"),
)
TABLE3 = Table(
    3,
    "Service difference on the real workload by the profiled cost (Table 3)",
    "profiled",
    (
        Row("FCFS", "fcfs", 743.23, 457.29, 777),
        Row("LCF", as_recorded(f",lift=false{PROFILED}"), 709.35, 384.78, 778),
        Row("VTC", as_recorded(PROFILED), 707.35, 368.74, 780),
        Row("VTC, lengths guessed", as_recorded(f",predict=mean{PROFILED}"), 617.22, 337.05, 778),
        Row("VTC, lengths known", as_recorded(f",predict=oracle{PROFILED}"), 387.43, 277.18, 783),
        *_rpm({5: (230.78, 151.00, 340), 20: (445.34, 270.51, 694), 30: (801.16, 377.22, 747)}),
    ),
    ("VTC, lengths known", "VTC, lengths guessed", "VTC", "LCF", "FCFS"),
)
TABLE4 = Table(
    4,
    "Service difference of two overloaded clients by the profiled cost (Table 4)",
    "profiled",
    (
        Row("FCFS", "fcfs", 323.18, 317.13, 876),
        Row("VTC", as_recorded(PROFILED), 137.27, 74.87, 900),
        Row("VTC, lengths known", as_recorded(f",predict=oracle{PROFILED}"), 4.28, 0.34, 893),
    ),
    ("VTC, lengths known", "VTC", "FCFS"),
    is_suite=True,
)
