"""The command line: parse, call, print."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

import cli_containers
from cli_options import (
    RESULTS,
    Asked,
    DeviceOption,
    Here,
    Jobs,
    OfFigures,
    OneByOne,
    Quick,
    Results,
    Seed,
    StepByStep,
    TraceSteps,
    Weights,
    about_figures,
    refuse_both,
)

app = typer.Typer(
    name="cli.py",
    help="ServeLab: LLM serving policies of five papers in one engine, and their figures reproduced by one command.",
    epilog="Start with: python cli.py list; python cli.py run fig8 --model llama",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

AsJson = cli_containers.AsJson
TRACE_HELP = (
    "CSV: arrival_s, client, prompt_tokens, output_tokens; optional request, app, category, adapter, slo_tpot_s, slo_s,"
    " patience_s, interaction with call and calls, expected_input with expected_system and expected_output, system_tokens,"
    " app_limit."
)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show figures, systems, minutes, disk, what this machine can run, and what models and hardware simulate knows.

    Example: python cli.py list --json
    """
    from exps.commands.listing import listing, show

    show(_reporter(), listing(), as_json)


@app.command(cls=OfFigures)
@about_figures
def run(
    asked: Asked,
    context: typer.Context,
    jobs: Jobs = None,
    one_by_one: OneByOne = False,
    step_by_step: StepByStep = False,
    here: Here = False,
) -> None:
    """Run what is missing of a figure, then judge its claims and draw it. Interrupted, the same command goes on.

    While the container runs, it runs there. Exit 1 when a point failed.

    Examples: python cli.py run fig8 --model llama; python cli.py run vtc/fig3 --system vtc,fcfs; python cli.py run fig8
    --system adaserve --system order=vtc,spec=adaserve --rps 3:4:0.5; python cli.py run all --quick; on GPUs: python
    cli.py run fig8 --model llama-8b --backend native --weights widened
    """
    from exps.commands.run import run

    cli_containers.in_container(context, here)
    options = replace(asked.options, step_by_step=step_by_step)
    if not run(asked.figure, asked.selection, options, asked.results, jobs, _reporter(), one_by_one):
        raise typer.Exit(1)


@app.command(cls=OfFigures)
@about_figures
def plot(asked: Asked) -> None:
    """Draw a figure again from its complete points.

    Example: python cli.py plot fig9 --model llama
    """
    from exps.commands.plot import plot

    plot(asked.figure, asked.selection, asked.options, asked.results, _reporter())


@app.command()
def timeline(
    point: Annotated[Path, typer.Argument(help="Folder of a point that was run with --trace-steps.")],
    between: Annotated[str, typer.Option("--between", help="Seconds of the run, as in 120:121.")],
) -> None:
    """Draw who got how many draft tokens in an interval and why: for each step and request its nodes and its need.

    Example: python cli.py timeline results/adaserve/fig8/sim-4xa100-80g-scaled-traced/llama/adaserve/rps-4 --between 120:121
    """
    from exps.commands.timeline import command

    command(point, between, _reporter())


