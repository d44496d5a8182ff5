"""Building an image: the client's output as steps a person follows, its failure as one sentence."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.configuration import nearest
from engine.errors import InputError
from hosting.engines import LABEL, Engine, answered, builder, silence
from hosting.gpus import find_driver
from hosting.named import PODMAN

CPU, CUDA = TARGETS = ("cpu", "cuda")
SOURCES = "servelab.sources"
INPUTS = ("docker/*", "requirements/*", "requirements.txt")
TITLE = re.compile(r"^#(\d+) (\[.*?\d+/\d+\] .*)|^((?:\[\d+/\d+\] )?STEP \d+/\d+: .*)")
END = re.compile(r"^#(\d+) (CACHED|DONE ([\d.]+)s)")
MOUNT = re.compile(r"--mount=\S+\s+")
SAID = re.compile(r"^#\d+ (?:[\d.]+ )?")
NO_INDEX = "the package index cannot be reached; go online, name its settings with --pip-conf, or fill docker/wheels"
CAUSES = (
    (r"no space left on device", "the disk of the engine is full; free some, as `docker system df` shows it"),
    (r"do not match the hashes", "a package arrived other than the lock says; check the index or the files in docker/wheels"),
    (
        r"pull access denied|failed to resolve|manifest unknown|failed to do request|initializing source|error pinging"
        r"|Get \"https?://[^\"]*/v2/|failed to fetch (anonymous|oauth) token|did not resolve to an alias",
        "the base image {base} is neither here nor to be had; go online, load it into the engine, or name another with --base",
    ),
    (
        r"certificate.verif(y|ication).failed",
        "the index shows a certificate that the image does not know; name your bundle with --ca",
    ),
    (r"Max retries|NewConnectionError|NameResolutionError|Could not resolve|Temporary failure|Failed to establish", NO_INDEX),
    (
        r"requires? (a different )?Python|from versions: \d",
        "the index has no package for the Python of the base image {base}; name one of Python 3.10 or newer with --base",
    ),
    (r"No matching distribution|Could not find a version", NO_INDEX),
    (r"python3: not found|ensurepip is not", "the base image {base} has no python3 with venv; name another with --base"),
)
LOST = (
    r"^(ERROR: )?(unexpected EOF|Cannot connect to the Docker daemon|error during connect)|error reading from server"
    r"|transport is closing|dial unix \S+: connect:"
)


@dataclass(frozen=True)
class Recipe:
    """What a person may choose of a build: base image, secrets, and the network of its steps."""

    target: str
    base: str | None = None
    pip_conf: Path | None = None
    ca: Path | None = None
    network: str | None = None
    fresh: bool = False


@dataclass(frozen=True)
class Step:
    """A finished step of a build; ``seconds`` is None when it came from the cache or the client does not tell."""

    title: str
    cached: bool
    seconds: float | None


def build(
    engine: Engine, recipe: Recipe, root: Path, log: Path, on_step: Callable[[Step], None], on_line: Callable[[str], None]
) -> float:
    """Builds the image from the checkout at ``root`` and keeps the client's output in ``log``; returns seconds.

    InputError with the cause when it fails. An interrupt ends the client and passes on; what was built stays in its cache.
    """
    for path in (recipe.pip_conf, recipe.ca):
        if path is not None and not path.is_file():
            raise InputError(f"{path} is no file; name the one that the build is to use.")
    started = time.monotonic()
    environment = {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
    command = _command(engine, recipe, root)
    pipe: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, **pipe, text=True, errors="replace", env=environment, start_new_session=True) as client:
        assert client.stdout is not None
        try:
            tail = _follow(_kept(client.stdout, log), on_step, on_line)
        except BaseException:
            client.send_signal(signal.SIGINT)
            client.wait()
            raise
    if client.returncode != 0:
        raise InputError(_sentence(engine, recipe, tail, log))
    return time.monotonic() - started


def choose_target(target: str | None) -> str:
    """The target asked for, or cuda where a driver answers. InputError for one that the Dockerfile does not have."""
    if target is None:
        return CPU if find_driver() is None else CUDA
    if target not in TARGETS:
        raise InputError(f"--target {target} is no target; {nearest(target, list(TARGETS))}")
    return target


def sources(root: Path) -> str:
    """A digest of the files that decide what is in an image beside the checkout."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in INPUTS for path in root.glob(pattern) if path.is_file()):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def find_image(engine: Engine, target: str) -> dict[str, Any] | None:
    """What the engine lists of the newest image of a target, None where there is none."""
    with answered(engine):
        images = engine.api.api.images(filters={"label": f"{LABEL}={target}", "dangling": False})
    return max(images, key=lambda image: image["Created"], default=None)


def tag(target: str) -> str:
    return f"servelab:{target}"


def _command(engine: Engine, recipe: Recipe, root: Path) -> list[str]:
    command = [*builder(engine), "build", "--target", recipe.target, "--file", str(root / "docker" / "Dockerfile")]
    command += ["--tag", tag(recipe.target), "--label", f"{SOURCES}={sources(root)}"]
    command += ["--format", "docker"] * (engine.kind == PODMAN)
    if recipe.base:
        command += ["--build-arg", f"{recipe.target.upper()}_BASE={recipe.base}"]
    for name, path in (("pip", recipe.pip_conf), ("ca", recipe.ca)):
        command += ["--secret", f"id={name},src={path}"] * (path is not None)
    command += ["--network", str(recipe.network)] * (recipe.network is not None)
    return [*command, *["--no-cache"] * recipe.fresh, str(root)]


def _kept(lines: Iterable[str], log: Path) -> Iterator[str]:
    """The lines as they come, each written to ``log`` too. InputError where the disk refuses."""
    try:
        log.parent.mkdir(exist_ok=True)
        with log.open("w", encoding="utf-8") as kept:
            for line in lines:
                kept.write(line)
                yield line.rstrip()
    except OSError as error:
        raise InputError(f"{log} cannot be written ({error.strerror}); mend it and type the same command again.") from error


def _follow(lines: Iterable[str], on_step: Callable[[Step], None], on_line: Callable[[str], None]) -> list[str]:
    """Tells of steps and lines as they come; returns the last lines."""
    tail: deque[str] = deque(maxlen=60)
    titles: dict[str, str] = {}
    for line in lines:
        tail.append(line)
        if begun := TITLE.match(line):
            number, title = begun[1], _short(begun[2] or begun[3])
            if number is None:
                on_step(Step(title, False, None))
            titles.setdefault(number or "", title)
        elif (ended := END.match(line)) and ended[1] in titles:
            on_step(Step(titles.pop(ended[1]), ended[2] == "CACHED", float(ended[3]) if ended[3] else None))
        elif said := SAID.sub("", line).strip():
            on_line(said)
    return list(tail)


def _short(title: str) -> str:
    plain = MOUNT.sub("", title)
    return plain if len(plain) < 90 else f"{plain[:88]} …"


def _sentence(engine: Engine, recipe: Recipe, tail: list[str], log: Path) -> str:
    said = "\n".join(tail)
    if re.search(LOST, said, re.IGNORECASE | re.MULTILINE):
        return silence(engine)
    base = recipe.base or "of docker/Dockerfile"
    for pattern, cause in CAUSES:
        if re.search(pattern, said, re.IGNORECASE):
            return f"{cause.format(base=base)}, then type the same command again; {log} has all of it."
    last = next((SAID.sub("", line) for line in reversed(tail) if "error" in line.lower()), tail[-1] if tail else "no word")
    return f"the build of {tag(recipe.target)} failed ({last.strip()[:200]}); {log} has all of it."
