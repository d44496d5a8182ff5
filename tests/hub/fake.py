"""A hub on this machine: real HTTP, gated repositories, a second server for large files, and faults on demand."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c0ffee" + "0" * 34
LARGE = ".safetensors"
REPOSITORY = r"(?P<repository>[\w.-]+/[\w.-]+)"
API = re.compile(rf"/api/models/{REPOSITORY}(?P<rest>/auth-check|/tree/\w+|/revision/\w+)?(\?.*)?$")
RESOLVE = re.compile(rf"/(?P<place>storage/)?{REPOSITORY}(/resolve/\w+)?/(?P<name>[\w.-]+)$")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    range: str | None
    authorization: str | None
    at_storage: bool


@dataclass
class Fault:
    """Happens to a file ``times``: ``cut`` or ``hold`` ``after`` bytes, a ``corrupt`` first byte, ``fail`` with ``status``."""

    kind: str
    after: int = 0
    times: int = 1
    status: int = 500
    release: threading.Event = field(default_factory=threading.Event)


class FakeHub:
    """``repositories``: content by repository and file name. ``sizes``: what is listed in place of a file's own size."""

    def __init__(self, repositories: dict[str, dict[str, bytes]]):
        self.repositories = repositories
        self.commit = COMMIT
        self.gated: set[str] = set()
        self.tokens: dict[str, bool] = {}
        self.sizes: dict[str, int] = {}
        self.faults: dict[str, Fault] = {}
        self.log: list[Request] = []
        self.status: int | None = None
        self._servers = [_Server(self, storage=storage) for storage in (False, True)]
        self.url, self.storage = (server.url for server in self._servers)

    def start(self) -> None:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        for fault in self.faults.values():
            fault.release.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def fetched(self, name: str) -> list[Request]:
        """The requests for the bytes of a file."""
        return [request for request in self.log if request.method == "GET" and request.path.endswith(f"/{name}")]

    def fetched_large(self) -> list[str | None]:
        """The ranges asked of the second server."""
        return [request.range for request in self.log if request.at_storage]


@contextmanager
def running(repositories: dict[str, dict[str, bytes]]) -> Iterator[FakeHub]:
    hub = FakeHub(repositories)
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()


def digest(name: str, content: bytes) -> str:
    if name.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: FakeHub, storage: bool):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub, self.storage = hub, storage
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that went away are what is tested here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.server.hub
        headers = (self.headers.get("Range"), self.headers.get("Authorization"))
        hub.log.append(Request(self.command, self.path, *headers, at_storage=self.server.storage))
        api, file = API.fullmatch(self.path), RESOLVE.fullmatch(self.path)
        found = api or file
        if hub.status is not None:
            self._answer(hub.status)
        elif self.server.storage and file:
            self._content(file["repository"], file["name"])
        elif found is None or found["repository"] not in hub.repositories:
            self._refuse(404 if self._token() else 401, "RepoNotFound")
        elif self._token() and self._token() not in hub.tokens:
            self._answer(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif api and api["rest"] != "/auth-check":
            self._api(api["repository"], api["rest"] or "")
        elif found["repository"] in hub.gated and not hub.tokens.get(self._token()):
            self._refuse(403 if self._token() else 401, "GatedRepo")
        elif file:
            self._resolve(file["repository"], file["name"])
        else:
            self._answer(200)

    def _token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, {"X-Error-Code": code})

    def _answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _api(self, repository: str, rest: str) -> None:
        hub = self.server.hub
        files = [self._entry(name, content) for name, content in hub.repositories[repository].items()]
        info = {
            "id": repository, "sha": hub.commit, "gated": "manual" if repository in hub.gated else False,
            "siblings": [{"rfilename": path, "size": size, "blobId": oid, "lfs": lfs} for path, size, oid, lfs in files],
        }
        tree = [{"type": "file", "path": path, "size": size, "oid": oid} for path, size, oid, _ in files]
        body = json.dumps(tree if rest.startswith("/tree") else info).encode()
        self._answer(200, {"Content-Type": "application/json"}, body)

    def _entry(self, name: str, content: bytes) -> tuple[str, int, str, dict[str, Any] | None]:
        size = self.server.hub.sizes.get(name, len(content))
        if name.endswith(LARGE):
            return name, size, "0" * 40, {"sha256": digest(name, content), "size": size, "pointerSize": 134}
        return name, size, digest(name, content), None

    def _resolve(self, repository: str, name: str) -> None:
        hub = self.server.hub
        content = hub.repositories[repository].get(name)
        if content is None:
            self._refuse(404, "EntryNotFound")
        elif name.endswith(LARGE):
            headers = {
                "X-Repo-Commit": hub.commit, "X-Linked-Size": str(len(content)),
                "X-Linked-Etag": f'"{digest(name, content)}"', "Location": f"{hub.storage}/storage/{repository}/{name}",
            }
            self._answer(302, headers)
        else:
            self._content(repository, name)

    def _content(self, repository: str, name: str) -> None:
        hub = self.server.hub
        content = hub.repositories[repository][name]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        fault = hub.faults.get(name)
        if fault is not None and fault.times > 0 and start < len(content):
            fault.times -= 1
        else:
            fault = None
        headers = {"ETag": f'"{digest(name, content)}"', "X-Repo-Commit": hub.commit, "Accept-Ranges": "bytes"}
        if start >= len(content) > 0:
            self._answer(416, {"Content-Range": f"bytes */{len(content)}"})
        elif fault is None or self.command == "HEAD":
            self._part(content[start:], start, len(content), headers)
        elif fault.kind == "fail":
            self._answer(fault.status)
        elif fault.kind == "corrupt":
            self._part(bytes([content[start] ^ 1]) + content[start + 1 :], start, len(content), headers)
        else:
            self._stopped(content[start:], start, len(content), headers, fault)

    def _head(self, sent: int, start: int, size: int, headers: dict[str, str]) -> None:
        self.send_response(206 if start else 200)
        ranged = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
        for name, value in {**headers, **ranged, "Content-Length": str(sent)}.items():
            self.send_header(name, value)
        self.end_headers()

    def _part(self, part: bytes, start: int, size: int, headers: dict[str, str]) -> None:
        self._head(len(part), start, size, headers)
        if self.command != "HEAD":
            self.wfile.write(part)

    def _stopped(self, part: bytes, start: int, size: int, headers: dict[str, str], fault: Fault) -> None:
        """Sends some of the bytes, then waits (``hold``) and closes."""
        self._head(len(part), start, size, headers)
        self.wfile.write(part[: fault.after])
        self.wfile.flush()
        if fault.kind == "hold":
            fault.release.wait(30)
        self.close_connection = True
