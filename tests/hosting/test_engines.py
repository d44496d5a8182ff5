"""Which engine is found where, and its refusals as sentences. A server on 127.0.0.1 answers as an engine does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InputError
from hosting import engines
from hosting.engines import Engine, answered, builder, connect, look
from hosting.named import DOCKER, PODMAN

no_api: Any = None
FACTS = {"ServerVersion": "27.1.0", "DockerRootDir": "/", "Runtimes": {"runc": {}}}


@dataclass
class Service:
    """What an engine answers to paths that end in these words: a status and a body."""

    url: str = ""
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)

    def answer(self, path: str) -> tuple[int, Any]:
        plain = path.partition("?")[0]
        return next((answer for words, answer in self.answers.items() if plain.endswith(words)), (404, {"message": "no"}))


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service(answers={"/version": (200, {"ApiVersion": "1.41"}), "/info": (200, FACTS)})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = found.answer(self.path)
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"tcp://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """The only folder on PATH; no engine, no settings of a client."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(engines, "SOCKET", str(tmp_path / "docker.sock"))
    monkeypatch.setattr(engines, "INSIDE", tmp_path / "inside")
    monkeypatch.setattr(engines, "CDI", (tmp_path / "cdi",))
    return folder


def put(folder: Path, name: str, body: str = "exit 0") -> Path:
    script = folder / name
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return script


def refusal(kind: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        connect(kind)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_docker_host_names_the_engine_also_for_the_client(programs, service, monkeypatch):
    client = put(programs, "docker")
    monkeypatch.setenv("DOCKER_HOST", service.url)
    engine = connect()
    assert (engine.kind, engine.version, engine.root) == (DOCKER, "27.1.0", Path("/"))
    assert engine.program == (str(client), "--host", service.url)


def test_the_clients_context_names_the_engine(programs, service, tmp_path, monkeypatch):
    put(programs, "docker", f'[ "$1 $2 $3" = "context inspect far" ] && echo {service.url}')
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.json").write_text('{"currentContext": "far"}')
    assert connect(DOCKER).program[-1] == service.url
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert "tcp://127.0.0.1:1, which DOCKER_HOST names, does not answer" in refusal(DOCKER)


def test_the_variable_of_the_context_comes_before_the_file(programs, service, tmp_path, monkeypatch):
    put(programs, "docker", f'[ "$3" = near ] && echo {service.url}')
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.json").write_text('{"currentContext": "far"}')
    monkeypatch.setenv("DOCKER_CONTEXT", "near")
    assert connect(DOCKER).program[-1] == service.url


@pytest.mark.parametrize("text", [None, "", "{", "{}", '{"currentContext": "default"}', '{"currentContext": ""}'])
def test_without_a_context_it_is_the_usual_socket(text, programs, tmp_path):
    put(programs, "docker", "exit 1")
    if text is not None:
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "config.json").write_text(text)
    assert f"unix://{tmp_path}/docker.sock does not answer; start it (`sudo systemctl start docker`)" in refusal(DOCKER)


