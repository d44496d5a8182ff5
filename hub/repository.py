"""One repository's folder in the hub's cache: what of it is there, what was verified, who else works on it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from engine.errors import InputError
from hub.marker import Verified, claim, folder_of, locks_of, read_marker, write_marker
from hub.place import Listing, Place, RemoteFile

LOCK = "servelab.lock"


@dataclass(frozen=True)
class Repository:
    """A repository to be made whole, and its folder in the cache."""

    folder: Path
    listing: Listing

    @property
    def places(self) -> list[Place]:
        return [Place(self.folder, self.listing, file) for file in self.listing.files]

    @property
    def snapshot(self) -> Path:
        return self.folder / "snapshots" / self.listing.revision

    def is_whole(self) -> bool:
        """Whether every file of this revision was verified and has not been touched since."""
        marker = read_marker(self.folder)
        if marker is None or not marker.complete or marker.revision != self.listing.revision:
            return False
        return all(place.pointer.exists() and place.is_known(marker.files.get(place.file.name)) for place in self.places)

    def finish(self) -> None:
        """Makes this revision the one that the library finds offline."""
        branch = self.folder / "refs" / "main"
        branch.parent.mkdir(parents=True, exist_ok=True)
        branch.write_text(self.listing.revision, encoding="utf-8")
        marker = claim(self.folder, self.listing.repository)
        names = [file.name for file in self.listing.files]
        files = {name: verified for name, verified in marker.files.items() if name in names}
        write_marker(self.folder, replace(marker, revision=self.listing.revision, complete=True, files=files))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """InputError when another process downloads the same repository. The folder is claimed first."""
        claim(self.folder, self.listing.repository)
        locks = locks_of(self.folder)
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                name = self.listing.repository
                raise InputError(f"another setup is downloading {name} into {self.folder}; wait until it is done.") from None
            yield


def known(place: Place) -> Verified | None:
    """What an earlier verification of the file found."""
    marker = read_marker(place.folder)
    return marker.files.get(place.file.name) if marker else None


def record(place: Place, verified: Verified) -> None:
    marker = claim(place.folder, place.listing.repository)
    write_marker(place.folder, replace(marker, complete=False, files={**marker.files, place.file.name: verified}))


def remembered(cache: Path, repository: str) -> Repository | None:
    """The repository as an earlier download left it, None unless it is whole."""
    folder = folder_of(cache, repository)
    marker = read_marker(folder)
    if marker is None or not marker.complete:
        return None
    files = tuple(RemoteFile(name, verified.size, verified.digest) for name, verified in marker.files.items())
    found = Repository(folder, Listing(repository, marker.revision, files))
    return found if found.is_whole() else None
