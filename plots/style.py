"""The house style: sizes, type, and one fixed colour and marker a system."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

COLUMN_IN, PAGE_IN = 3.33, 7.0
TEXT_PT, SMALL_PT = 8.0, 6.5
LABEL_CHARACTERS_PER_IN = 15.0
ENTRY_IN = 0.45
PNG_DPI = 200

BLACK, ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
GREY = "#666666"

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": TEXT_PT,
    "axes.labelsize": TEXT_PT + 0.5,
    "axes.titlesize": TEXT_PT + 0.5,
    "xtick.labelsize": TEXT_PT,
    "ytick.labelsize": TEXT_PT,
    "legend.fontsize": TEXT_PT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.0,
    "lines.markeredgewidth": 0.0,
    "pdf.fonttype": 42,
    "figure.dpi": PNG_DPI,
    "text.parse_math": False,
}


def house_style() -> AbstractContextManager[None]:
    """The house style over matplotlib's own defaults, whatever the machine's settings are."""
    return style.context(["default", RC])


@dataclass(frozen=True)
class Look:
    """How a series is drawn and named."""

    label: str
    colour: str
    marker: str
    line: str = "-"


SYSTEMS = {
    "adaserve": Look("AdaServe", VERMILLION, "o"),
    "sarathi": Look("Sarathi-Serve", BLUE, "s"),
    "vllm": Look("vLLM", BLACK, "D"),
    "vllm-spec-4": Look("vLLM-Spec (4)", GREEN, "^"),
    "vllm-spec-6": Look("vLLM-Spec (6)", SKY, "v"),
    "vllm-spec-8": Look("vLLM-Spec (8)", PURPLE, "X"),
    "specinfer": Look("SpecInfer", ORANGE, "P"),
    "vllm-adaptive": Look("vLLM, adaptive verification", BLUE, "v"),
    "vllm-goodput": Look("vLLM, goodput-driven chain", PURPLE, "D"),
    "vllm-priority": Look("vLLM + priority", GREEN, "^"),
    "fastserve": Look("FastServe", PURPLE, "X"),
    "vtc": Look("VTC", BLUE, "o"),
    "fcfs": Look("FCFS", VERMILLION, "s"),
    "fairserve": Look("FairServe", GREEN, "^"),
    "rpm-interactions": Look("RPM", ORANGE, "s"),
    "fs-fair-wsc-expect": Look("WSC, no throttling", PURPLE, "D"),
    "fs-fair-wsc": Look("FS (W)", SKY, "v"),
    "fs-fair-odt-wsc-limit": Look("FS (W+O)", BLUE, "o"),
    "fs-fair-interaction-limit": Look("FS (W+O+I)", VERMILLION, "P"),
    "fs-fair-interaction-limit-worpmdebt": Look("FS, debts kept", PURPLE, "D"),
    "fs-fair-wsc-limit": Look("FS (W+L)", BLACK, "X"),
    "dlora": Look("dLoRA", VERMILLION, "o"),
    "dlora,place=proactive": Look("Proactive", SKY, "v"),
    "dlora,place=least-cost": Look("Least cost", BLUE, "s"),
    "multi-lora": Look("multi-LoRA", BLUE, "P"),
    "unmerged-only": Look("unmerged-only", ORANGE, "s"),
    "merged-only": Look("merged-only", SKY, "^"),
    "peft": Look("PEFT", GREEN, "^"),
    "vllm-copies": Look("vLLM (copies)", BLACK, "D"),
    "peft-grouped": Look("PEFT, by adapter", ORANGE, "v"),
    "vllm-copies-grouped": Look("vLLM (copies), by model", PURPLE, "X"),
}
OTHERS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (SKY, "v"), (BLACK, "X"), (VERMILLION, "P"),
          ("#332288", "<"), ("#117733", ">"), ("#44AA99", "p"), ("#AA4499", "h"), ("#DDCC77", "d"))

MARKERS = ("o", "s", "^", "D", "v", "X", "P", "<", ">", "p", "h")
LINES = ("-.", ":")
HATCHES = {"-": "", "-.": "////", ":": "...."}


def looks_of(names: Iterable[str]) -> dict[str, Look]:
    """A look for each name, in the order given: a system's fixed one unless one before has the same, for others the next
    colour that no system here has."""
    wanted = list(dict.fromkeys(names))
    fixed: dict[tuple[str, str], str] = {}
    for name in wanted:
        if name in SYSTEMS:
            fixed.setdefault((SYSTEMS[name].colour, SYSTEMS[name].marker), name)
    free = free_looks({colour for colour, _ in fixed}, set(fixed))
    own = set(fixed.values())
    labels = {name: look.label for name, look in SYSTEMS.items()}
    return {name: SYSTEMS[name] if name in own else Look(labels.get(name, name), *next(free)) for name in wanted}


def free_looks(colours: set[str], pairs: set[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Colours, markers and lines without end, no two alike for some hundreds: first colours that are not taken, solid."""
    for colour, marker in OTHERS:
        if colour not in colours:
            yield colour, marker, "-"
    for lap in count(1):
        for place, (colour, _) in enumerate(OTHERS):
            marker = MARKERS[(place + lap) % len(MARKERS)]
            if (colour, marker) not in pairs:
                yield colour, marker, LINES[lap % len(LINES)]


def legend_columns(labels: Iterable[str], inches: float, most: int) -> int:
    """Columns of a legend that is ``inches`` wide, at most ``most``, so that no label is clipped."""
    longest = max(map(len, labels), default=0)
    return max(1, min(most, int(inches / (ENTRY_IN + longest / LABEL_CHARACTERS_PER_IN))))


def fitted(label: str, inches: float) -> str:
    """An axis label in as many lines as it takes to stay within ``inches``."""
    return textwrap.fill(label, max(int(inches * LABEL_CHARACTERS_PER_IN), 8))


def save(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write ``stem``.pdf (vector, fonts embedded) and ``stem``.png; the same figure gives the same bytes."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    pdf, png = (stem.with_name(f"{stem.name}.{kind}") for kind in ("pdf", "png"))
    figure.savefig(pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    figure.savefig(png, dpi=PNG_DPI, metadata={"Software": None})
    return pdf, png
