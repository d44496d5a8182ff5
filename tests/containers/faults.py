"""What the tests of faults share: an engine that may be killed and started again, and commands that are under way."""

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
from hosting.engines import connect
from hosting.named import DOCKER
from tests.containers.engine import cli, command, make_base, private_engine


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
        """Ends the daemon and all that it left: containers, processes, mounts."""
        with suppress(InputError):
            for container in connect(DOCKER).api.containers.list(all=True):
                container.remove(force=True)
        self._stack.close()
        for number in self.inhabitants():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for place in reversed([place for place in places if place.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", place], check=True)

    def inhabitants(self) -> dict[int, str]:
        """The processes of containers and build steps, with their command lines."""
        here, found = os.readlink("/proc/self/ns/mnt"), {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.readlink(process / "ns/mnt") != here and f"{self.folder}/" in (process / "mountinfo").read_text():
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


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def refusal(place: Path, *words: str | Path, **environment: str) -> str:
    """The one sentence that a command says beside the steps of a build."""
    found = cli(place, *words, expect=2, timeout=300, **environment)
    (sentence,) = [line for line in found.stderr.splitlines() if not line.startswith("[")]
    return sentence


@contextmanager
def typed(place: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command that is under way."""
    quiet, pipe = subprocess.DEVNULL, subprocess.PIPE
    with subprocess.Popen(command(*words), cwd=place, stdin=quiet, stdout=quiet, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], words: str) -> Iterator[str]:
    """The lines of stderr up to the one with ``words``."""
    for line in iter(process.stderr.readline if process.stderr else str, ""):
        yield line
        if words in line:
            return


def children(process: subprocess.Popen[str]) -> list[int]:
    return [int(number) for number in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