@pytest.mark.parametrize("address", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1", "nonsense://x", "tcp://x:y"])
def test_an_address_without_an_engine_is_named(address, programs, monkeypatch):
    put(programs, "docker")
    monkeypatch.setenv("DOCKER_HOST", address)
    called = f"the docker engine at {address}, which DOCKER_HOST names,"
    assert refusal() == f"{called} does not answer; start it (`sudo systemctl start docker`)."


def test_a_server_that_is_no_engine_is_named(programs, service, monkeypatch):
    put(programs, "docker")
    monkeypatch.setenv("DOCKER_HOST", service.url)
    service.answers["/info"] = (500, {"message": "not I"})
    assert f"{service.url}, which DOCKER_HOST names, does not answer" in refusal()


def test_without_any_engine_the_sentence_says_what_to_install(programs):
    assert refusal() == "no container engine was found; install Docker or Podman, then look with `cli.py doctor`."
    assert "podman was not found; install it" in refusal(PODMAN)
    assert look().fault == refusal()


def test_podman_serves_where_docker_does_not(programs, service, monkeypatch):
    client = put(programs, "podman")
    monkeypatch.setenv("CONTAINER_HOST", service.url)
    engine = connect()
    assert (engine.kind, engine.program) == (PODMAN, (str(client),))
    monkeypatch.setenv("CONTAINER_HOST", "tcp://127.0.0.1:1")
    assert "start it (`systemctl --user start podman.socket`)" in refusal()


def test_docker_comes_before_podman_and_a_named_kind_before_both(programs, service, monkeypatch):
    put(programs, "docker")
    put(programs, "podman")
    monkeypatch.setenv("DOCKER_HOST", service.url)
    monkeypatch.setenv("CONTAINER_HOST", service.url)
    assert [connect().kind, connect(PODMAN).kind, connect(DOCKER).kind] == [DOCKER, PODMAN, DOCKER]


def test_unknown_kinds_and_the_inside_of_a_container_are_refused(programs, tmp_path):
    assert refusal("dokcer") == "unknown engine 'dokcer'; did you mean docker?"
    (tmp_path / "inside").touch()
    assert refusal() == "this is the inside of the container; type this command on the host."


def test_look_tells_what_runs_and_what_is_built(programs, service, monkeypatch):
    put(programs, "docker", "exit 1")
    monkeypatch.setenv("DOCKER_HOST", service.url)
    service.answers["/containers/json"] = (200, [{"Names": ["/servelab"]}])
    service.answers["/images/json"] = (200, [{"Labels": {"servelab.kit": kind}} for kind in ("cuda", "cpu", "cpu")])
    found = look()
    assert (found.engine, found.container, found.images, found.builds) == (DOCKER, "servelab", ("cpu", "cuda"), False)
    assert found.fault is None


@pytest.mark.parametrize(
    ("kind", "facts", "described", "expected"),
    [
        (DOCKER, FACTS, False, False),
        (DOCKER, {"Runtimes": {"runc": {}, "nvidia": {}}}, False, True),
        (DOCKER, {"Runtimes": None}, True, True),
        (PODMAN, {"Runtimes": {"nvidia": {}}}, False, False),
        (PODMAN, {}, True, True),
    ],
)
def test_an_engine_has_gpus_by_a_runtime_or_a_description(kind, facts, described, expected, programs, tmp_path):
    (tmp_path / "cdi").mkdir()
    if described:
        (tmp_path / "cdi" / "nvidia.yaml").touch()
    assert Engine(kind, no_api, (kind,), facts).gpus is expected


@pytest.mark.parametrize(
    ("status", "message", "words"),
    [
        (
            500,
            "write /x: no space left on device",
            "the disk of the docker engine is full (write /x: no space left on device); ",
        ),
        (409, "Conflict. It is in use.", "the docker engine refused: Conflict. It is in use; `cli.py status` shows"),
    ],
)
def test_what_an_engine_refuses_is_one_sentence(status, message, words, programs, service, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", service.url)
    engine = connect(DOCKER)
    service.answers["/containers/json"] = (status, {"message": message})
    with pytest.raises(InputError) as caught, answered(engine):
        engine.api.api.containers()
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_an_engine_that_went_away_is_said_to_have_stopped(programs, service, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", service.url)
    engine = connect(DOCKER)
    engine.api.api.base_url = "http://127.0.0.1:1"
    with pytest.raises(InputError, match="the docker engine stopped answering; start it"), answered(engine):
        engine.api.api.containers()


VERSION = '[ "$1" = version ] && echo {} && exit; exit 1'
OLD, NEW = VERSION.format("20.10.24"), VERSION.format("28.2.2")
WITH_BUILDX = 'case "$1 $2" in version*) echo 28.2.2;; "buildx version") echo v0.30;; *) exit 1;; esac'


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [(OLD, NEW, 0), (NEW, OLD, 1), (WITH_BUILDX, OLD, 0), (NEW, WITH_BUILDX, 1), (VERSION.format("dev"), OLD, 1)],
)
def test_the_first_client_that_can_build_is_taken(first, second, chosen, programs, tmp_path, monkeypatch):
    clients = [put(tmp_path / "one", "docker", first), put(tmp_path / "two", "docker", second)]
    monkeypatch.setenv("PATH", f"{tmp_path}/one:{tmp_path}/two")
    engine = Engine(DOCKER, no_api, ("docker", "--host", "unix:///x"), {})
    assert builder(engine) == (str(clients[chosen]), "--host", "unix:///x")


def test_a_client_without_buildx_names_the_package(programs):
    put(programs, "docker", NEW)
    with pytest.raises(InputError, match="sudo apt-get install docker-buildx"):
        builder(Engine(DOCKER, no_api, ("docker", "--host", "unix:///x"), {}))


def test_podman_builds_with_its_own_client():
    assert builder(Engine(PODMAN, no_api, ("/usr/bin/podman",), {})) == ("/usr/bin/podman",)
