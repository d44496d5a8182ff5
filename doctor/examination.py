"""Everything that doctor looks at, in one dictionary that JSON takes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from doctor.checks import run_checks
from doctor.gpu import describe_driver
from doctor.models import describe_models
from doctor.native import describe_native
from doctor.verdicts import judge_figures, judge_images
from exps.run.code import ROOT
from hosting import engines
from hosting.engines import Found
from hosting.gpus import Driver, find_driver
from hosting.machine import machine
from hosting.ports import owner
from hosting.settings import models_place
from hosting.storage import TENSOR_PARALLEL_SHARED_BYTES, free_bytes, shared_memory_bytes

PORTS = (8000, 8001)


def examine(results: Path) -> dict[str, Any]:
    """What this machine has and can do; every tool that is asked has a time limit.

    checks         name, ok, found: what every run needs
    machine        system, processor, cores, memory_bytes
    driver         None without nvidia-smi; version, cuda, fault, note, gpus: index, name, memory_bytes, used_bytes,
                   capability, fault, note, processes: pid, name, used_bytes
    engine         inside (a container of ours, where the other keys are empty), engine, version, gpus, root, builds,
                   container (the running one), fault
    shared_memory  bytes, enough (for tensor parallel), inside
    native         model (of this machine), device (that serves it, None for none), gpus, ok, reason
    ports          port, owner (None: free)
    disk           place (results, models, images), folder, free_bytes
    models         model, target, draft, bytes, there_bytes, whole, fits, gpus (how many hold it), reason
    images         image, built, ok (it can start here), reason; none inside a container
    figures        figure, backend, ok, reason

    A fault or a reason is a sentence; a fault of None means that there is none.
    """
    driver, engine = _ask()
    checks = run_checks(results)
    faults = [f"{check['name']}: {check['found']}" for check in checks if not check["ok"]]
    return {
        "checks": checks,
        "machine": machine(),
        "driver": describe_driver(driver),
        "engine": _engine(engine),
        "shared_memory": _shared_memory(inside=engine is None),
        "native": describe_native(driver, engine, shared_memory_bytes()),
        "ports": [{"port": port, "owner": owner(port)} for port in PORTS],
        "disk": _disks(results, engine),
        "models": describe_models(models_place(ROOT), driver),
        "images": [] if engine is None else judge_images(driver, engine),
        "figures": judge_figures(faults, driver, engine),
    }


def _ask() -> tuple[Driver | None, Found | None]:
    """The driver and the container engine, asked at the same time; no engine inside a container."""
    with ThreadPoolExecutor(2) as pool:
        driver = pool.submit(find_driver)
        engine = pool.submit(lambda: None if engines.INSIDE.exists() else engines.look())
        return driver.result(), engine.result()


def _engine(found: Found | None) -> dict[str, Any]:
    shown = found or Found()
    return {
        "inside": found is None,
        "engine": shown.engine,
        "version": shown.version,
        "gpus": shown.gpus,
        "root": None if shown.root is None else str(shown.root),
        "builds": shown.builds,
        "container": shown.container,
        "fault": shown.fault,
    }


def _shared_memory(inside: bool) -> dict[str, Any]:
    size = shared_memory_bytes()
    return {"bytes": size, "enough": size is not None and size >= TENSOR_PARALLEL_SHARED_BYTES, "inside": inside}


def _disks(results: Path, engine: Found | None) -> list[dict[str, Any]]:
    folders = {"results": results, "models": models_place(ROOT)}
    if engine is not None and engine.root is not None:
        folders["images"] = engine.root
    return [{"place": place, "folder": str(folder), "free_bytes": free_bytes(folder)} for place, folder in folders.items()]
