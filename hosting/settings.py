"""What the commands of a checkout remember: the engine, the container's name, the folder of the models."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.configuration import from_table
from engine.errors import InputError
from hosting.engines import INSIDE
from hosting.storage import models_folder

FOLDER = ".servelab"
NAME = "servelab"


@dataclass(frozen=True)
class Settings:
    """Written by ``start``, read by every command about the container."""

    engine: str | None = None
    name: str = NAME
    models: str | None = None


def read_settings(checkout: Path) -> Settings | None:
    """What was remembered, None when nothing was."""
    path = _path(checkout)
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it, then `cli.py start`.") from error
    if not isinstance(table, dict) or not all(isinstance(value, str) or value is None for value in table.values()):
        raise InputError(f"{path} holds other than names; delete it, then `cli.py start`.")
    return from_table(Settings, table, str(path))


def write_settings(checkout: Path, settings: Settings) -> None:
    """InputError where the checkout cannot be written to."""
    path = _path(checkout)
    draft = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(exist_ok=True)
        draft.write_text(json.dumps(asdict(settings), indent=2) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); mend that, then `cli.py start`.") from error


def models_place(checkout: Path) -> Path:
    """The folder of the models: inside the one that was mounted, outside the one that start was told, or the hub's own."""
    remembered = None if INSIDE.exists() else read_settings(checkout)
    return Path(remembered.models) if remembered and remembered.models else models_folder()


def _path(checkout: Path) -> Path:
    return checkout / FOLDER / "settings.json"
