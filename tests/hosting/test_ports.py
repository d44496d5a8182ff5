"""Who listens on a port, with real sockets."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hosting.ports import UNSEEN, owner

ROOT = Path(__file__).parents[2]
OWN = f"(pid {os.getpid()})"
Listen = Callable[..., int]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Opens a socket on a free port, which it returns; the socket closes with the test."""
    sockets: list[socket.socket] = []

    def start(family: int = socket.AF_INET, address: str = "127.0.0.1", listens: bool = True) -> int:
        held = socket.socket(family, socket.SOCK_STREAM)
        sockets.append(held)
        held.bind((address, 0))
        if listens:
            held.listen()
        return int(held.getsockname()[1])

    yield start
    for held in sockets:
        held.close()


def test_a_port_is_free_before_and_after_a_server_holds_it(listen):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert owner(port) is not None
    assert owner(port) is None


def test_the_owner_is_named_with_its_process(listen):
    assert OWN in owner(listen())


def test_a_server_of_all_addresses_holds_the_port_too(listen):
    assert OWN in owner(listen(address="0.0.0.0"))


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_a_server_of_all_ipv6_addresses_holds_the_port_too(listen):
    assert OWN in owner(listen(socket.AF_INET6, "::"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
def test_a_server_of_another_address_does_not_hold_the_port(listen):
    assert owner(listen(address="127.0.0.2")) is None


def test_a_port_that_is_kept_without_listening_is_taken(listen):
    assert owner(listen(listens=False)) == UNSEEN


def test_asking_does_not_disturb_the_server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert owner(server.getsockname()[1])
        with socket.create_connection(server.getsockname(), timeout=60) as client:
            accepted, _ = server.accept()
            with accepted:
                accepted.sendall(b"still here")
            assert client.recv(10) == b"still here"


def test_a_server_of_another_process_is_named():
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = owner(int(server.stdout.readline()))
        server.communicate("\n")
    assert found is not None
    assert found.startswith("python")
    assert f"(pid {server.pid})" in found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_users_server_is_told_without_a_name(listen, tmp_path):
    port = listen()
    for package in ("hosting", "engine"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("models", "__pycache__"))
    code = f"import os; os.setuid(65534); from hosting.ports import owner; print(owner({port}))"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    found = subprocess.run([sys.executable, "-c", "import hosting.ports; " + code], cwd=tmp_path, env=environment,
                           capture_output=True, text=True, check=False)
    assert found.stdout.strip() == "another user's process", found.stderr
