"""Where a file of a repository lies in the hub's cache: its content once, under its digest, and a link for each revision."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from hub.marker import Verified

CHUNK = 1 << 20
SHA256_DIGITS = 64


@dataclass(frozen=True)
class RemoteFile:
    """``digest``: the SHA-256 of a large file, the SHA-1 of the git blob of a small one; also its name in the cache."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True)
class Listing:
    """The files of one revision of a repository that a model is loaded from."""

    repository: str
    revision: str
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True)
class Place:
    """One file of a listing, in the repository's ``folder``."""

    folder: Path
    listing: Listing
    file: RemoteFile

    @property
    def snapshot(self) -> Path:
        return self.folder / "snapshots" / self.listing.revision

    @property
    def pointer(self) -> Path:
        return self.snapshot / self.file.name

    @property
    def blob(self) -> Path:
        return self.folder / "blobs" / self.file.digest

    @property
    def partial(self) -> Path:
        return self.folder / "blobs" / f"{self.file.digest}.incomplete"

    @property
    def whole(self) -> Path:
        """The content: in the blob or, where the disk has no links, in the place of the pointer."""
        return self.pointer if self.pointer.exists() else self.blob

    def arrived(self) -> int:
        """Bytes that need not be fetched, never more than the file has."""
        if size_of(self.whole) == self.file.size:
            return self.file.size
        return min(max(size_of(self.partial), 0), self.file.size)

    def verified(self) -> Verified:
        found = self.whole.stat()
        return Verified(found.st_size, found.st_mtime_ns, self.file.digest)

    def is_known(self, known: Verified | None) -> bool:
        """Whether the content was verified before and has not been touched since."""
        return known is not None and self.whole.exists() and self.verified() == known

    def is_right(self, path: Path) -> bool:
        """Whether ``path`` has the size and the digest that the hub lists."""
        return size_of(path) == self.file.size and _digest(path, self.file) == self.file.digest

    def clear(self) -> None:
        self.pointer.unlink(missing_ok=True)
        self.blob.unlink(missing_ok=True)

    def link(self) -> None:
        """Makes the pointer lead to the blob; where the disk has no links, the blob moves there."""
        if self.pointer.exists():
            return
        self.snapshot.mkdir(parents=True, exist_ok=True)
        self.pointer.unlink(missing_ok=True)
        try:
            self.pointer.symlink_to(os.path.relpath(self.blob, self.snapshot))
        except OSError:
            os.replace(self.blob, self.pointer)


def size_of(path: Path) -> int:
    """Bytes of a file, -1 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _digest(path: Path, file: RemoteFile) -> str:
    if len(file.digest) == SHA256_DIGITS:
        digest = hashlib.sha256()
    else:
        digest = hashlib.sha1(f"blob {file.size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
