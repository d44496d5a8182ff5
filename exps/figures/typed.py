"""What a person types: choices, names, systems, values."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.errors import InputError
from engine.system import parse_system

MOST_VALUES = 1000


def check_choice(option: str, value: str | None, choices: Sequence[str]) -> None:
    """InputError unless the value of an option is one of its choices or left out."""
    if value is not None and value not in choices:
        raise InputError(f"{option} {value!r} is not known; choose {' or '.join(choices)}.")


def canonical_system(text: str) -> str:
    """The name of a preset, or a composition without blanks. InputError with the nearest names."""
    name = re.sub(r"\s+", "", text)
    parse_system(name)
    return name


def split_systems(values: list[str]) -> tuple[str, ...]:
    """Systems as typed: "vtc,fcfs" is two, "order=vtc,spec=adaserve" one composition; the option may be repeated."""
    return tuple(name for value in values for name in ([value] if "=" in value else split_names([value])))


def split_names(values: list[str]) -> tuple[str, ...]:
    """Names as typed, separated by commas or repeated."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


def parse_values(text: str, option: str = "--rps", what: str = "rates", example: str = "2.6:4.8:0.2") -> tuple[float, ...]:
    """ "2.6:4.8:0.2" (both ends included), "2.6,3.0" or "4"; "auto" is none, the figure's own.

    InputError when it is none of these.
    """
    if text == "auto":
        return ()
    wrong = InputError(f"{option} {text!r} is no range of {what} above 0; write auto, or first:last:step, as in {example}.")
    try:
        if ":" not in text:
            values = tuple(float(part) for part in text.split(","))
        else:
            first, last, step = (float(part) for part in text.split(":"))
            count = min(int((last - first) / step + 1e-9) + 1, MOST_VALUES + 1) if step > 0 else 0
            values = tuple(round(first + i * step, 9) for i in range(count))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise wrong from None
    if not 0 < len(values) <= MOST_VALUES or not all(0 < value < 1e6 for value in values):
        raise wrong
    return tuple(dict.fromkeys(values))


def parse_axis(text: str) -> tuple[float, ...]:
    """ "10,50": values of a figure's axis. InputError when they are no numbers."""
    try:
        return tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError:
        raise InputError(f"--at {text!r} is no list of numbers; write values of the figure's axis, as in 10,50.") from None
