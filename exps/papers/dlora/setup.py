"""What dLoRA's figures run: models, systems, replicas and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from exps.figures.figure import Figure, Options, Platform, Setting
from exps.workload.dlora import Load, dlora_timetable

FITTED, CONSTANTS = CALIBRATIONS = ("dlora-fig12", "dlora")
"""Step times by the constants of the artifact's scheduler, with the host's time for each sequence that one published value
implies (exps.calibrate.dlora), and without."""
A100 = "a100-80g"
LLAMA_7B = Platform("llama-7b", "llama-2-7b", A100, "Llama-2-7B on A100-80G")
LLAMA_13B = Platform("llama-13b", "llama-2-13b", A100, "Llama-2-13B on A100-80G")
LLAMA_70B = Platform("llama-70b", "llama-2-70b", f"4x{A100}", "Llama-2-70B on 4 x A100-80G")

DLORA, LEAST_COST, PROACTIVE = "dlora", "dlora,place=least-cost", "dlora,place=proactive"
UNMERGED, MERGED, MULTI_LORA = "unmerged-only", "merged-only", "multi-lora"
PEFT, COPIES = "peft", "vllm-copies"
PEFT_GROUPED, COPIES_GROUPED = "peft-grouped", "vllm-copies-grouped"
TITLES = {
    DLORA: "dLoRA",
    LEAST_COST: "least cost (RR)",
    PROACTIVE: "Proactive",
    UNMERGED: "unmerged-only",
    MERGED: "merged-only",
    MULTI_LORA: "multi-LoRA",
    PEFT: "PEFT",
    COPIES: "vLLM (copies)",
    PEFT_GROUPED: "PEFT, by adapter",
    COPIES_GROUPED: "vLLM (copies), by model",
}


@dataclass(frozen=True)
class Memory:
    """Of a replica: tokens of KV beside the base model and the peak of a forward of 4,096 tokens (1 GB a GPU), in 90 % of the
    GPUs' memory; tokens of KV that 16 GiB of host memory keep; whole models on the device where each adapter is one."""

    kv_tokens: int
    swap_tokens: int
    copies: int


MEMORY = {
    LLAMA_7B: Memory(109_710, 32_768, copies=4),
    LLAMA_13B: Memory(54_882, 20_971, copies=2),
    LLAMA_70B: Memory(445_678, 52_428, copies=2),
}
QUICK = 8
"""A quick run has so many times fewer requests."""


def setting(platform: Platform, replicas: int = 1, **more: Mapping[str, Any]) -> tuple[Setting, ...]:
    """So many replicas of a platform."""
    memory = MEMORY[platform]
    policies: dict[str, Mapping[str, Any]] = {
        "placement": {"replicas": replicas},
        "one-model-each": {"slots": memory.copies},
        "orca": {"swap_tokens": memory.swap_tokens},
    }
    return (Setting(policies={**policies, **more}),)


Timetable = Callable[[Platform, float, Options], pl.DataFrame]


def figure(id: str, title: str, platform: Platform, timetable: Timetable, **more: Any) -> Figure:
    """A figure of dLoRA's, on one platform."""
    return Figure(
        id=f"dlora/{id}",
        title=title,
        platforms=(platform,),
        **{"calibrations": CALIBRATIONS, **more},
        timetable=timetable,
        kv_tokens=MEMORY[platform].kv_tokens,
    )


def workload(load: Load, options: Options) -> pl.DataFrame:
    """The requests of a point."""
    if options.quick:
        load = replace(load, requests=max(load.requests // QUICK, 20))
    return dlora_timetable(load, options.seed, options.traces)
