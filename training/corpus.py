"""Documents of the corpus: Python sources, documentation pages, and what is held out of training."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InputError
from training.pages import text_of

KINDS = ("coding", "chat", "summarization")
HELD_OUT_OF_256 = 8
CAPS = {"code": 9_000_000, "doc": 9_000_000}
SHORTEST, LONGEST, WIDEST = 400, 150_000, 300


@dataclass(frozen=True)
class Document:
    """One text. ``source`` is the package it came from, ``path`` the file in it."""

    kind: str
    source: str
    path: str
    text: str

    @property
    def held_out(self) -> bool:
        return held_out(self.source, self.path)


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def held_out(source: str, path: str) -> bool:
    """Whole files are held out, one in 32, by the SHA-256 of their name."""
    return digest(f"{source}/{path}")[0] < HELD_OUT_OF_256


def gather(root: Path) -> Iterator[Document]:
    """Documents under root/code/SOURCE/ (Python files) and root/doc/SOURCE/ (pages), each source up to its cap of
    characters, files in the order of their name's hash, no text twice."""
    if not any((root / room).is_dir() for room in CAPS):
        raise InputError(f"{root} has neither code/ nor doc/; put each source's files into a folder of its own there.")
    seen: set[bytes] = set()
    for room, cap in CAPS.items():
        folders = sorted((root / room).iterdir()) if (root / room).is_dir() else []
        for folder in folders:
            yield from _source(folder, "coding" if room == "code" else "summarization", cap, seen)


def _source(folder: Path, kind: str, cap: int, seen: set[bytes]) -> Iterator[Document]:
    names = files_below(folder)
    wanted = _python(names) if kind == "coding" else _pages(names)
    taken = 0
    for name in sorted(wanted, key=lambda name: digest(f"{folder.name}/{name}")):
        text = _read(folder / name)
        key = digest(text)
        if not SHORTEST <= len(text) or not plausible(text) or key in seen:
            continue
        seen.add(key)
        text = text[:LONGEST]
        taken += len(text)
        if taken > cap:
            return
        yield Document(kind, folder.name, name, text)


def files_below(folder: Path) -> list[str]:
    """Names of the files below ``folder``, links followed, in order."""
    found = []
    for where, _, names in os.walk(folder, followlinks=True):
        found += [str((Path(where) / name).relative_to(folder)) for name in names]
    return sorted(found)


def plausible(text: str) -> bool:
    """Text that people wrote: nearly all ASCII, no very long lines, more than digits."""
    ascii_share = sum(map(str.isascii, text)) / len(text)
    digits = sum(map(str.isdigit, text)) / len(text)
    return ascii_share > 0.98 and digits < 0.12 and max(map(len, text.splitlines()), default=0) <= WIDEST


def _python(names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(".py") and "site-packages/" not in name]


def _pages(names: list[str]) -> list[str]:
    """The reStructuredText sources where a package has them, else its HTML."""
    sources = [name for name in names if name.endswith((".rst", ".rst.txt"))]
    return sources or [name for name in names if name.endswith(".html") and Path(name).stem not in ("print", "all")]


def _read(path: Path) -> str:
    text = path.read_bytes().decode("utf-8", errors="replace")
    text = text_of(text) if path.suffix == ".html" else text
    return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"