@app.command(cls=OfFigures)
@about_figures
def check(
    asked: Asked,
    repeats: Annotated[int, typer.Option("--repeats", min=0, help="Simulate so often under small doubts, and count.")] = 0,
    as_page: Annotated[bool, typer.Option("--markdown", help="Print a page of Markdown, as docs/verdicts.md is.")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge the claims of a figure on its complete points: claim, published, ours, verdict. Exit 1 when one fails.

    With --repeats: simulate the figure again and again with arrivals moved by up to 20 ms, steps by up to 1 %, another
    cold start and other luck of drafts. A claim holds from 9 runs of 10, fails up to 1 of 10, and is unsure between.

    Examples: python cli.py check fig8 --calibration scaled --json; python cli.py check vtc/table4 --repeats 10; python
    cli.py check all --repeats 10 --markdown
    """
    from exps.commands.bands import check_repeatedly
    from exps.commands.check import check

    refuse_both("--json", as_json, "--markdown", as_page)
    if repeats:
        held = check_repeatedly(asked.figure, asked.selection, asked.options, repeats, _reporter(), as_json, as_page)
    else:
        held = check(asked.figure, asked.selection, asked.options, asked.results, _reporter(), as_json, as_page)
    if not held:
        raise typer.Exit(1)


@app.command("check-policy")
def check_policy(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="A system, as in order=mine.", show_default=False)],
) -> None:
    """Hold a policy of yours against its contract, on many small random workloads.

    Example: python cli.py check-policy order=vtc,spec=adaserve
    """
    from exps.commands.check_policy import check_policy

    check_policy(system, _reporter())


@app.command()
def simulate(
    trace: Annotated[Path, typer.Argument(help=TRACE_HELP)],
    system: Annotated[list[str], typer.Option("--system", help="One system, as in vtc or order=vtc,spec=adaserve.")],
    model: Annotated[str, typer.Option("--model", help="A model that list shows, as in llama-2-7b.")],
    hardware: Annotated[str, typer.Option("--hardware", help="Hardware that list shows, as in a10g or 4xa100-80g.")],
    out: Annotated[Path, typer.Option("--out", help="New folder for the records.")],
    kv_tokens: Annotated[
        int | None, typer.Option("--kv-tokens", min=1, help="Tokens of KV cache; default: what the hardware leaves.")
    ] = None,
    calibration: Annotated[
        str | None, typer.Option("--calibration", help="A calibration of this model and hardware; default: the first.")
    ] = None,
    seed: Seed = 0,
    step_by_step: StepByStep = False,
    trace_steps: TraceSteps = False,
) -> None:
    """Serve your own trace on the simulator and show metrics overall and by client.

    Example: python cli.py simulate trace.csv --system vtc --model llama-2-7b --hardware a10g --out results/mine
    """
    from exps.commands import simulate as simulation
    from exps.run.serving import Setup

    named = calibration or simulation.first_calibration(model, hardware)
    chosen = simulation.only_system(system)
    setup = Setup(
        chosen, model, hardware, named, seed, kv_tokens, trace_steps=trace_steps, step_by_step=step_by_step
    )
    simulation.command(trace, setup, out, _reporter())


@app.command()
def validate(
    folder: Annotated[Path | None, typer.Argument(help="Recorded runs: index.csv and one csv.gz a run.")] = None,
    as_json: AsJson = False,
    repeats: Annotated[int, typer.Option("--repeats", min=0, help="Perturbed repeats to draw a band.")] = 0,
    native: Annotated[bool, typer.Option("--native", help="Against the native engine on this machine instead.")] = False,
    measured: Annotated[bool, typer.Option("--measured", help="Against the native points in --results instead.")] = False,
    seed: Seed = 0,
    results: Results = RESULTS,
    quick: Quick = False,
) -> None:
    """Show how far the simulator is from recorded runs or, with --native, from the native engine on this machine.

    With --measured: from the native points of figures that are in --results, with the profile that lies beside them.

    Examples: python cli.py validate recordings/vtc --repeats 10; python cli.py validate --native
    """
    import exps.validate

    if not exps.validate.command(folder, as_json, repeats, native, measured, seed, results, quick):
        raise typer.Exit(1)


@app.command()
def profile(
    context: typer.Context,
    model: Annotated[str, typer.Option("--model", help="A model of this machine, as in tiny.")] = "tiny",
    results: Results = RESULTS,
    weights: Weights = "own",
    device: DeviceOption = None,
    quick: Quick = False,
    here: Here = False,
) -> None:
    """Measure this machine: a hardware profile for the simulator, and what figures start from that run here.

    While the container runs, it is measured there.

    Examples: python cli.py profile --model tiny; on GPUs: python cli.py profile --model llama-8b --weights widened
    """
    from exps.commands.profile import profile, show_profile
    from exps.figures.figure import Options
    from exps.figures.typed import check_choice
    from exps.run.local import find_local, on_this_machine

    check_choice("--weights", weights, ("own", "widened"))
    cli_containers.in_container(context, here)
    options = Options(quick=quick, weights=weights, profiles=results / "profiles", device=device)
    show_profile(profile(on_this_machine(find_local(model), device), options, _reporter()), _reporter())


@app.command()
def fit(
    vtc: Annotated[Path | None, typer.Option("--vtc", help="Recorded runs and the profiled cost table.")] = None,
    adaserve: Annotated[Path | None, typer.Option("--adaserve", help="AdaServe's traces.")] = None,
    fairserve: Annotated[Path | None, typer.Option("--fairserve", help="FairServe's recorded runs.")] = None,
    pair: Annotated[bool, typer.Option("--pair", help="Measure what the tiny pair accepts, on its held-out text.")] = False,
    exfairs: Annotated[bool, typer.Option("--exfairs", help="ExFairS's long prompts and seats, on FCFS alone.")] = False,
    dlora: Annotated[bool, typer.Option("--dlora", help="The host's time for each sequence of dLoRA's server.")] = False,
) -> None:
    """Fit the simulator's profiles to their stated calibration sets.

    Example: python cli.py fit --vtc recordings/vtc --adaserve traces
    """
    import exps.calibrate

    exps.calibrate.command(vtc, adaserve, fairserve, pair, exfairs, dlora)


@app.command()
def setup(
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Download models with their drafts: llama, qwen, llama-8b.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="File of the hub's token, - for standard input; else HF_TOKEN.")
    ] = None,
    traces: Annotated[bool, typer.Option("--traces", help="Download the papers' traces.")] = False,
    into: Annotated[Path, typer.Option("--into", help="Folder of the traces.")] = Path("traces"),
    paper: Annotated[list[str] | None, typer.Option("--paper", help="adaserve, vtc, fairserve, azure.")] = None,
    here: Here = False,
) -> None:
    """Fetch what is not in the repository: models from the hub, the papers' original traces; each file is verified.

    While the container runs, models go into its folder. Interrupted, the same command goes on where it was.

    Examples: python cli.py setup --model llama; python cli.py setup --traces --paper adaserve
    """
    from exps.commands import setup as fetching
    from exps.figures.typed import split_names

    models = split_names(model or [])
    fetching.check_wanted(models, traces)
    if models:
        cli_containers.setup_models(models, token_file, here)
    if traces:
        fetching.fetch_traces(into, paper, _reporter())


@app.command()
def doctor(results: Results = RESULTS, as_json: AsJson = False) -> None:
    """Look whether this machine can do it: Python, packages, memory, disk, and a verdict for each figure and backend.

    Example: python cli.py doctor --json
    """
    from doctor import examine, show

    show(_reporter(), examine(results), as_json)


app.registered_commands.extend(cli_containers.app.registered_commands)


def _reporter() -> Any:
    from exps.report import Reporter

    return Reporter()


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code. Bad input is one sentence on stderr and 2, a run that cannot go on 1, Ctrl-C
    130."""
    from engine.errors import InputError, RunError

    os.environ["MPLBACKEND"] = "agg"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return app(arguments, standalone_mode=False, obj=sys.argv[1:] if arguments is None else arguments) or 0
    except InputError as error:
        message = str(error)
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Exception as error:
        from exps.commands.usage import fault_on_import, sentence

        if hasattr(error, "format_message"):
            message = sentence(error)
        elif fault := fault_on_import(error):
            message = fault
        elif isinstance(error, ModuleNotFoundError):
            message = f"the package {error.name} is missing; `make fig8` installs what the kit needs."
        else:
            raise
    print(message, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
