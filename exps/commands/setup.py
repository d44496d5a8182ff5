"""The setup command: fetch what is not in the repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import InputError
from exps.figures.typed import split_names
from exps.report import Reporter
from exps.workload.download import Source, download_traces


def check_wanted(models: Sequence[str], traces: bool) -> None:
    """InputError when nothing is asked for."""
    if not models and not traces:
        raise InputError("nothing to set up; ask for models or traces, as in `cli.py setup --model llama --traces`.")


def fetch_traces(into: Path, papers: Sequence[str] | None, report: Reporter) -> None:
    """Download the traces of ``papers`` (None: all). InputError when the download fails."""
    names = split_names(list(papers)) if papers else None

    def progress(source: Source, done: int, total: int) -> None:
        report.note(f"{done}/{total} {source.path}")

    paths = download_traces(into, papers=names, progress=progress)
    report.say(f"{len(paths)} files in {into}; use them with --traces {into}.")
