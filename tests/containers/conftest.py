"""One real engine, one checkout and one cpu image for all tests of a run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosting import living
from hosting.engines import Engine
from tests.containers.engine import ROOT, certificates, cli, copy_checkout, engine_or_skip, make_base, skip


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """An engine without anything of the kit in it, since cleanup is tested; afterwards it is so again."""
    engine = engine_or_skip()
    if living.things(engine):
        skip(f"the engine at {engine.program[-1]} holds things of the kit, which these tests would remove: cli.py cleanup")
    yield engine
    for thing in living.things(engine):
        living.remove(engine, thing)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the torch that pip gives this machine, which may be a build for CPUs."""
    folder = copy_checkout(tmp_path_factory.mktemp("checkout"))
    asked = ["--no-deps", "--only-binary", ":all:", "--python-version", "3.11", "-r", ROOT / "requirements" / "torch.txt"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", *asked, "--dest", folder / "docker" / "wheels"]
    subprocess.run(command, check=True)
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def base(engine: Engine) -> str:
    return make_base(engine.program[-1])


@pytest.fixture(scope="session")
def built(engine: Engine, checkout: Path, base: str) -> subprocess.CompletedProcess[str]:
    """The cpu image, and what its build said."""
    return cli(checkout, "build", "--target", "cpu", "--base", base, "--network", "host", *certificates(), timeout=900)
