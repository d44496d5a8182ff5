"""The simulator against recorded runs, and against the native engine."""

from __future__ import annotations

from pathlib import Path

from engine.errors import InputError


def command(folder: Path | None, as_json: bool, repeats: int, native: bool, seed: int, results: Path, quick: bool) -> bool:
    """`cli.py validate`: replay the recorded runs of ``folder``, or compare with the native engine, and print the errors.

    False when the native engine and the simulator differ by more than they may.
    """
    from exps.report import Reporter

    if (folder is None) is not native:
        raise InputError("give either a folder of recorded runs or --native.")
    if folder is None:
        from exps.validate import native as against_native

        return against_native.command(results, seed, quick, as_json, Reporter())
    from exps.papers.fairserve.recordings import is_recorded_here

    if is_recorded_here(folder):
        from exps.validate import fairserve

        fairserve.validate(folder, as_json, repeats, Reporter())
        return True
    from exps.validate.report import validate

    validate(folder, as_json, repeats, Reporter())
    return True
