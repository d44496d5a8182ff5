"""A real engine that a test may kill, and start again on what it left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from engine.errors import InputError
from hosting.engines import DOCKER, connect
from tests.containers.engine import make_base, private_engine


class Daemon:
    """An engine of the test's own in ``folder``, which can be killed and started again."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._stack = ExitStack()
        self.start()

    def start(self) -> None:
        self.address, self._process = self._stack.enter_context(private_engine(self.folder))

    def kill(self) -> None:
        """Ends the daemon at once and waits until its containerd is gone too, whose number would keep it from starting."""
        containerd = Path("/proc") / (self.folder / "exec/containerd/containerd.pid").read_text()
        self._process.kill()
        self._process.wait()
        wait_for(lambda: not containerd.exists())

    def close(self) -> None:
        with suppress(InputError):
            for container in connect(DOCKER).api.containers.list(all=True):
                container.remove(force=True)
        self._stack.close()
        for number in self.inhabitants():
            os.kill(number, signal.SIGKILL)
        places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for place in reversed([place for place in places if place.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", place], check=True)

    def inhabitants(self) -> dict[int, str]:
        """The processes of containers and build steps, with their command lines."""
        here, found = os.readlink("/proc/self/ns/mnt"), {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.readlink(process / "ns/mnt") != here and str(self.folder) in (process / "mountinfo").read_text():
                    found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ")
        return found


@contextmanager
def serving(folder: Path) -> Iterator[Daemon]:
    """An engine with the tests' base image, which DOCKER_HOST names."""
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        daemon = Daemon(folder)
        patch.setenv("DOCKER_HOST", daemon.address)
        try:
            make_base(daemon.address)
            yield daemon
        finally:
            daemon.close()


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
