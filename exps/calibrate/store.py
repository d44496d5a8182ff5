"""Writing measured and fitted numbers where the simulator reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.executors.simulated.profiles import ROOT

DIGITS = 5


def store(name: str, table: Mapping[str, Any], folder: Path | None = None) -> Path:
    """Write the numbers of a profile, such as those of a (model, hardware) pair, as TOML. Returns the file."""
    path = (folder or ROOT / "fitted") / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(_lines(table)) + "\n")
    return path


def _lines(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    lines = [f"{key} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{prefix}{key}]", *_lines(value, f"{prefix}{key}.")]
    return lines


def _value(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
