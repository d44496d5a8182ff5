"""Verdicts for each figure on each backend and for the two images: it runs here, or what would make it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exps.run.backends import BACKENDS, Backend
from hosting.engines import NO_GPU_RUNTIME, Found
from hosting.gpus import Driver, driver_fault
from hosting.named import DOCKER
from hosting.storage import IMAGE_BYTES, free_bytes

READY, NOT_YET = "ready", "not in this version"
NO_BUILDKIT = "there is no client that builds with BuildKit; install docker-buildx, then run `cli.py build`."


def judge_figures(faults: Sequence[str], driver: Driver | None, engine: Found | None) -> list[dict[str, Any]]:
    """Rows of figure, backend, ok and reason. ``faults``: what hinders every run."""
    from exps.papers.registry import FIGURES

    verdicts = {backend: _backend(backend, faults, driver, engine) for backend in BACKENDS.values()}
    rows = []
    for figure in FIGURES.values():
        for backend, verdict in verdicts.items():
            reason = verdict if backend.platforms(figure) else figure.why or NOT_YET
            rows.append({"figure": figure.id, "backend": backend.name, "ok": reason.startswith(READY), "reason": reason})
    return rows


def judge_images(driver: Driver | None, engine: Found) -> list[dict[str, Any]]:
    """Rows of image, built, ok (it can start here, once it is built) and reason."""
    return [{"image": name, "built": name in engine.images, **_image(name, driver, engine)} for name in IMAGE_BYTES]


def _backend(backend: Backend, faults: Sequence[str], driver: Driver | None, engine: Found | None) -> str:
    if faults:
        return f"mend {'; and '.join(faults)}"
    return backend.hindrance(engine) or f"{READY}{backend.note(driver)}"


def _image(name: str, driver: Driver | None, engine: Found) -> dict[str, Any]:
    built = name in engine.images
    hindrance = engine.fault or (None if built else _build_fault(name, engine))
    if hindrance:
        return {"ok": False, "reason": hindrance}
    state = "built" if built else f"can be built: cli.py build --target {name}"
    if fault := _start_fault(name, driver, engine):
        return {"ok": False, "reason": f"{state}, but it does not start here: {fault}"}
    return {"ok": True, "reason": f"{state}; cli.py start --target {name} starts it" if built else state}


def _build_fault(name: str, engine: Found) -> str | None:
    if not engine.builds:
        return NO_BUILDKIT
    needed = IMAGE_BYTES[name]
    if engine.root is None or (free := free_bytes(engine.root)) >= needed:
        return None
    return f"needs {needed / 1e9:.0f} GB in {engine.root}, where {free / 1e9:.1f} GB are free; make room there."


def _start_fault(name: str, driver: Driver | None, engine: Found) -> str | None:
    if name != "cuda":
        return None
    return driver_fault(driver) or (None if engine.gpus else NO_GPU_RUNTIME[engine.engine or DOCKER])
