"""Download of the papers' original traces, each checked against its size and SHA-256."""

from __future__ import annotations

import csv
import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from engine.errors import InputError

SOURCES = Path(__file__).parent / "data" / "sources.csv"
GITHUB_RAW = "https://raw.githubusercontent.com"
REPOSITORIES = {
    "adaserve": "zikun-li/AdaServe-Artifact-Evaluation",
    "vtc": "Ying1123/VTC-artifact",
    "fairserve": "fsreview62/fsreview",
    "azure": "Azure/AzurePublicDataset",
}
CHUNK = 1 << 16
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Source:
    """One file of one commit of a GitHub repository ("owner/name")."""

    repository: str
    commit: str
    path: str
    size: int
    sha256: str

    def url(self, base: str) -> str:
        return f"{base.rstrip('/')}/{quote(f'{self.repository}/{self.commit}/{self.path}')}"

    def target(self, into: Path) -> Path:
        return into / self.repository.split("/")[-1] / self.path


Progress = Callable[[Source, int, int], None]


def read_sources(path: Path = SOURCES) -> list[Source]:
    """The rows of a sources file: github_repository, commit, path, bytes, sha256."""
    with path.open(newline="") as file:
        return [
            Source(row["github_repository"], row["commit"], row["path"], int(row["bytes"]), row["sha256"])
            for row in csv.DictReader(file)
        ]


def download_traces(
    into: Path,
    sources_csv: Path = SOURCES,
    fetch_base: str = GITHUB_RAW,
    papers: Collection[str] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Fetch the files of ``papers`` (keys of ``REPOSITORIES``; None means all) to ``into/<repository name>/<path>``.

    A file that is there with the right content is skipped. ``progress`` hears (source, number done, number in all)
    after each. Returns the files' paths. Raises InputError at the first file that cannot be had or written or whose
    content is not the listed one; nothing incomplete is left under a final name.
    """
    unknown = [paper for paper in papers or () if paper not in REPOSITORIES]
    if unknown:
        raise InputError(f"No traces are listed for {unknown[0]!r}; choose from {', '.join(REPOSITORIES)}.")
    wanted = {REPOSITORIES[paper] for paper in papers} if papers is not None else None
    sources = [source for source in read_sources(sources_csv) if wanted is None or source.repository in wanted]
    for done, source in enumerate(sources, start=1):
        _fetch(source, source.url(fetch_base), source.target(into))
        if progress:
            progress(source, done, len(sources))
    return [source.target(into) for source in sources]


def _complete(source: Source, target: Path) -> bool:
    if not target.is_file() or target.stat().st_size != source.size:
        return False
    return hashlib.sha256(target.read_bytes()).hexdigest() == source.sha256


def _fetch(source: Source, url: str, target: Path) -> None:
    """Make ``target`` hold the listed content; nothing happens where it does already."""
    partial = target.with_name(target.name + ".part")
    try:
        if _complete(source, target):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        _stream(source, url, partial)
        partial.replace(target)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{target} cannot be written ({reason}); free the place or choose another folder.") from None
    finally:
        _remove(partial)


def _stream(source: Source, url: str, partial: Path) -> None:
    """Write the body of ``url``, never more than the listed bytes, and compare it with the listing."""
    digest, size = hashlib.sha256(), 0
    with partial.open("wb") as file:
        for chunk in _body(url):
            size += len(chunk)
            if size > source.size:
                break
            digest.update(chunk)
            file.write(chunk)
    if size != source.size or digest.hexdigest() != source.sha256:
        raise InputError(
            f"{url} is not the listed file (expected {source.size} bytes with SHA-256 {source.sha256[:12]}...);"
            " nothing was kept, run the same command again."
        )


def _body(url: str) -> Iterator[bytes]:
    """The body of ``url`` in chunks; InputError for whatever the network does wrong."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            while chunk := response.read(CHUNK):
                yield chunk
    except urllib.error.HTTPError as error:
        raise InputError(f"{url} answered {error.code} {error.reason}; run the same command again later.") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(f"{url} cannot be reached ({reason}); check the network and run the same command.") from None


def _remove(partial: Path) -> None:
    try:
        partial.unlink(missing_ok=True)
    except OSError:
        return
