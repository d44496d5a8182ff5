"""The options that commands share, and what they say together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from exps.figure import Selection

FigureName = Annotated[str, typer.Argument(metavar="FIGURE", help="fig8, adaserve/fig8, vtc/fig3, ..., vtc/all, or all.")]
Models = Annotated[list[str] | None, typer.Option("--model", help="Models of the figure, as in llama,qwen.")]
Settings = Annotated[list[str] | None, typer.Option("--setting", help="Settings of the figure, as in paced,burst.")]
Systems = Annotated[
    list[str] | None,
    typer.Option("--system", help="vtc,fcfs, or one composition, as in order=vtc,spec=adaserve; repeatable."),
]
Added = Annotated[list[str] | None, typer.Option("--with", help="Systems beside the figure's own, as in order=mine.")]
Backend = Annotated[
    str,
    typer.Option("--backend", help="sim, native, or auto: native for models of this machine. vllm and http are to come."),
]
Acceptance = Annotated[
    str | None,
    typer.Option("--acceptance", help="measured: a simulation's drafts are accepted as on the tiny pair."),
]
Weights = Annotated[
    str, typer.Option("--weights", help="own, or widened: the tiny pair's function in the model's full-size shape.")
]
Calibration = Annotated[
    str | None,
    typer.Option("--calibration", help="first-principles or scaled; default: the figure's first, as list shows."),
]
Traces = Annotated[
    Path | None, typer.Option("--traces", help="Folder of the artifact's traces, or one a paper, in place of drawn ones.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of workload and simulation.")]
Results = Annotated[Path, typer.Option("--results", help="Folder of the results.")]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="Worker processes; default: all cores.")]
Quick = Annotated[bool, typer.Option("--quick", help="Short workloads and few values of the axis.")]
Rates = Annotated[
    str | None,
    typer.Option("--rps", help="Request rates, as in 2.6:4.8:0.2 or 2.6,3.0; auto: the figure's own, or this machine's."),
]
OneByOne = Annotated[
    bool, typer.Option("--one-by-one", help="One point after the other, a line for each, and a summary at the end.")
]
At = Annotated[str | None, typer.Option("--at", help="Of the figure's axis only these values, as in 10,50.")]
Here = Annotated[bool, typer.Option("--here", help="Here, even while the container runs.")]


def selection_of(
    models: list[str] | None,
    settings: list[str] | None,
    systems: list[str] | None,
    added: list[str] | None,
    rps: str | None,
    at: str | None,
) -> Selection:
    from exps.figure import Selection
    from exps.registry import parse_axis, parse_values, split_names, split_systems

    rates, values = parse_values(rps) if rps else (), parse_axis(at) if at else ()
    names, places = split_names(models or []), split_names(settings or [])
    return Selection(names, split_systems(systems or []), rates, values, places, split_systems(added or []))
