"""Commands inside a running container: terminal, interrupts and exit code pass through."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from engine.errors import InputError
from hosting.engines import Engine
from hosting.named import DOCKER

PLACE = Path("/servelab")
PATHS = ("--results", "--traces")
PASSED_ON = {signal.SIGINT: "INT", signal.SIGTERM: "TERM", signal.SIGHUP: "HUP"}
NAMED = 'echo $$ >"$0"; exec "$@"'
HAND_OVER = """
for try in 1 2 3 4 5 6 7 8 9; do
    read -r process <"$1" && kill -s "$2" "$process" && exit
    sleep 0.2
done
"""


def execute(
    engine: Engine,
    container: str,
    command: Sequence[str],
    folder: Path = PLACE,
    environment: Mapping[str, str] | None = None,
    given: str | None = None,
) -> int:
    """Runs a command in a container as the caller, in ``folder``; returns its exit code.

    With a terminal on both ends the command has one of its own, else what it prints passes through. ``given`` is written
    to its standard input, which is the only way in for a secret. Interrupts go to the command, not to the client.
    """
    interactive = given is None and sys.stdin.isatty() and sys.stdout.isatty()
    name = f"/tmp/servelab-{secrets.token_hex(6)}"
    options = ["--interactive", *["--tty"] * interactive, "--user", caller(engine), "--workdir", str(folder)]
    for variable, value in {**_of_terminal(interactive), **(environment or {})}.items():
        options += ["--env", f"{variable}={value}"]
    process = subprocess.Popen(
        [*client(engine), "exec", *options, container, "sh", "-c", NAMED, name, *command],
        stdin=None if interactive else subprocess.PIPE,
        start_new_session=not interactive,
    )
    with _passing_on(engine, container, name):
        if process.stdin is not None:
            with suppress(BrokenPipeError), process.stdin as standard_input:
                standard_input.write((given or "").encode())
        return process.wait()


def translated(arguments: Sequence[str], checkout: Path) -> tuple[Path, list[str]]:
    """The folder inside the container, and the arguments with their paths as the container sees them."""
    rewritten = list(arguments)
    for index, word in enumerate(rewritten):
        option, equals, value = word.partition("=")
        if option in PATHS and equals:
            rewritten[index] = f"{option}={_inside(Path(value), checkout)}"
        elif index and rewritten[index - 1] in PATHS:
            rewritten[index] = str(_inside(Path(word), checkout))
    return _inside(Path.cwd(), checkout), rewritten


def _inside(path: Path, checkout: Path) -> Path:
    """A path of the checkout as the container sees it. InputError for a path elsewhere."""
    whole = path.expanduser().absolute()
    if not whole.resolve().is_relative_to(checkout):
        raise InputError(f"{whole} is outside the checkout {checkout}, which is all that the container sees; add --here.")
    return PLACE / whole.resolve().relative_to(checkout)


def client(engine: Engine) -> tuple[str, ...]:
    """The client program. InputError where only the engine is here."""
    if shutil.which(engine.program[0]) is None:
        raise InputError(f"the {engine.kind} client was not found; install it, then type the same command again.")
    return engine.program


def caller(engine: Engine) -> str:
    """The user and group as whom things are done inside, so that files on the host are the caller's."""
    return "0:0" if engine.rootless and engine.kind == DOCKER else f"{os.getuid()}:{os.getgid()}"


def _of_terminal(interactive: bool) -> dict[str, str]:
    """Colours and width, where output ends at a terminal."""
    size = shutil.get_terminal_size()
    if interactive:
        return {"TERM": os.environ.get("TERM", "xterm")}
    return {"TTY_COMPATIBLE": "1", "COLUMNS": str(size.columns)} if sys.stdout.isatty() and sys.stderr.isatty() else {}


@contextmanager
def _passing_on(engine: Engine, container: str, name: str) -> Iterator[None]:
    """Signals to this process go to the command whose process number ``name`` holds."""

    def hand_over(number: int, frame: FrameType | None) -> None:
        inside = ["sh", "-c", HAND_OVER, "sh", name, PASSED_ON[signal.Signals(number)]]
        command = [*engine.program, "exec", "--user", caller(engine), container, *inside]
        quiet = subprocess.DEVNULL
        subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)

    before = {number: signal.signal(number, hand_over) for number in PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
