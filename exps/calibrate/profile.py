"""`cli.py profile`: this machine as a profile of the simulator, and what figures on this machine start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.executors.simulated.cost import Line
from engine.models.config import DecoderConfig
from engine.plan import DraftShape
from engine.system import parse_system
from exps.calibrate.measure import Bench, bandwidth_bytes_per_s, flops_per_s, launch_s, memory_bytes_of, slope
from exps.calibrate.served import host_time_of
from exps.calibrate.store import store
from exps.calibrate.tuning import tuned
from exps.figures.figure import Options, Platform
from exps.run.local import MEASURED, TINY, source
from exps.run.native.faults import Faults
from exps.run.native.models import load, load_prompts, unloaded_by_errors
from exps.run.native.serving import serve_natively
from exps.run.serving import Setup
from exps.workload.timetable import timetable
from hosting.device import CPU, Device

KV_TOKENS = 32_768
SHORT, LONG, CONTEXT_ROWS = 64, 960, 8
DRAFT_ROWS, DEPTH, WIDTH = (1, 4, 16), 5, (1, 3)
ENOUGH = 1 << 20
ALONE_TOKENS, GENEROUS = 64, 3.0
REPEATS, QUICK_REPEATS = 15, 5

Say = Callable[[str], None]


def measure(platform: Platform, options: Options, say: Say) -> Path:
    """Measure a model on its device and write its profiles to ``options.profiles``. Returns the deployment's file.

    RunError when the device or a rank fails.
    """
    device = platform.device or CPU
    say("loading the model")
    with unloaded_by_errors():
        loaded = load(platform.model, options.weights, device)
        with Faults(platform.model, device, loaded, loaded.pair.draft is not None).told():
            return _measure(platform, options, say)


def _measure(platform: Platform, options: Options, say: Say) -> Path:
    model, device, folder = platform.model, platform.device or CPU, options.profiles
    assert folder is not None
    repeats = QUICK_REPEATS if options.quick else REPEATS
    bench = Bench(model, options.weights, device, options.execution, KV_TOKENS, repeats)
    pair = bench.pair
    say("memory bandwidth, matrix products")
    store(device.hardware.removeprefix(f"{device.ranks}x"), _hardware(device), folder / "hardware")
    store(model, _shape(bench.config), folder / "models")
    facts = _target(bench, GPU_STEPS if device.gpus else CPU_STEPS, say)
    facts["kv_tokens"] = bench.free_kv_tokens() if device.gpus else KV_TOKENS
    line = Line(tuple(facts["forward"]["tokens"]), tuple(facts["forward"]["seconds"]))
    if pair.draft is not None:
        store(f"{model}-draft", _shape(pair.draft.config), folder / "models")
        facts |= {"draft": f"{model}-draft", **_speculation(bench, facts["context_s"], say)}
    estimate, policy = _estimate(line, facts), {"width": list(WIDTH)}
    facts["policies"] = {"speculation": estimate, "adaserve": policy} if pair.draft is not None else {}
    say("baseline latency")
    calibration: dict[str, Any] = {"fitted_on": "this machine and the tiny pair", "acceptance": TINY.name}
    name = f"{model}@{device.hardware}"
    store(name, {**facts, "calibration": {MEASURED: calibration}}, folder / "deployments")
    baseline_s, context = _baseline(platform, options, GENEROUS * line(1))
    calibration["host_s"] = max(0.0, baseline_s - line(1) - context * facts["context_s"])
    whole = {"source": source(device), "baseline_tpot_s": baseline_s, **facts, "calibration": {MEASURED: calibration}}
    path = store(name, whole, folder / "deployments")
    if pair.draft is None:
        return path
    say("served steps")
    calibration |= host_time_of(platform, options)
    store(name, whole, folder / "deployments")
    say("AdaServe's budget")
    policies = {"speculation": estimate, "adaserve": tuned(platform, replace(options, calibration=MEASURED), policy)}
    return store(name, {**whole, "policies": policies}, folder / "deployments")


def _hardware(device: Device) -> dict[str, Any]:
    bandwidth = bandwidth_bytes_per_s(device)
    return {
        "source": source(device),
        "memory_bytes": memory_bytes_of(device),
        "bandwidth_bytes_per_s": bandwidth,
        "flops_per_s": flops_per_s(device),
        "link_bytes_per_s": bandwidth,
        "launch_s": launch_s(device),
        "bandwidth_share": 1.0,
        "flops_share": 1.0,
        "kv_share": 1.0,
    }


def _shape(config: DecoderConfig) -> dict[str, Any]:
    return {
        "source": "the shape of the weights",
        "layers": config.layers,
        "hidden": config.hidden,
        "kv_heads": config.kv_heads,
        "head_size": config.head_size,
        "context": config.context,
        "parameters": float(config.parameters),
    }


@dataclass(frozen=True)
class Steps:
    """What is measured: decode steps of so many ``rows``, prefills of so many ``tokens``."""

    rows: tuple[int, ...]
    tokens: tuple[int, ...]


CPU_STEPS = Steps((1, 2, 4, 8, 16, 32, 64), (128, 256, 512, 1024))
GPU_STEPS = Steps((1, 2, 4, 8, 16, 32, 64, 128, 256), (512, 1024, 1900))


def _target(bench: Bench, steps: Steps, say: Say) -> dict[str, Any]:
    """The forward without context by new tokens, and what each cached token adds."""
    say("warming up")
    bench.decode_s(CONTEXT_ROWS, SHORT)
    say("decode steps")
    decode = [bench.decode_s(rows, SHORT) for rows in steps.rows]
    more = bench.decode_s(CONTEXT_ROWS, LONG) - decode[steps.rows.index(CONTEXT_ROWS)]
    context_s = max(0.0, more / (CONTEXT_ROWS * (LONG - SHORT)))
    say("prefill")
    prefill = [bench.prefill_s(tokens) for tokens in steps.tokens]
    seconds = [s - context_s * rows * SHORT for rows, s in zip(steps.rows, decode, strict=True)] + prefill
    tokens = [float(count) for count in (*steps.rows, *steps.tokens)]
    rising = np.maximum.accumulate(seconds).tolist()
    return {"context_s": context_s, "forward": {"tokens": tokens, "seconds": rising}}


def _speculation(bench: Bench, context_s: float, say: Say) -> dict[str, float]:
    """A draft step's fixed cost and that of each token of it, of a cached and of a prompt token; and what looking at a
    cached token adds in verification for each draft token."""
    say("draft steps")
    shapes = [(rows, width) for rows in DRAFT_ROWS for width in WIDTH]
    steps = [bench.speculate_s(rows, SHORT, DraftShape(DEPTH, width, ENOUGH))[0] / DEPTH for rows, width in shapes]
    step_s, token_s = slope([float(rows * width) for rows, width in shapes], steps)
    say("verification")
    chain, rows = DraftShape(DEPTH, 1, ENOUGH), CONTEXT_ROWS
    long, short = (bench.speculate_s(rows, context, chain) for context in (LONG, SHORT))
    more = rows * (LONG - SHORT)
    looking_s = (long[1] - short[1]) / more
    return {
        "query_s": max(0.0, (looking_s - context_s) / DEPTH),
        "draft_step_s": step_s,
        "draft_step_token_s": token_s,
        "draft_context_s": max(0.0, (long[0] - short[0]) / DEPTH / more),
        "draft_token_s": bench.draft_prefill_s(LONG // 2) / (LONG // 2),
    }


def _estimate(line: Line, facts: dict[str, Any]) -> dict[str, Any]:
    """What a speculation policy can estimate a step by: a latency table, and the time of a draft of four sequences."""
    return {
        "draft_step_s": facts.get("draft_step_s", 0.0),
        "draft_s": DEPTH * (facts.get("draft_step_s", 0.0) + 4 * facts.get("draft_step_token_s", 0.0)),
        "verify_tokens": [0.0, *line.tokens],
        "verify_s": [0.0, *line.seconds],
    }


def _baseline(platform: Platform, options: Options, gap_s: float) -> tuple[float, float]:
    """Seconds between output tokens of requests that have the machine to themselves, and their mean context in tokens.

    ``gap_s`` for each token is more than one takes.
    """
    device = platform.device or CPU
    lengths = load_prompts(platform.model, options.weights).lengths()
    texts = [sorted(of_kind, key=lambda text: text[1])[len(of_kind) // 2] for of_kind in lengths.values()]
    texts = texts * (1 if options.quick else 3)
    alone = timetable(
        {
            "arrival_s": [gap_s * ALONE_TOKENS * number for number in range(len(texts))],
            "client": ["alone"] * len(texts),
            "prompt_tokens": [tokens for _, tokens in texts],
            "output_tokens": [ALONE_TOKENS] * len(texts),
            "prompt": [number for number, _ in texts],
        }
    )
    setup = Setup(
        parse_system("vllm"), platform.model, device.hardware, MEASURED, backend="native", profiles=options.profiles,
        weights=options.weights, device=device, execution=options.execution,
    )
    served = serve_natively(alone, setup).requests
    gaps = served.select((pl.col("finished_s") - pl.col("first_token_s")) / (ALONE_TOKENS - 1)).to_series()
    return float(gaps.median() or 0.0), float(np.mean([tokens for _, tokens in texts])) + ALONE_TOKENS / 2  # type: ignore[arg-type]
