"""Room on disks and in shared memory, and which models are on them."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CPU_IMAGE_BYTES = 2 * 10**9
CUDA_IMAGE_BYTES = 25 * 10**9
IMAGE_BYTES = {"cpu": CPU_IMAGE_BYTES, "cuda": CUDA_IMAGE_BYTES}

SHARED_MEMORY = Path("/dev/shm")
# What AdaServe's artifact starts its container with: the ranks of a tensor-parallel engine exchange through it.
TENSOR_PARALLEL_SHARED_BYTES = 8 * 2**30

CONFIG, WHOLE, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"


@dataclass(frozen=True)
class Cached:
    """What the models' folder holds of a repository; ``whole``: a snapshot with its configuration and all weights."""

    bytes: int
    whole: bool


def nearest_existing(path: Path) -> Path:
    """The path itself or the nearest folder above it that exists."""
    place = path.absolute()
    while not os.path.exists(place) and place != place.parent:
        place = place.parent
    return place


def free_bytes(path: Path) -> int:
    """Free bytes of the disk on which ``path`` is or would be."""
    return shutil.disk_usage(nearest_existing(path)).free


def is_writable(path: Path) -> bool:
    """Whether files can be made in the folder ``path``, or the folder itself where it does not exist."""
    place = nearest_existing(path)
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK) and not _mounted_read_only(place)


def shared_memory_bytes() -> int | None:
    """The size of this machine's or this container's shared memory, None where there is none."""
    return shutil.disk_usage(SHARED_MEMORY).total if SHARED_MEMORY.is_dir() else None


def models_folder() -> Path:
    """Where the hub's library keeps models, by its variables HF_HUB_CACHE, HF_HOME and XDG_CACHE_HOME."""
    if cache := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return _expanded(cache)
    if home := os.environ.get("HF_HOME"):
        return _expanded(home) / "hub"
    return _expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub"


def cached(repository: str, folder: Path) -> Cached:
    """What ``folder``, laid out by the hub's library, holds of "org/name"; parts of files count as bytes."""
    home = folder / f"models--{repository.replace('/', '--')}"
    return Cached(sum(map(_file_bytes, home.rglob("*"))), any(map(_is_whole, home.glob("snapshots/*"))))


def missing_bytes(wanted: Mapping[str, int], folder: Path) -> int:
    """Of repositories of so many bytes each: what ``folder`` lacks of those that are not whole."""
    there = {repository: cached(repository, folder) for repository in wanted}
    return sum(max(0, size - there[name].bytes) for name, size in wanted.items() if not there[name].whole)


def _file_bytes(path: Path) -> int:
    """The size of a file; 0 for links, folders and what is gone meanwhile."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _is_whole(snapshot: Path) -> bool:
    return (snapshot / CONFIG).is_file() and all(path.is_file() for path in _weights(snapshot))


def _weights(snapshot: Path) -> list[Path]:
    """The files of weights that a snapshot needs: its shards, or one file where it has no index of shards."""
    try:
        index = json.loads((snapshot / INDEX).read_text(encoding="utf-8"))
        shards = [snapshot / shard for shard in set(index["weight_map"].values())]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        shards = []
    return shards or [snapshot / WHOLE]


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(os.path.expandvars(path)))


def _mounted_read_only(place: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(place).f_flag & os.ST_RDONLY)
