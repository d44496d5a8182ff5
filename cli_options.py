"""The options that commands share, and what they say together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer
from typer.core import TyperCommand, TyperOption

if TYPE_CHECKING:
    from exps.figures.figure import Options, Selection

T = TypeVar("T")
R = TypeVar("R")
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
    typer.Option("--backend", help="Where points are served:"),
]
Acceptance = Annotated[
    str | None,
    typer.Option("--acceptance", help="measured: a simulation's drafts are accepted as on the tiny pair."),
]
Weights = Annotated[
    str, typer.Option("--weights", help="own, or widened: the tiny pair's function in the model's full-size shape.")
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="Of this machine: cpu, gpu or so many, as in 4xgpu; default: what fits.")
]
Attention = Annotated[
    str | None, typer.Option("--attention", help="On GPUs: triton, flashinfer or reference; default: triton, the fastest.")
]
NoGraphs = Annotated[bool, typer.Option("--no-graphs", help="On GPUs: launch every kernel of a step anew.")]
NoOverlap = Annotated[bool, typer.Option("--no-overlap", help="On GPUs: plan a step after the one before has ended.")]
Calibration = Annotated[
    str | None,
    typer.Option("--calibration", help="One of the figure's calibrations, as list shows; default: the first."),
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
Urgent = Annotated[
    str | None, typer.Option("--urgent", help="Shares of urgent requests, as in 0.1:0.9:0.1; AdaServe's Figure 10.")
]
SloScale = Annotated[
    str | None, typer.Option("--slo-scale", help="SLOs of urgent requests over the baseline latency, as in 0.6:1.6:0.2.")
]
OutputTokens = Annotated[
    int | None, typer.Option("--output-tokens", min=1, help="Cap of the answers in AdaServe's figures; default: 256.")
]
TraceSteps = Annotated[
    bool, typer.Option("--trace-steps", help="Record what speculation decides in each step, for cli.py timeline.")
]
OneByOne = Annotated[
    bool, typer.Option("--one-by-one", help="One point after the other, a line for each, and a summary at the end.")
]
At = Annotated[str | None, typer.Option("--at", help="Of the figure's axis only these values, as in 10,50.")]
StepByStep = Annotated[
    bool, typer.Option("--step-by-step", help="Simulate each step by itself: the same records, more slowly.")
]
Here = Annotated[bool, typer.Option("--here", help="Here, even while the container runs.")]


RESULTS = Path("results")


@dataclass(frozen=True)
class Asked:
    """What a person asks of figures: which points, how they are served, and the folder of their results."""

    figure: str
    selection: Selection
    options: Options
    results: Path


class OfFigures(TyperCommand):
    """A command whose help names the backends that there are: loading them takes too long for any other use of it."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        from exps.run.backends import choices

        for option in self.params:
            if isinstance(option, TyperOption) and option.name == "backend":
                option.help = f"{option.help} {choices()}"
        super().format_options(ctx, formatter)


def about_figures(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of ``_asked``, which it gets as its parameter ``asked``."""
    shared = signature(_asked, eval_str=True).parameters
    own = {name: one for name, one in signature(command).parameters.items() if name != "asked"}
    kinds = get_type_hints(command, localns={"Asked": Asked}, include_extras=True)

    @wraps(command)
    def typed(**given: Any) -> None:
        command(_asked(**{name: given.pop(name) for name in shared}), **given)

    both = [*shared.values(), *(one.replace(annotation=kinds[name]) for name, one in own.items())]
    typed.__signature__ = Signature([one.replace(kind=Parameter.KEYWORD_ONLY) for one in both])  # type: ignore[attr-defined]
    typed.__annotations__ = {one.name: one.annotation for one in both}
    return typed


def _asked(
    figure: FigureName,
    model: Models = None,
    setting: Settings = None,
    system: Systems = None,
    added: Added = None,
    rps: Rates = None,
    urgent: Urgent = None,
    slo_scale: SloScale = None,
    at: At = None,
    output_tokens: OutputTokens = None,
    trace_steps: TraceSteps = False,
    backend: Backend = "auto",
    calibration: Calibration = None,
    acceptance: Acceptance = None,
    weights: Weights = "own",
    device: DeviceOption = None,
    attention: Attention = None,
    no_graphs: NoGraphs = False,
    no_overlap: NoOverlap = False,
    traces: Traces = None,
    seed: Seed = 0,
    quick: Quick = False,
    results: Results = RESULTS,
) -> Asked:
    from exps.figures.figure import Execution, Options, Selection
    from exps.figures.typed import check_choice, parse_axis, parse_values, split_names, split_systems
    from exps.run.backends import check_backend

    check_choice("--acceptance", acceptance, ("measured",))
    check_choice("--weights", weights, ("own", "widened"))
    check_choice("--attention", attention, ("triton", "flashinfer", "reference"))
    selection = Selection(
        models=_given("--model", model, split_names),
        systems=_given("--system", system, split_systems),
        rps=_given("--rps", rps, parse_values, or_none=rps == "auto"),
        at=_given("--at", at, parse_axis),
        settings=_given("--setting", setting, split_names),
        added=_given("--with", added, split_systems),
        urgent=_given("--urgent", urgent, partial(parse_values, option="--urgent", what="shares", example="0.1:0.9:0.1")),
        slo_scale=_given(
            "--slo-scale", slo_scale, partial(parse_values, option="--slo-scale", what="scales", example="0.6:1.6:0.2")
        ),
    )
    named = check_backend(backend)
    execution = Execution(attention, not no_graphs, not no_overlap)
    profiles = results / "profiles"
    options = Options(
        named, calibration, seed, traces, quick, acceptance, weights, profiles, device, execution, output_tokens, trace_steps
    )
    return Asked(figure, selection, options, results)


def _given(option: str, typed: T | None, parse: Callable[[T], tuple[R, ...]], or_none: bool = False) -> tuple[R, ...]:
    """What was typed after an option, empty where it was left out. InputError for nothing after it."""
    from engine.errors import InputError

    if typed is None:
        return ()
    values = parse(typed) if typed else ()
    if not values and not or_none:
        raise InputError(f"{option} names nothing; name something after it, or leave it out.")
    return values


def refuse_both(one: str, first: bool, other: str, second: bool) -> None:
    """InputError where both of two options are given that exclude each other."""
    from engine.errors import InputError

    if first and second:
        raise InputError(f"{one} and {other} exclude each other; give one of the two.")
