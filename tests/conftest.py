"""How tests are spread over workers; small and read-only disks, where this process may mount them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

SHARING = ("tests/containers/", "tests/engine/executors/native/parallel/test_tokens.py")


class OneWorkerForThoseWhoShare(LoadScopeScheduling):
    """Tests that share the container engine go to one worker, so do those that share processes; all others one by one to
    whichever is free."""

    def _split_scope(self, nodeid: str) -> str:
        return next((shared for shared in SHARING if nodeid.startswith(shared)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneWorkerForThoseWhoShare:
    return OneWorkerForThoseWhoShare(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cuda", action="store_true", help="Also build the cuda image, which downloads 5 GB; CI always does.")


@pytest.fixture
def mount() -> Iterator[Callable[[Path, str], bool]]:
    """Mounts a memory disk with these options on a folder until the test ends; False where that is not allowed."""
    mounted: list[Path] = []

    def try_mount(folder: Path, options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        allowed = os.geteuid() == 0 and shutil.which("mount") is not None
        if not allowed or subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return False
        mounted.append(folder)
        return True

    yield try_mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)
