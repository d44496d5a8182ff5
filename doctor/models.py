"""The full-size models of the figures: what they take, what of them is there, and how many GPUs hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from doctor.gpu import gpus_for, usable
from engine.catalogue import DRAFTS, MODELS
from engine.executors.simulated.profiles import model_bytes
from hosting.gpus import Driver, Gpu
from hosting.storage import cached, free_bytes, missing_bytes


def describe_models(folder: Path, driver: Driver | None) -> list[dict[str, Any]]:
    """The ``models`` of an examination; ``folder`` is where the hub's library keeps them."""
    free, gpus = free_bytes(folder), usable(driver)
    return [_describe(name, target, folder, free, gpus) for name, target in _targets().items()]


def _targets() -> dict[str, str]:
    """The figures' models that the hub has, each once, by the first name that a person types for it."""
    from exps.papers.registry import FIGURES

    names: dict[str, str] = {}
    for platform in (platform for figure in FIGURES.values() for platform in figure.platforms):
        if platform.model in DRAFTS:
            names.setdefault(platform.model, platform.name)
    return {name: model for model, name in names.items()}


def _describe(name: str, target: str, folder: Path, free: int, gpus: tuple[Gpu, ...]) -> dict[str, Any]:
    pair = (target, DRAFTS[target])
    sizes = [model_bytes(model) for model in pair]
    there = [cached(MODELS[model].repository, folder) for model in pair]
    missing = missing_bytes({MODELS[model].repository: size for model, size in zip(pair, sizes, strict=True)}, folder)
    whole = all(found.whole for found in there)
    there_bytes = sum(found.bytes for found in there)
    return {
        "model": name,
        "target": pair[0],
        "draft": pair[1],
        "bytes": sum(sizes),
        "there_bytes": there_bytes,
        "whole": whole,
        "fits": missing <= free,
        "gpus": gpus_for(sum(sizes), gpus),
        "reason": "there" if whole else _reason(name, there_bytes > 0, missing, free),
    }


def _reason(name: str, begun: bool, missing: int, free: int) -> str:
    if missing > free:
        larger = "set HF_HOME to a larger disk, or cli.py start --models DIR"
        return f"needs {missing / 1e9:.1f} GB where {free / 1e9:.1f} GB are free: {larger}"
    return f"{'partly' if begun else 'not'} there; cli.py setup --model {name} fetches {missing / 1e9:.1f} GB, which fit"
