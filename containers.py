"""The container's life: build, start, attach, status, stop, cleanup; and commands that run in it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from engine.errors import InputError
from exps.report import Reporter, duration
from hosting import living
from hosting.building import Recipe, Step, find_image, sources, tag
from hosting.building import build as build_image
from hosting.engines import INSIDE, LABEL, Engine, answered, connect
from hosting.sessions import PLACE, execute, translated
from hosting.settings import FOLDER, Settings, models_place, read_settings, write_settings
from hosting.starting import ALL_GPUS, MODELS, NO_GPUS, Wish, choose_image, create, digest
from hub.downloads import Download
from hub.downloads import downloads as list_downloads
from hub.downloads import remove as remove_download

ROOT = Path(__file__).resolve().parent
STOP_S = 10
KILLED, KILL_S = 137, 2.0
PASSED = ("HF_ENDPOINT",)
TRY = "Next: cli.py attach, or cli.py run fig8 --quick"


def build(recipe: Recipe, kind: str | None, report: Reporter) -> None:
    """Builds an image of this checkout; says how long it took and how large it is."""
    engine = connect(kind or _remembered().engine)
    log = ROOT / FOLDER / f"build-{recipe.target}.log"
    with report.status(f"Building {tag(recipe.target)}") as say:
        seconds = build_image(engine, recipe, ROOT, log, lambda step: report.note(_line(step)), say)
    image = find_image(engine, recipe.target)
    size = f"{image['Size'] / 1e9:.2f} GB" if image else "of unknown size"
    report.say(f"Built {tag(recipe.target)} with {engine.kind} in {duration(seconds)}: {size}. Next: cli.py start")


def start(wish: Wish, report: Reporter) -> None:
    """Starts the container, or says that it runs already. The other commands remember what it was asked for."""
    remembered = _remembered()
    engine = connect(wish.engine or remembered.engine)
    name = wish.name or remembered.name
    models = (wish.models or models_place(ROOT)).expanduser().absolute()
    image = choose_image(engine, wish)
    present = living.find_container(engine, name)
    same = present is not None and _is_same(present, digest(engine, wish, image, models))
    if same and living.is_running(present):
        report.say(f"{name} runs already. {TRY}")
    else:
        _bring_up(engine, wish, image, models, name, present, same)
        report.say(f"{name} runs; models are in {models}, results stay in {ROOT / 'results'}. {TRY}")
    write_settings(ROOT, Settings(engine.kind, name, str(models)))
    if living.is_stale(image, sources(ROOT)):
        report.note(f"{tag(image['Labels'][LABEL])} was built from other requirements than this checkout's: cli.py build")


def attach() -> int:
    """An interactive shell in the container; returns its exit code."""
    engine, name = _running()
    return _explained(engine, name, execute(engine, name, ["bash"]), "the shell")


def status(as_json: bool, report: Reporter) -> None:
    """What runs, since when, and what it uses."""
    engine = connect(_remembered().engine)
    rows = [_status(engine, thing) for thing in living.things(engine) if thing.kind == living.CONTAINER]
    if as_json:
        report.json(rows)
        return
    if not rows:
        report.say("No container of the kit. Next: cli.py start")
    for row in rows:
        report.values(str(row["container"]), {key: _shown(key, value) for key, value in row.items() if key != "container"})


def stop(report: Reporter) -> None:
    """Stops the container; it stays, and start brings it back."""
    settings = _remembered()
    engine = connect(settings.engine)
    present = living.find_container(engine, settings.name)
    if present is None or not living.is_running(present):
        report.say(f"{settings.name} does not run.")
        return
    living.check_ours(present, str(ROOT))
    with answered(engine):
        engine.api.api.stop(settings.name, timeout=STOP_S)
    report.say(f"{settings.name} stopped. Next: cli.py start, or cli.py cleanup")


def cleanup(models: bool, dry_run: bool, yes: bool, report: Reporter) -> None:
    """Lists everything with the kit's label, asks, removes it, and says what is left.

    ``models`` adds what ``setup`` downloaded; ``dry_run`` removes nothing; ``yes`` does not ask.
    """
    engine = connect(_remembered().engine)
    found, place = living.things(engine), models_place(ROOT)
    downloads = list_downloads(place) if models else []
    if not found and not downloads:
        report.say("Nothing here has the kit's label.")
        if not dry_run:
            _forget(place, report)
        return
    report.frame("With the kit's label", pl.DataFrame([*map(_row, found), *map(_download_row, downloads)]))
    if dry_run:
        report.say("Nothing was removed; without --dry-run it would be.")
        return
    if not yes and not _agreed(len(found) + len(downloads)):
        report.say("Nothing was removed.")
        return
    _remove(engine, found, downloads, report)
    left = ", ".join(f"{thing.kind} {thing.name}" for thing in living.things(engine)) or "nothing with the kit's label"
    report.say(f"Left: {left}. Results stay in {ROOT / 'results'}; the engine's build cache serves all its users and stays.")
    _forget(place, report)


def forward(arguments: Sequence[str], report: Reporter, given: str | None = None) -> int | None:
    """Runs a command of the kit in the running container; returns its exit code, or None when it is to run here.

    ``given`` goes to its standard input.
    """
    if INSIDE.exists() or read_settings(ROOT) is None:
        return None
    try:
        engine, name = _running()
    except InputError as error:
        report.note(f"This runs here, outside the container: {error}")
        return None
    folder, inside = translated(arguments, ROOT)
    environment = {variable: os.environ[variable] for variable in PASSED if variable in os.environ}
    code = execute(engine, name, ["python", str(PLACE / "cli.py"), *inside], folder, environment, given)
    return _explained(engine, name, code, f"`cli.py {' '.join(arguments)}`")


def _remembered() -> Settings:
    return read_settings(ROOT) or Settings()


def _forget(models: Path, report: Reporter) -> None:
    """Drops what was remembered, unless the models' folder still holds what setup downloaded."""
    if kept := list_downloads(models):
        report.say(f"{len(kept)} downloaded models stay in {models}; cli.py cleanup --models removes them.")
    else:
        shutil.rmtree(ROOT / FOLDER, ignore_errors=True)


