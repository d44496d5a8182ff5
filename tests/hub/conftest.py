"""A fake hub with a small pair of repositories, and a download that is pointed at it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import constants

from exps.report import Reporter
from hub import download_models
from hub import transfer as transfer_module
from tests.hub.fake import FakeHub, running

ROOT = Path(__file__).parents[2]
TARGET, DRAFT = "Qwen/Qwen2.5-32B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct"
GATED = ("meta-llama/Llama-3.1-70B-Instruct", "meta-llama/Llama-3.2-1B-Instruct")
WEIGHTS = "model.safetensors"
MEGABYTE = 1 << 20

Download = Callable[..., list[Path]]
Drive = Callable[..., "subprocess.Popen[str]"]


class Recorder(Reporter):
    """Keeps what the bar hears."""

    def __init__(self) -> None:
        super().__init__()
        self.total, self.moves = 0, list[int]()

    @contextmanager
    def bytes(self, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        self.total = total
        yield self.moves.append


def is_whole(folder: Path, content: dict[str, bytes]) -> bool:
    return all((folder / name).read_bytes() == content[name] for name in ("config.json", "tokenizer.json", WEIGHTS))


def model(seed: int, megabytes: float = 3) -> dict[str, bytes]:
    return {
        "config.json": b'{"seed": %d}' % seed,
        "tokenizer.json": b"{}",
        "README.md": b"not wanted",
        "original.pth": b"not wanted either",
        WEIGHTS: random.Random(seed).randbytes(int(megabytes * MEGABYTE)),
    }


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    with running({TARGET: model(1), DRAFT: model(2, 0.1)}) as hub:
        yield hub


@pytest.fixture
def llama(hub: FakeHub) -> FakeHub:
    """The hub with gated repositories, and two accounts of which one was let in."""
    hub.repositories |= {repository: model(seed, 0.1) for seed, repository in enumerate(GATED)}
    hub.gated = set(GATED)
    hub.tokens = {"hf_let_in": True, "hf_not_let_in": False}
    return hub


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def download(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Download:
    """Both models of qwen into the cache, in this process."""
    monkeypatch.setattr(transfer_module, "PAUSE_S", 0.01)

    def run(token: str | None = None, models: tuple[str, ...] = ("qwen",), report: Reporter | None = None) -> list[Path]:
        return download_models(models, token, report or Reporter(), cache, hub.url)

    return run


@pytest.fixture
def drive(hub: FakeHub, cache: Path, tmp_path: Path) -> Iterator[Drive]:
    """The driver in a process of its own, with the environment a person would set."""
    started = []

    def run(*arguments: str, stdin: int | None = subprocess.DEVNULL, **extra: str) -> subprocess.Popen[str]:
        own = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(cache), "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "driver.py"), *arguments],
            env={**os.environ, **own, **extra}, cwd=tmp_path, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
