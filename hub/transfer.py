"""One file from the hub into the cache: goes on where it stopped, verified before it counts, fetched once more if wrong."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from engine.errors import InputError
from hub.marker import Verified
from hub.place import Place, size_of
from hub.remote import AGAIN, Hub, may_pass

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

Moved = Callable[[int], None]
TRIES, PAUSE_S = 3, 1.0


class StoppedError(Exception):
    """Another file failed, or the person interrupted."""


def settle(hub: Hub, place: Place, known: Verified | None, moved: Moved, stop: Event) -> Verified:
    """Makes sure that the file is there and right. ``moved`` hears of bytes that arrived, negative when some were wrong.

    InputError for what the hub or the network does wrong; OSError is the disk's own.
    """
    place.blob.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_known(known) and not place.is_right(place.whole):
        moved(-place.file.size if size_of(place.whole) == place.file.size else 0)
        place.clear()
        _fetch(hub, place, moved, stop)
    place.link()
    return place.verified()


def _fetch(hub: Hub, place: Place, moved: Moved, stop: Event) -> None:
    for _ in range(2):
        _receive(hub, place, moved, stop)
        if place.is_right(place.partial):
            os.replace(place.partial, place.blob)
            return
        moved(-size_of(place.partial))
        place.partial.unlink()
    name, repository = place.file.name, place.listing.repository
    raise InputError(f"{name} of {repository} arrived twice with another content than the hub lists; {AGAIN} later.")


def _receive(hub: Hub, place: Place, moved: Moved, stop: Event) -> None:
    """The rest of the file, over as many connections as it takes while each brings something."""
    failures = 0
    while True:
        partial = _Partial(place.partial, moved, stop)
        start = partial.tell()
        try:
            with partial:
                if start < place.file.size:
                    hub.receive(place.listing, place.file, partial, start)
            return
        except StoppedError:
            raise
        except Exception as error:
            if partial.fault is not None:
                raise partial.fault from None
            failures = failures + 1 if size_of(place.partial) <= start else 0
            if failures == TRIES or not may_pass(error):
                raise hub.refusal(place.listing.repository, error) from None
        stop.wait(PAUSE_S)


class _Partial(io.BufferedWriter):
    """A file that is appended to, tells how it grows, and refuses to grow once ``stop`` is set.

    ``fault`` keeps the disk's error, whatever the network layer makes of it.
    """

    def __init__(self, path: Path, moved: Moved, stop: Event):
        super().__init__(io.FileIO(path, "ab"))
        self._moved, self._stop, self._end = moved, stop, self.tell()
        self.fault: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        if self._stop.is_set():
            raise StoppedError
        try:
            written = super().write(data)
            self.flush()
        except OSError as error:
            self.fault = error
            raise
        end = self.tell()
        self._moved(end - self._end)
        self._end = end
        return written
