"""An engine that a person named is never replaced by another."""

from __future__ import annotations

import json
import os

import pytest

from engine.errors import InputError
from hosting import engines

NAMES = (*engines.NAMES_DOCKER, *engines.NAMES_PODMAN, "DOCKER_CONFIG", "XDG_RUNTIME_DIR")


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """Nobody named anything; every client is a program that answers nothing."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(engines, "INSIDE", tmp_path / "nowhere")
    for program in ("docker", "podman"):
        path = tmp_path / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\nexit 1\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DOCKER_HOST", "unix:///nowhere/docker.sock", "the docker engine at unix:///nowhere/docker.sock does not answer"),
        ("DOCKER_CONTEXT", "far", "Docker's context 'far'"),
        ("CONTAINER_HOST", "unix:///nowhere/podman.sock", "the podman engine at unix:///nowhere/podman.sock does not answer"),
        ("CONTAINER_CONNECTION", "far", "CONTAINER_CONNECTION names 'far'"),
    ],
)
def test_the_named_one_or_one_sentence(name, value, said, monkeypatch):
    monkeypatch.setenv(name, value)
    for other in ("_serve_podman", "_open"):
        monkeypatch.setattr(engines, other, getattr(engines, other) if other == "_open" else _never)
    with pytest.raises(InputError, match=said):
        engines.connect()
    assert said in (engines.look().fault or "")


def _never(*_):
    raise AssertionError("another engine was asked")


def test_a_context_that_was_chosen_counts_as_named(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "far"}))
    monkeypatch.setattr(engines, "_serve_podman", _never)
    with pytest.raises(InputError, match="Docker's context 'far'"):
        engines.connect()


@pytest.mark.parametrize(
    "text", ["[]", '"text"', "null", "7", "{", "", "\x00", '{"currentContext": 5}', '{"currentContext": null}', "[" * 100_000]
)
def test_a_configuration_of_any_shape_names_nothing(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    assert engines._docker_address() == f"unix://{engines.SOCKET}"
    assert engines._named_kind() is None


def test_podman_without_root_and_without_a_folder_is_one_sentence(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(InputError, match="XDG_RUNTIME_DIR, which is not set"):
        engines.connect("podman")


def test_a_service_that_comes_late_is_waited_for(tmp_path, monkeypatch):
    """It listens after three seconds, longer than the engine's answer once was given."""
    path = tmp_path / "podman" / "servelab.sock"
    monkeypatch.setattr(engines, "_podman_folder", lambda: path.parent)
    program = tmp_path / "late"
    listen = (
        "import socket, sys, time; time.sleep(3); s = socket.socket(socket.AF_UNIX);"
        " s.bind(sys.argv[1]); s.listen(); time.sleep(5)"
    )
    program.write_text(f"#!/bin/sh\nexec python3 -c '{listen}' \"{path}\"\n")
    program.chmod(0o755)
    assert engines._serve_podman(str(program)) == f"unix://{path}"
    assert engines._listens(path)


def test_a_service_that_ends_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "_podman_folder", lambda: tmp_path / "podman")
    monkeypatch.setattr(engines.time, "sleep", _Patience(500))
    engines._serve_podman("false")


class _Patience:
    """Sleeps in earnest, so many times and no more."""

    def __init__(self, naps):
        self.naps, self.sleep = naps, engines.time.sleep

    def __call__(self, seconds):
        self.naps -= 1
        assert self.naps > 0, "the end of the service went unnoticed"
        self.sleep(seconds)
