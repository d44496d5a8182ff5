"""The simulator against recorded runs, and against the native engine."""

from __future__ import annotations

from pathlib import Path

from engine.errors import InputError


def command(
    folder: Path | None, as_json: bool, repeats: int, native: bool, measured: bool, seed: int, results: Path, quick: bool
) -> bool:
    """`cli.py validate`: replay the recorded runs of ``folder``, or compare with the native engine, and print the errors.

    False when the native engine and the simulator differ by more than they may.
    """
    from exps.report import Reporter

    if (folder is not None) + native + measured != 1:
        raise InputError("give either a folder of recorded runs, or --native, or --measured.")
    if measured:
        from exps.validate import measured as against_measured

        against_measured.command(results, as_json, Reporter())
        return True
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
