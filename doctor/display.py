"""An examination as tables that a person reads, or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from exps.report import Reporter
from exps.run.backends.base import PACKAGES

Row = dict[str, str]
UNKNOWN, NOTHING = "?", "-"


def show(report: Reporter, found: Mapping[str, Any], as_json: bool) -> None:
    """The examination of this machine, as tables or as JSON."""
    if as_json:
        report.json(found)
        return

    for title, rows in _tables(found):
        if rows:
            report.frame(title, pl.DataFrame(rows))


def _tables(found: Mapping[str, Any]) -> Iterator[tuple[str, list[Row]]]:
    yield "Machine", _machine(found)
    gpus = found["driver"]["gpus"] if found["driver"] else []
    yield "GPUs", [_gpu(gpu) for gpu in gpus]
    yield "Disks", [_disk(row) for row in found["disk"]]
    yield "Models", [_model(row, len(gpus)) for row in found["models"]]
    yield "Models of this machine, --backend native", [_native(row) for row in found["native"]]
    yield "Images", _shared(found["images"], "image")
    yield "Figures", _shared(found["figures"], "figure", "backend")


def _machine(found: Mapping[str, Any]) -> list[Row]:
    checks = [_row(row["name"], row["ok"], row["found"]) for row in found["checks"] if not _is_installed(row)]
    packages = [f"{row['name']} {row['found']}" for row in found["checks"] if _is_installed(row)]
    hosting = [_driver(found["driver"]), _engine(found["engine"]), _shared_memory(found["shared_memory"])]
    ports = [
        _row(f"port {row['port']}", row["owner"] is None, f"taken by {row['owner']}" if row["owner"] else "free")
        for row in found["ports"]
    ]
    return [checks[0], _row("packages", True, ", ".join(packages)), *checks[1:], *hosting, *ports]


def _is_installed(check: Mapping[str, Any]) -> bool:
    return bool(check["ok"]) and check["name"] in PACKAGES


def _row(name: str, ok: bool | None, found: str) -> Row:
    return {"check": name, "ok": NOTHING if ok is None else _yes(ok), "found": found}


def _driver(driver: Mapping[str, Any] | None) -> Row:
    if driver is None:
        return _row("driver", None, "no NVIDIA driver")
    words = [f"NVIDIA {driver['version']}"] * bool(driver["version"])
    words += [f"serves CUDA up to {driver['cuda']}"] * bool(driver["cuda"])
    words += [text for text in (driver["note"], driver["fault"]) if text]
    return _row("driver", driver["fault"] is None, "; ".join(words))


def _engine(engine: Mapping[str, Any]) -> Row:
    if engine["inside"]:
        return _row("containers", None, "inside the container")
    if engine["fault"]:
        return _row("containers", False, engine["fault"])
    words = [f"{engine['engine']} {engine['version'] or ''}".strip()]
    words.append("gives GPUs to containers" if engine["gpus"] else "gives no GPU to containers")
    words.append("builds with BuildKit" if engine["builds"] else "has no BuildKit")
    words += [f"the container {engine['container']} runs, cli.py attach enters it"] * bool(engine["container"])
    return _row("containers", True, "; ".join(words))


def _shared_memory(memory: Mapping[str, Any]) -> Row:
    size = NOTHING if memory["bytes"] is None else f"{_gib(memory['bytes'])} GiB"
    if memory["enough"]:
        return _row("shared memory", True, f"{size}, enough for tensor parallel")
    mend = "start the container again with" if memory["inside"] else "the container gets its own from"
    return _row("shared memory", None, f"{size}, too little for tensor parallel; {mend} cli.py start --shm 8g")


def _gpu(gpu: Mapping[str, Any]) -> Row:
    processes = [f"{Path(row['name']).name} (pid {row['pid']}, {_gib(row['used_bytes'])} GiB)" for row in gpu["processes"]]
    return {
        "GPU": f"{gpu['index']} {gpu['name']}",
        "used": f"{_gib(gpu['used_bytes'])} of {_gib(gpu['memory_bytes'])} GiB",
        "held by": ", ".join(processes) or NOTHING,
        "compute": gpu["capability"] or UNKNOWN,
        "verdict": gpu["fault"] or gpu["note"] or "usable",
    }


def _disk(row: Mapping[str, Any]) -> Row:
    return {"place": row["place"], "folder": row["folder"], "free": _size(row["free_bytes"])}


def _model(row: Mapping[str, Any], gpus: int) -> Row:
    needed = row["gpus"]
    return {
        "model": row["model"],
        "target + draft": f"{row['target']} + {row['draft']}",
        "size": _size(row["bytes"]),
        "GPUs": NOTHING if needed is None else f"{needed} of {gpus}" if needed <= gpus else f"needs {needed}",
        "verdict": row["reason"],
    }


def _native(row: Mapping[str, Any]) -> Row:
    return {"model": row["model"], "device": row["device"] or NOTHING, "ok": _yes(row["ok"]), "verdict": row["reason"]}


def _shared(rows: Sequence[Mapping[str, Any]], name: str, *others: str) -> list[Row]:
    """One line for what has one verdict, and ``others``, in common: its names, and whether it is ok."""
    names: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        names.setdefault((*(row[other] for other in others), _yes(row["ok"]), row["reason"]), []).append(row[name])
    columns = (*others, "ok", "verdict")
    return [{name: ", ".join(named), **dict(zip(columns, verdict, strict=True))} for verdict, named in names.items()]


def _yes(ok: bool) -> str:
    return "yes" if ok else "NO"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _gib(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / 2**30:.1f}"
