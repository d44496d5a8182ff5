"""The simulator's profiles: fitted to their stated calibration sets, or measured on the machine at hand."""

from __future__ import annotations

from pathlib import Path

from engine.errors import InputError


def command(
    vtc: Path | None, adaserve: Path | None, fairserve: Path | None, pair: bool, exfairs: bool = False, dlora: bool = False
) -> None:
    """`cli.py fit`: fit from recorded runs, AdaServe's traces, the tiny pair; prints each trial and the files."""
    from exps.calibrate import adaserve as adaserve_fit
    from exps.calibrate import dlora as dlora_fit
    from exps.calibrate import exfairs as exfairs_fit
    from exps.calibrate import fairserve as fairserve_fit
    from exps.calibrate import vtc as vtc_fit

    if not (vtc or adaserve or fairserve or pair or exfairs or dlora):
        known = "--vtc RECORDINGS, --adaserve TRACES, --fairserve RECORDINGS, --exfairs, --dlora or --pair"
        raise InputError(f"Nothing to fit: give {known}.")
    if pair:
        from exps.run.backends.native import check_torch

        check_torch()
        from exps.calibrate import acceptance
        from exps.report import Reporter

        acceptance.command(Reporter())
    written = vtc_fit.fit(vtc, print) if vtc else []
    written += adaserve_fit.fit(adaserve, print) if adaserve else []
    written += fairserve_fit.fit(fairserve, print) if fairserve else []
    if exfairs:
        exfairs_fit.fit(print)
    if dlora:
        dlora_fit.fit(print)
    for path in written:
        print(f"wrote {path.name}")
