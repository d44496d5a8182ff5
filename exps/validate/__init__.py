"""The simulator against recorded runs."""

from __future__ import annotations

from pathlib import Path


def command(folder: Path, as_json: bool, repeats: int) -> None:
    """`cli.py validate`: replay the recorded runs of ``folder`` and print recorded, simulated, error."""
    from exps.report import Reporter
    from exps.validate.report import validate

    validate(folder, as_json, repeats, Reporter())
