"""The same life on Podman, with a bare image under the kit's label."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from hosting.engines import connect
from hosting.named import PODMAN
from tests.containers.engine import ARCHIVE, cli, copy_checkout, skip
from tests.containers.terminal import Terminal


@pytest.fixture(scope="module")
def podman(tmp_path_factory, base):
    """Podman with a storage of its own; sets what the kit's commands find it by."""
    if os.geteuid() != 0 or shutil.which("podman") is None or shutil.which("runc") is None:
        skip("needs root, podman and runc")
    folder = tmp_path_factory.mktemp("podman")
    storage, settings, socket = folder / "storage.conf", folder / "containers.conf", folder / "podman.sock"
    places = f'graphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    storage.write_text(f'[storage]\ndriver = "overlay"\n{places}')
    limits = '["nofile=1024:1024", "nproc=4096:4096"]'
    settings.write_text(f'[engine]\nruntime = "runc"\n[containers]\ndefault_ulimits = {limits}\nnetns = "none"\n')
    named = {"CONTAINERS_STORAGE_CONF": str(storage), "CONTAINERS_CONF": str(settings)}
    environment = {**os.environ, **named}
    address = f"unix://{socket}"
    service = subprocess.Popen(["podman", "system", "service", "--time", "0", address], env=environment)
    try:
        until = time.monotonic() + 120
        while not socket.exists():
            assert service.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        changes = ["--change", "LABEL servelab.kit=cpu"]
        subprocess.run(["podman", "import", "--quiet", *changes, ARCHIVE, "servelab:cpu"], env=environment, check=True)
        yield {**named, "CONTAINER_HOST": address}
    finally:
        service.terminate()
        service.wait(120)
        subprocess.run(["umount", folder / "graph" / "overlay"], capture_output=True, check=False)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def checkout_of_podman(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("podman-checkout"))


def test_podman_has_the_same_life(podman, checkout_of_podman, tmp_path, monkeypatch):
    for variable, value in podman.items():
        monkeypatch.setenv(variable, value)
    checkout = checkout_of_podman
    assert "servelab runs" in cli(checkout, "start", "--engine", "podman", "--models", tmp_path).stdout
    assert "servelab runs already" in cli(checkout, "start").stdout
    (row,) = json.loads(cli(checkout, "status", "--json").stdout)
    assert (row["state"], row["commands"]) == ("running", [])
    shell = Terminal(checkout, "attach")
    shell.read_until("# ")
    shell.type("stty size; ls /servelab/cli.py; exit 5\n")
    shell.read_until("41 133\r\n/servelab/cli.py\r\n")
    assert shell.exit_code() == 5
    cli(checkout, "stop")
    assert json.loads(cli(checkout, "status", "--json").stdout)[0]["state"] == "exited"
    cli(checkout, "start")
    done = cli(checkout, "cleanup", "--yes")
    assert "Left: nothing with the kit's label" in done.stdout
    assert not (checkout / ".servelab").exists()


@pytest.mark.skipif(not Path("/usr/bin/podman").exists(), reason="podman is not installed")
def test_podmans_service_is_started_where_none_listens(monkeypatch):
    monkeypatch.delenv("CONTAINER_HOST", raising=False)
    assert connect(PODMAN).version.split(".")[0].isdecimal()
