"""Results on disk: a folder a point, written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from engine.errors import InputError
from exps.figures.figure import Point, Record

REQUESTS, STEPS, SUMMARY, MANIFEST = "requests.parquet", "steps.parquet", "summary.json", "manifest.json"
TRACE = "speculation.parquet"
NAMES = {REQUESTS, STEPS, SUMMARY, MANIFEST, TRACE}
TEMPORARY = ".tmp-"
ABANDONED_S = 86_400.0


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """The frame as Parquet; the same frame gives the same bytes."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=3, statistics=True, row_group_size=1 << 17)
    return buffer.getvalue()


def json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def write_record(folder: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Make ``folder`` hold exactly the files and a manifest with their SHA-256 and its own.

    Its status is "complete", or "failed" where the manifest names a failure.

    Everything goes to a temporary sibling, is flushed to the disk and renamed, so that a crash leaves what was there
    before. OSError passes through, and the temporary is removed.
    """
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    status = "failed" if manifest.get("failure") else "complete"
    whole = {**manifest, "status": status, "files": digests}
    complete = json_bytes({**whole, "sha256": _own_digest(whole)})
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(folder.parent)
    try:
        temporary.mkdir()
        for name, content in {**files, MANIFEST: complete}.items():
            _write_flushed(temporary / name, content)
        _flush_folder(temporary)
        _replace(temporary, folder)
        _flush_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest, or None when there is none that can be read."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def is_complete(folder: Path, configuration: Mapping[str, Any]) -> bool:
    """Whether the folder holds the whole, unaltered result of exactly this configuration.

    The manifest says so and is as it was written, its configuration is the one asked for, every file has its SHA-256,
    and there is one row for each request submitted.
    """
    manifest = read_manifest(folder)
    if manifest is None or manifest.get("sha256") != _own_digest(manifest):
        return False
    if manifest.get("status") != "complete" or manifest.get("configuration") != configuration:
        return False
    digests = manifest.get("files")
    expected = {REQUESTS, SUMMARY} | ({STEPS} if configuration["record_steps"] else set())
    expected |= {TRACE} if configuration.get("trace_steps") else set()
    if not isinstance(digests, dict) or set(digests) != expected:
        return False
    try:
        if any(hashlib.sha256((folder / name).read_bytes()).hexdigest() != digests[name] for name in digests):
            return False
        rows = pl.scan_parquet(folder / REQUESTS).select(pl.len()).collect().item()
    except (OSError, pl.exceptions.PolarsError):
        return False
    return bool(rows == manifest.get("rows") == configuration["workload"]["requests"])


def read_record(folder: Path, point: Point) -> Record:
    """The record of a folder that is complete."""
    steps = folder / STEPS
    return Record(
        point=point,
        requests=pl.read_parquet(folder / REQUESTS),
        steps=pl.read_parquet(steps) if steps.exists() else None,
        manifest=read_manifest(folder) or {},
    )


def remove_stale(root: Path, pattern: str = "**/") -> None:
    """Remove what dead runs left half-written below ``root``; the temporaries of living ones stay."""
    for path in list(root.glob(f"{pattern}{TEMPORARY}*")):
        if path.is_dir() and not _owner_lives(path):
            shutil.rmtree(path, ignore_errors=True)


def check_writable(root: Path) -> None:
    """InputError unless a file can be made and filled below ``root``, which is made where it is missing."""
    with storage(root):
        root.mkdir(parents=True, exist_ok=True)
        trial = _temporary(root)
        try:
            _write_flushed(trial, bytes(4096))
        finally:
            trial.unlink(missing_ok=True)


@contextmanager
def storage(root: Path) -> Iterator[None]:
    """Turn what a disk can refuse into one sentence about ``root``."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "no space is left; complete points are kept, so free some and run the same command again"
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            advice = "it is read-only for you; choose another folder with --results DIR"
        else:
            advice = f"{error.strerror or error}; choose another folder with --results DIR"
        raise InputError(f"cannot write to {root}: {advice}.") from error


def _own_digest(manifest: Mapping[str, Any]) -> str:
    """Of all but the digest itself."""
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json_bytes(rest)).hexdigest()


def _temporary(parent: Path) -> Path:
    """A new name that tells which process of which host it belongs to."""
    return parent / f"{TEMPORARY}{os.getpid()}-{uuid.uuid4().hex[:8]}-{socket.gethostname()}"


def _write_flushed(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(temporary: Path, folder: Path) -> None:
    """Rename over an old result, which moves aside first because a folder cannot be renamed onto a full one."""
    if folder.exists():
        aside = _temporary(folder.parent)
        os.rename(folder, aside)
        os.rename(temporary, folder)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        os.rename(temporary, folder)


def _owner_lives(temporary: Path) -> bool:
    """Whether the process in the name still runs. Other hosts cannot be asked: theirs count as alive for a day."""
    try:
        pid, _, host = temporary.name.removeprefix(TEMPORARY).split("-", 2)
        if host != socket.gethostname():
            return time.time() - temporary.stat().st_mtime < ABANDONED_S
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, FileNotFoundError, ValueError):
        return False
    return True
