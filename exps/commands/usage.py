"""Errors of the command line as one sentence with the nearest names."""

from __future__ import annotations

from pathlib import Path
from traceback import walk_tb
from typing import Any

from engine.configuration import nearest

ROOT = Path(__file__).parents[2]
POLICIES = tuple(str(ROOT / "engine" / role) for role in ("ordering", "batching", "speculation", "adapters", "placement"))


def fault_on_import(error: BaseException) -> str | None:
    """Which line of a policy's file keeps it from being imported, where that and no missing package is what went wrong."""
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith(("engine.", "exps.")):
        return None
    if isinstance(error, SyntaxError):
        places = [(error.filename, error.lineno)]
    else:
        places = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)
                  if frame.f_code.co_name == "<module>"]
    for file, line in reversed(places):
        if str(file).startswith(POLICIES):
            reason = f"{type(error).__name__}: {getattr(error, 'msg', error)}"
            return f"{Path(str(file)).relative_to(ROOT)}, line {line}: {reason}; correct the file."
    return None


def sentence(error: Any) -> str:
    """What is wrong with the words that were typed, from the parser's exception."""
    context: Any = getattr(error, "ctx", None)
    if option := getattr(error, "option_name", None):
        known = [name for parameter in context.command.params for name in parameter.opts if name.startswith("--")]
        if option not in known:
            return f"unknown option {option!r} of {context.info_name}; {nearest(option, known)}"
    words: str = error.format_message()
    if words.startswith("No such command") and context is not None:
        typed = words.split("'")[1] if "'" in words else ""
        return f"unknown command {typed!r}; {nearest(typed, list(context.command.commands))}"
    return words.strip()