def _is_same(present: dict[str, Any], asked: str) -> bool:
    """Whether a container is the one asked for. InputError when it is another's, or runs with other settings."""
    living.check_ours(present, str(ROOT))
    same = living.labels(present).get(living.ASKED) == asked
    if living.is_running(present) and not same:
        name = present["Name"].lstrip("/")
        raise InputError(f"{name} runs with other settings or an older image; `cli.py stop`, then the same command.")
    return same


def _bring_up(
    engine: Engine, wish: Wish, image: dict[str, Any], models: Path, name: str, present: dict[str, Any] | None, same: bool
) -> None:
    """Starts the stopped container that is there, where it is the ``same``, or a new one in its place."""
    if present is not None and same:
        with answered(engine):
            engine.api.api.start(name)
    else:
        with living.replaced(engine, name, present):
            create(engine, wish, image, ROOT, models, name)
    living.wait_until_up(engine, name)


def _running() -> tuple[Engine, str]:
    """The engine and the name of this checkout's running container. InputError when there is none."""
    settings = _remembered()
    engine = connect(settings.engine)
    present = living.find_container(engine, settings.name)
    if present is None or not living.is_running(present):
        raise InputError(f"the container {settings.name} does not run; start it with `cli.py start`.")
    living.check_ours(present, str(ROOT))
    return engine, settings.name


def _explained(engine: Engine, name: str, code: int, what: str) -> int:
    """The exit code of what ran in the container. InputError when it was killed, or the container went away under it."""
    kept = "what was complete is kept, so"
    if code and not living.stays_up(engine, name, KILL_S if code == KILLED else 0.0):
        raise InputError(
            f"the container {name} stopped under {what}, killed or out of memory; {kept} `cli.py start`, then type it again."
        )
    if code == KILLED:
        raise InputError(f"{what} was killed in the container, perhaps for want of memory; {kept} type it again.")
    return code


def _remove(engine: Engine, found: Sequence[living.Thing], downloads: Sequence[Download], report: Reporter) -> None:
    """Removes one after another; what cannot go is said and does not keep the rest."""
    for thing in found:
        try:
            living.remove(engine, thing)
            report.note(f"removed {thing.kind} {thing.name}")
        except InputError as error:
            report.note(f"kept {thing.kind} {thing.name}: {error}")
    for download in downloads:
        remove_download(download)
        report.note(f"removed {download.path}")


def _agreed(count: int) -> bool:
    """Asks at the terminal. InputError where nobody can answer."""
    if not sys.stdin.isatty():
        raise InputError("cleanup asks before it removes, and here is no terminal; add --yes, or look with --dry-run.")
    return input(f"Remove these {count}? [y/N] ").strip().lower() in ("y", "yes")


def _line(step: Step) -> str:
    cost = "cached" if step.cached else "" if step.seconds is None else f"{step.seconds:.1f} s"
    return f"{step.title}  {cost}".rstrip()


def _row(thing: living.Thing) -> dict[str, Any]:
    return {
        "kind": thing.kind,
        "name": thing.name,
        "MB": None if thing.bytes is None else thing.bytes / 1e6,
        "state": thing.state,
        "checkout": thing.checkout,
    }


def _download_row(download: Download) -> dict[str, Any]:
    return _row(living.Thing("model", "", download.repository, download.bytes, str(download.path)))


def _status(engine: Engine, thing: living.Thing) -> dict[str, Any]:
    described = living.find_container(engine, thing.id)
    if described is None:
        return {"container": thing.name, "state": "gone"}
    mounts = {mount["Destination"]: mount["Source"] for mount in described["Mounts"]}
    row = {
        "container": thing.name,
        "state": described["State"]["Status"],
        "image": living.labels(described)[LABEL],
        "since": f"{described['State']['StartedAt'][:19]}Z",
        "checkout": thing.checkout,
        "models": mounts.get(MODELS),
        "gpus": _gpus_of(described),
    }
    return {**row, **living.usage(engine, thing.id)} if living.is_running(described) else row


def _gpus_of(described: dict[str, Any]) -> str:
    requests = described["HostConfig"].get("DeviceRequests") or []
    return ",".join(requests[0]["DeviceIDs"] or [ALL_GPUS]) if requests else NO_GPUS


def _shown(key: str, value: Any) -> Any:
    if key == "memory_bytes" and value is not None:
        return f"{value / 1e6:,.0f} MB"
    return "; ".join(value) or "none" if isinstance(value, list) else value
