"""Errors of the command line as one sentence with the nearest names."""

from __future__ import annotations

from typing import Any

from engine.configuration import nearest


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
