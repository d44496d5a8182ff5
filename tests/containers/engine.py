"""A real container engine for tests, a checkout of its own, and the command line in it."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import InputError
from hosting.engines import Engine, connect
from hosting.named import DOCKER

ROOT = Path(__file__).parents[2]
BASE = "servelab-tests/debian-python:bookworm"
ARCHIVE = Path.home() / ".cache" / "servelab-tests" / "debian-python-bookworm.tar"
SOURCES = (
    "LICENSE", "README.md", ".dockerignore", "cli.py", "cli_containers.py", "cli_options.py", "containers.py", "docker",
    "doctor", "engine", "exps", "hosting", "hub", "plots", "requirements", "requirements.txt", "tests/hub/fake.py",
)
QUIET_NETWORK = ("--iptables=false", "--bridge=none", "--ip-forward=false")


def engine_or_skip() -> Engine:
    """The Docker Engine that answers. Where none does the test is skipped, and fails in CI."""
    try:
        return connect(DOCKER)
    except InputError as error:
        skip(str(error))


def skip(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"this must run in CI: {reason}")
    pytest.skip(reason)


def make_base(address: str) -> str:
    """The base image of the tests in the engine at ``address``."""
    environment = {**os.environ, "DOCKER_HOST": address}
    subprocess.run([ROOT / ".ci" / "base-image", BASE, ARCHIVE], env=environment, check=True)
    return BASE


def copy_checkout(folder: Path) -> Path:
    """What a clone of this tree would have of the kit."""
    for name in SOURCES:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.whl"))
        else:
            shutil.copy(source, target)
    return folder


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "cli.py", *map(str, arguments)]


def cli(
    checkout: Path, *arguments: str | Path, expect: int | None = 0, timeout: float = 300, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A command of the kit in a checkout; ``expect`` is its exit code, None any."""
    found = subprocess.run(
        command(*arguments), cwd=checkout, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=timeout, check=False,
    )
    assert expect is None or found.returncode == expect, f"{found.returncode}\n{found.stdout}\n{found.stderr}"
    return found


def certificates() -> list[str]:
    """The options that let a build trust what this machine trusts."""
    bundle = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    return ["--ca", bundle] if bundle and Path(bundle).is_file() else []


@contextmanager
def private_engine(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and the daemon of a Docker Engine that keeps everything in ``folder``."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        skip("an engine of the test's own needs root and dockerd")
    address = f"unix://{folder}/docker.sock"
    places = ["--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"]
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen(
            ["dockerd", "-H", address, *places, *QUIET_NETWORK], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            _wait_for(address, daemon)
            yield address, daemon
        finally:
            daemon.terminate()
            daemon.wait(60)


def _wait_for(address: str, daemon: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        asked = ["docker", "--host", address, "version"]
        if subprocess.run(asked, capture_output=True, check=False).returncode == 0:
            return
        assert daemon.poll() is None, "dockerd ended"
        time.sleep(0.1)
    raise AssertionError("dockerd did not answer within two minutes")
