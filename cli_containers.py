"""The commands about the container, which cli.py takes in: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from exps.report import Reporter

app = typer.Typer(add_completion=False)

EngineName = Annotated[
    str | None, typer.Option("--engine", help="docker or podman; default: the remembered one, else Docker before Podman.")
]
BuildTarget = Annotated[str | None, typer.Option("--target", help="cpu or cuda; default: cuda where an NVIDIA GPU is.")]
StartTarget = Annotated[str | None, typer.Option("--target", help="cpu or cuda; default: of those built, what suits here.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def build(
    target: BuildTarget = None,
    base: Annotated[str | None, typer.Option("--base", help="Base image in place of the Dockerfile's.")] = None,
    pip_conf: Annotated[
        Path | None, typer.Option("--pip-conf", help="pip.conf for the build alone, as for an index of torch for CPUs.")
    ] = None,
    ca: Annotated[Path | None, typer.Option("--ca", help="Bundle of certificates for the build alone.")] = None,
    network: Annotated[str | None, typer.Option("--network", help="Network of the build's steps, as in host.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Do every step anew.")] = False,
    engine: EngineName = None,
) -> None:
    """Build the image: cpu for any machine; cuda with CUDA 12.4, vLLM and FlashInfer for NVIDIA GPUs.

    Examples: python cli.py build --target cpu; python cli.py build --pip-conf pip.conf --ca bundle.crt
    """
    import containers
    from hosting.building import Recipe, choose_target

    recipe = Recipe(choose_target(target), base, pip_conf, ca, network, no_cache)
    containers.build(recipe, engine, _reporter())


@app.command()
def start(
    target: StartTarget = None,
    models: Annotated[
        Path | None, typer.Option("--models", help="Folder of the models on this machine; remembered. Default: the hub's own.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the container; remembered.")] = None,
    gpus: Annotated[
        str | None, typer.Option("--gpus", help="all, none, or numbers as in 0,1; default: all with cuda, none with cpu.")
    ] = None,
    shm: Annotated[str, typer.Option("--shm", help="Shared memory, as in 8g.")] = "8g",
    memory: Annotated[str | None, typer.Option("--memory", help="Limit of memory, as in 16g; default: none.")] = None,
    cpus: Annotated[float | None, typer.Option("--cpus", min=0.01, help="Limit of cores; default: none.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Port of a server inside, opened on 127.0.0.1.")
    ] = None,
    engine: EngineName = None,
) -> None:
    """Start the container: this checkout in it, so that results stay here; the models' folder; GPUs where there are any.

    Examples: python cli.py start; python cli.py start --target cuda --models /data/models --gpus 0,1
    """
    import containers
    from hosting.starting import Wish

    containers.start(Wish(target, name, engine, models, gpus, shm, memory, cpus, port), _reporter())


@app.command()
def attach() -> None:
    """Open a shell in the running container; several at once are fine.

    Example: python cli.py attach
    """
    import containers

    raise typer.Exit(containers.attach())


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the kit's containers: what runs in them, since when, and what they use.

    Example: python cli.py status --json
    """
    import containers

    containers.status(as_json, _reporter())


@app.command()
def stop() -> None:
    """Stop the container; start brings it back.

    Example: python cli.py stop
    """
    import containers

    containers.stop(_reporter())


@app.command()
def cleanup(
    models: Annotated[bool, typer.Option("--models", help="Also the models that setup downloaded.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove every container, image and volume with the kit's label, and nothing else; results stay.

    Examples: python cli.py cleanup --dry-run; python cli.py cleanup --models --yes
    """
    import containers

    containers.cleanup(models, dry_run, yes, _reporter())


def in_container(context: typer.Context, here: bool) -> None:
    """Ends a command of cli.py with the exit code of the same command in the container, where one runs.

    ``context.obj`` holds the words of the command line.
    """
    from containers import forward

    code = None if here else forward(context.obj, _reporter())
    if code is not None:
        raise typer.Exit(code)


def setup_models(models: tuple[str, ...], token_file: Path | None, here: bool) -> None:
    """Downloads in the container, where one runs: the token goes to its standard input, and nowhere else."""
    import hub
    from containers import ROOT, forward
    from hosting.settings import models_place

    token = hub.read_token(token_file, ask=hub.needs_token(models, models_place(ROOT)))
    arguments = ["setup", "--model", ",".join(models), *["--token-file", "-"] * (token is not None)]
    code = None if here else forward(arguments, _reporter(), given=f"{token or ''}\n")
    if code is None:
        hub.download_models(models, token, _reporter(), models_place(ROOT))
    elif code:
        raise typer.Exit(code)


def _reporter() -> Reporter:
    from exps.report import Reporter

    return Reporter()
