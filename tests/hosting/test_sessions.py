"""Paths as the container sees them, as whom things are done in it, and what comes back from the client."""

from __future__ import annotations

import os
from typing import Any

import pytest

from engine.errors import InputError
from hosting.engines import Engine
from hosting.named import DOCKER, PODMAN
from hosting.sessions import PLACE, caller, client, execute, translated

ROOTLESS = {"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]}
no_api: Any = None


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    folder = tmp_path / "checkout"
    (folder / "results").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def script(tmp_path):
    """A client that prints its arguments into a file and does this."""

    def make(body: str) -> Engine:
        path = tmp_path / "client"
        path.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{tmp_path}/asked\n{body}\n")
        path.chmod(0o755)
        return Engine(DOCKER, no_api, (str(path),), {})

    return make


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--results", "results/x"], ["--results", "/servelab/results/x"]),
        (["--results=results/x"], ["--results=/servelab/results/x"]),
        (["--results", "{checkout}/results"], ["--results", "/servelab/results"]),
        (["--traces={checkout}/traces"], ["--traces=/servelab/traces"]),
        (["--results", "results/../results/y"], ["--results", "/servelab/results/y"]),
        (["--results", "."], ["--results", "/servelab"]),
        (["fig8", "--model", "results", "--rps=2.6"], ["fig8", "--model", "results", "--rps=2.6"]),
        (["--results"], ["--results"]),
        (["--results", "a=b"], ["--results", "/servelab/a=b"]),
    ],
)
def test_paths_of_the_checkout_are_those_of_the_container(words, expected, checkout):
    given = [word.format(checkout=checkout) for word in words]
    assert translated(given, checkout) == (PLACE, expected)


def test_the_folder_is_the_callers(checkout, monkeypatch):
    monkeypatch.chdir(checkout / "results")
    assert translated(["--results", "x"], checkout) == (PLACE / "results", ["--results", "/servelab/results/x"])


@pytest.mark.parametrize("words", [["--results", "{outside}"], ["--results={outside}"], ["--traces", "../outside"]])
def test_paths_elsewhere_are_refused_with_the_way_out(words, checkout, tmp_path):
    outside = tmp_path / "outside"
    with pytest.raises(InputError, match=r"/outside is outside the checkout .*; add --here\.$"):
        translated([word.format(outside=outside) for word in words], checkout)


def test_a_folder_elsewhere_is_refused(checkout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="add --here"):
        translated(["fig8"], checkout)


def test_links_count_for_where_they_lead(checkout, tmp_path):
    (tmp_path / "outside").mkdir()
    (checkout / "away").symlink_to(tmp_path / "outside")
    (tmp_path / "back").symlink_to(checkout / "results")
    with pytest.raises(InputError, match="add --here"):
        translated(["--results", "away"], checkout)
    assert translated(["--results", str(tmp_path / "back")], checkout)[1] == ["--results", "/servelab/results"]


@pytest.mark.parametrize(
    ("kind", "facts", "user", "expected"),
    [
        (DOCKER, {}, 1000, "1000:1001"),
        (DOCKER, {}, 0, "0:1001"),
        (DOCKER, ROOTLESS, 1000, "0:0"),
        (PODMAN, ROOTLESS, 1000, "1000:1001"),
        (DOCKER, {"SecurityOptions": None}, 1000, "1000:1001"),
    ],
)
def test_files_on_the_host_will_be_the_callers(kind, facts, user, expected, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: user)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(os, "getgid", lambda: 1001)
    assert caller(Engine(kind, no_api, (kind,), facts)) == expected


def test_without_the_client_the_sentence_says_what_to_install():
    with pytest.raises(InputError, match="the docker client was not found; install it"):
        client(Engine(DOCKER, no_api, ("no-such-client", "--host", "unix:///nowhere"), {}))


def test_a_command_goes_to_the_client_with_folder_user_and_environment(script, tmp_path):
    engine = script("exit 7")
    assert execute(engine, "box", ["python", "-V"], PLACE / "results", {"HF_ENDPOINT": "x"}) == 7
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[:6] == ["exec", "--interactive", "--user", caller(engine), "--workdir", "/servelab/results"]
    assert asked[asked.index("HF_ENDPOINT=x") + 1] == "box"
    assert asked[-2:] == ["python", "-V"]


def test_what_is_given_arrives_at_standard_input_and_nowhere_else(script, tmp_path):
    assert execute(script(f"cat >{tmp_path}/given"), "box", ["read"], given="secret\n") == 0
    assert (tmp_path / "given").read_text() == "secret\n"
    assert "secret" not in (tmp_path / "asked").read_text()


def test_a_client_that_ends_before_it_reads_is_no_fault_of_its_own(script):
    assert execute(script("exec 0<&-; exit 1"), "box", ["read"], given="x" * 1_000_000) == 1


def test_the_handlers_of_signals_are_the_callers_again(script):
    import signal

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    execute(script("exit 0"), "box", ["true"])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
