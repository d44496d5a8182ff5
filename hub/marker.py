"""What was downloaded into a repository's folder of the hub's cache, remembered in that folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = ".servelab.json"
PREFIX = "models--"


@dataclass(frozen=True)
class Verified:
    """A file whose content had ``digest`` (SHA-256, or a git blob's SHA-1) when it had this size and time."""

    size: int
    mtime_ns: int
    digest: str


@dataclass(frozen=True)
class Marker:
    """``ours``: the folder was made by this download, so that cleanup may remove it. ``complete``: all of ``revision``."""

    repository: str
    ours: bool
    revision: str = ""
    complete: bool = False
    files: Mapping[str, Verified] = field(default_factory=dict)


def folder_of(cache: Path, repository: str) -> Path:
    return cache / f"{PREFIX}{repository.replace('/', '--')}"


def locks_of(folder: Path) -> Path:
    """Where the hub's library keeps the locks of a repository's folder."""
    return folder.parent / ".locks" / folder.name


def read_marker(folder: Path) -> Marker | None:
    """None where there is none, or none that can be read."""
    try:
        table = json.loads((folder / FILE).read_text(encoding="utf-8"))
        files = {str(name): Verified(**entry) for name, entry in table.pop("files").items()}
        return Marker(**table, files=files)
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None


def write_marker(folder: Path, marker: Marker) -> None:
    """Replaces the marker at once: a reader finds the old one or the new one."""
    fresh = folder / f"{FILE}.new"
    fresh.write_text(json.dumps(asdict(marker), indent=1) + "\n", encoding="utf-8")
    os.replace(fresh, folder / FILE)


def claim(folder: Path, repository: str) -> Marker:
    """The marker of a folder, made where there is none: a folder that holds anything already stays its owner's."""
    found = read_marker(folder)
    if found is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    marker = Marker(repository, ours=not any(folder.iterdir()))
    write_marker(folder, marker)
    return marker
