"""`cli.py profile`: this machine is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.configuration import read_toml
from exps.figures.figure import Options, Platform
from exps.report import Reporter
from exps.run.backends.native import check_torch


def profile(platform: Platform, options: Options, report: Reporter) -> Path:
    """Measure this machine with a local model. InputError where torch or the model is missing."""
    check_torch()
    from exps.calibrate.profile import measure

    with report.status(f"Measuring this machine with {platform.name}") as say:
        return measure(platform, options, say)


def show_profile(path: Path, report: Reporter) -> None:
    """What was measured, and where it is kept."""
    table = read_toml(path)
    line, adaserve = table["forward"], table["policies"].get("adaserve", {})
    report.values(
        f"{path.stem}: {table['source']}",
        {
            "baseline TPOT (ms)": 1e3 * table["baseline_tpot_s"],
            **{
                f"forward of {tokens:.0f} tokens (ms)": 1e3 * seconds
                for tokens, seconds in zip(line["tokens"], line["seconds"], strict=True)
            },
            "1000 cached tokens (ms)": 1e6 * table["context_s"],
            "draft step (ms)": 1e3 * table.get("draft_step_s", 0.0),
            "each token of it (ms)": 1e3 * table.get("draft_step_token_s", 0.0),
            "AdaServe's budget B (tokens)": adaserve.get("budget"),
            "its depths D": _range(adaserve.get("depth")),
            "its widths W": _range(adaserve.get("width")),
        },
    )
    report.say(f"Profile: {path}")


def _range(bounds: Sequence[int] | None) -> str | None:
    return None if bounds is None else f"{bounds[0]} to {bounds[1]}"
