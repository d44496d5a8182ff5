"""The hub's token: from a file, the environment or a hidden prompt, and from there only into the request's header."""

from __future__ import annotations

import os
import re
import sys
from getpass import getpass
from pathlib import Path

from engine.errors import InputError

VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
STDIN = Path("-")
WORD = re.compile(r"[!-~]+")
PROMPT = "Token of the hub (not shown; Enter for none): "


def read_token(file: Path | None, ask: bool = False) -> str | None:
    """The token in ``file`` ("-": the first line of standard input), else in the environment, else None.

    With ``ask`` a person at a terminal is asked for it. InputError, never with the token in it, for what is no token.
    """
    if file is not None:
        return _checked(_content(file), "standard input" if file == STDIN else str(file))
    for name in VARIABLES:
        if value := os.environ.get(name, "").strip():
            return _checked(value, name)
    if ask and sys.stdin.isatty():
        typed = _typed()
        return _checked(typed, "what was typed") if typed else None
    return None


def _content(file: Path) -> str:
    try:
        return (sys.stdin.readline() if file == STDIN else file.read_text(encoding="utf-8")).strip()
    except UnicodeDecodeError:
        return ""
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); name the file of your token with --token-file.") from None


def _typed() -> str:
    try:
        return getpass(PROMPT).strip()
    except EOFError:
        return ""


def _checked(token: str, place: str) -> str:
    if not WORD.fullmatch(token):
        raise InputError(f"{place} holds no token, one word of plain characters; correct it and run the command again.")
    return token
