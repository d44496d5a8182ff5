"""The models of the figures, downloaded: access to all of them first, then the disk, then the bytes."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from engine.catalogue import MODELS
from engine.errors import InputError
from hub.marker import Verified, folder_of
from hub.place import Place
from hub.repository import Repository, known, record, remembered
from hub.threads import in_threads

if TYPE_CHECKING:
    from exps.report import Reporter
    from hub.remote import Hub

FULL = (errno.ENOSPC, errno.EDQUOT)
LARGER = "or start with a folder on a larger disk, `cli.py start --models DIR`"
THREADS = 4


def models_of(name: str) -> list[str]:
    """Target and draft behind a figure's name for a model ("llama") or the model's own ("llama-3.1-70b")."""
    from engine.configuration import nearest
    from exps.papers.adaserve.evaluation import PLATFORMS
    from exps.run.local import LOCAL

    figures = {platform.name: platform.model for platform in (*PLATFORMS, *LOCAL) if platform.model in MODELS}
    model = figures.get(name, name)
    if model not in MODELS:
        raise InputError(f"no model {name!r} is downloaded; {nearest(name, [*figures, *MODELS])}")
    draft = MODELS[model].draft
    return [model, draft] if draft else [model]


def needs_token(models: Sequence[str], cache: Path) -> bool:
    """Whether something gated is asked for that is not whole in ``cache`` yet."""
    gated = [MODELS[model].repository for model in _models(models) if MODELS[model].gated]
    return any(remembered(cache, repository) is None for repository in gated)


def download_models(
    models: Sequence[str], token: str | None, report: Reporter, cache: Path | None = None, endpoint: str | None = None
) -> list[Path]:
    """Makes targets and drafts of ``models`` whole in the hub's cache, each file verified; returns their folders.

    ``cache`` and ``endpoint`` default to the library's own. What arrived before an error or an interrupt stays, and the
    same call goes on there. InputError for whatever person, hub, network or disk do wrong.
    """
    names, place = [MODELS[model].repository for model in _models(models)], _cache(cache)
    from hub.remote import Hub, quiet

    with quiet():
        hub = Hub(token, endpoint)
        repositories = [_find(hub, place, name, report) for name in names]
        missing = [repository for repository in repositories if not repository.is_whole()]
        if missing:
            _download(hub, missing, place, report)
    done = "downloaded and verified" if missing else "everything is there and verified"
    report.say(f"{', '.join(names)}: {done}, in {place}.")
    return [repository.snapshot for repository in repositories]


def _models(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(model for name in names for model in models_of(name)))


def _cache(given: Path | None) -> Path:
    if find_spec("huggingface_hub") is None:
        raise InputError("downloading models needs huggingface_hub; install it with `make tiny`.")
    from hub.remote import cache_folder

    return given or cache_folder()


def _find(hub: Hub, cache: Path, name: str, report: Reporter) -> Repository:
    """The repository as the hub lists it or, where the hub gives nothing, as it was verified here earlier."""
    try:
        return Repository(folder_of(cache, name), hub.listing(name))
    except InputError as error:
        found = remembered(cache, name)
        if found is None:
            raise
        report.note(f"{name} is here and was verified earlier; it was not looked up: {str(error).partition(';')[0]}.")
        return found


def _download(hub: Hub, repositories: Sequence[Repository], cache: Path, report: Reporter) -> None:
    places = [place for repository in repositories for place in repository.places]
    try:
        _check_room(places, cache)
        with ExitStack() as stack:
            for repository in repositories:
                stack.enter_context(repository.locked())
            total = sum(place.file.size for place in places)
            _settle(hub, places, stack.enter_context(report.bytes(total, total - _lacking(places))))
            for repository in repositories:
                repository.finish()
    except KeyboardInterrupt:
        report.note("Interrupted: what arrived is kept; the same command goes on.")
        raise
    except OSError as error:
        raise _disk_fault(error, cache, places) from None


def _settle(hub: Hub, places: Sequence[Place], moved: Callable[[int], None]) -> None:
    """Files of the same content one after the other, since they share a blob."""
    from hub.transfer import settle

    def work(place: Place, stop: Event) -> Verified:
        return settle(hub, place, known(place), moved, stop)

    firsts = list({place.blob: place for place in places}.values())
    copies = [place for place in places if place not in firsts]
    for group in (firsts, copies):
        with closing(in_threads(work, group, THREADS)) as results:
            for place, verified in results:
                record(place, verified)


def _lacking(places: Sequence[Place]) -> int:
    return sum(place.file.size - place.arrived() for place in places)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"


def _check_room(places: Sequence[Place], cache: Path) -> None:
    disk = next(folder for folder in (cache, *cache.absolute().parents) if folder.exists())
    lacking, free = _lacking(places), shutil.disk_usage(disk).free
    if lacking > free:
        found = f"{cache} has {_gigabytes(free)} free and the models need {_gigabytes(lacking)} more"
        raise InputError(f"{found}; free some and run the same command again, {LARGER}.")


def _disk_fault(error: OSError, cache: Path, places: Sequence[Place]) -> InputError:
    if error.errno in FULL:
        found = f"the disk of {cache} is full and the models need {_gigabytes(_lacking(places))} more"
        return InputError(f"{found}; free that much and run the same command again, which goes on, {LARGER}.")
    where = error.filename or cache
    return InputError(f"{where} cannot be written ({error.strerror or error}); make {cache} writable, {LARGER}.")
