"""What setup downloaded, for cleanup. A folder that was there before is never listed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InputError
from hub.marker import PREFIX, locks_of, read_marker


@dataclass(frozen=True)
class Download:
    """A repository's folder in the hub's cache that setup made; ``bytes`` is what removing it frees."""

    path: Path
    repository: str
    bytes: int


def downloads(cache: Path) -> list[Download]:
    """The repositories below ``cache`` that setup downloaded, by name."""
    found = []
    for folder in sorted(cache.glob(f"{PREFIX}*")):
        marker = None if folder.is_symlink() else read_marker(folder)
        if marker is not None and marker.ours:
            found.append(Download(folder, marker.repository, _bytes_below(folder)))
    return found


def remove(download: Download) -> None:
    """Removes the folder and the library's locks for it. InputError where something of it cannot be removed."""
    marker = read_marker(download.path)
    if marker is None or not marker.ours:
        raise InputError(f"{download.path} was not made by setup, so it stays; remove it yourself if you do not need it.")
    try:
        shutil.rmtree(download.path)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{error.filename} cannot be removed ({reason}); remove {download.path} yourself.") from None
    shutil.rmtree(locks_of(download.path), ignore_errors=True)


def _bytes_below(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
