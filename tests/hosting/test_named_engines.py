"""An engine that a person named is never replaced by another."""

from __future__ import annotations

import json
import os
import re
import sys

import pytest

from engine.errors import InputError
from hosting import engines
from hosting.named import named_engine

NAMES = ("DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST", "CONTAINER_CONNECTION", "DOCKER_CONFIG", "XDG_RUNTIME_DIR")


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
        ("DOCKER_HOST", "unix:///nowhere/docker.sock", "unix:///nowhere/docker.sock, which DOCKER_HOST names, does not"),
        ("DOCKER_CONTEXT", "far", "DOCKER_CONTEXT names Docker's context 'far', which cannot be read"),
        ("CONTAINER_HOST", "unix:///nowhere/podman.sock", "unix:///nowhere/podman.sock, which CONTAINER_HOST names, does not"),
        ("CONTAINER_CONNECTION", "far", "CONTAINER_CONNECTION names 'far', which is no connection"),
    ],
)
def test_the_named_one_or_one_sentence(name, value, said, monkeypatch):
    """Look for none beside it: ``look`` would tell of a service that answered."""
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(engines, "_serve_podman", _never)
    with pytest.raises(InputError, match=said):
        engines.connect()
    assert said in (engines.look().fault or "")


def _never(*_):
    raise AssertionError("another engine was asked")


def test_two_names_for_podman_are_refused(monkeypatch):
    monkeypatch.setenv("CONTAINER_HOST", "unix:///a.sock")
    monkeypatch.setenv("CONTAINER_CONNECTION", "b")
    with pytest.raises(InputError, match="unset one of the two"):
        engines.connect()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("unix:///nowhere/near.sock", "unix:///nowhere/near.sock, which CONTAINER_CONNECTION (near) names, does not answer"),
        ("ssh://core@far:22/run/podman.sock", "'near', which is reached by ssh; forward its socket"),
    ],
)
def test_a_connection_that_resolves_is_the_one(uri, said, tmp_path, monkeypatch):
    (tmp_path / "bin" / "podman").write_text(f"#!/bin/sh\necho 'other unix:///elsewhere.sock'\necho 'near {uri}'\n")
    monkeypatch.setenv("CONTAINER_CONNECTION", "near")
    monkeypatch.setattr(engines, "_serve_podman", _never)
    with pytest.raises(InputError, match=re.escape(said)):
        engines.connect()


def test_a_context_that_was_chosen_counts_as_named(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "far"}))
    monkeypatch.setattr(engines, "_serve_podman", _never)
    with pytest.raises(InputError, match=r"config\.json names Docker's context 'far'"):
        engines.connect()


@pytest.mark.parametrize(
    "text", ["[]", '"text"', "null", "7", "{", "", "\x00", '{"currentContext": 5}', '{"currentContext": null}', "[" * 100_000]
)
def test_a_configuration_of_any_shape_names_nothing(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    assert named_engine() is None


def test_podman_without_root_and_without_a_folder_is_one_sentence(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(InputError, match="XDG_RUNTIME_DIR, which is not set"):
        engines.connect("podman")


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(engines, "_podman_folder", lambda: tmp_path / "file" / "podman")
    with pytest.raises(InputError, match=r"podman's socket cannot be at .*; set XDG_RUNTIME_DIR"):
        engines._serve_podman("podman")


LATE = (
    "import os, socket, sys, time; time.sleep(4); s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen();"
    " [time.sleep(0.1) for _ in iter(lambda: os.path.exists(sys.argv[2]), False)]"
)


def test_a_service_that_comes_late_is_waited_for(tmp_path, monkeypatch):
    """It listens after four seconds, and for as long as its flag is there."""
    path, flag, program = tmp_path / "podman" / "servelab.sock", tmp_path / "flag", tmp_path / "late"
    flag.touch()
    monkeypatch.setattr(engines, "_podman_folder", lambda: path.parent)
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{LATE}' '{path}' '{flag}'\n")
    program.chmod(0o755)
    try:
        assert engines._serve_podman(str(program)) == f"unix://{path}"
        assert engines._listens(path)
    finally:
        flag.unlink()


def test_a_service_that_ends_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "_podman_folder", lambda: tmp_path / "podman")
    program = tmp_path / "ends"
    program.write_text("#!/bin/sh\necho 'no room in /run' >&2\nexit 125\n")
    program.chmod(0o755)
    with pytest.raises(InputError, match=r"podman's service ended as it started \(no room in /run\)"):
        engines._serve_podman(str(program))
