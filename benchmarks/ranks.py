"""One model on several ranks: a decode step of the whole engine, and how long a run takes to end when a rank does.

    python -m benchmarks.ranks --ranks 4 --model llama-3.1-70b
    python -m benchmarks.ranks --ranks 2 --model llama-3.1-70b --fault SIGKILL
    python -m benchmarks.ranks --ranks 2 --device cpu

On GPUs, one each, the tiny pair's function in the model's shape, bfloat16, graphs and steps begun ahead; on a CPU the tiny
pair. The device of rank 0 is spoiled by a fault, so the process ends with it.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from functools import partial
from statistics import median
from typing import Any

import torch

from engine.core import Engine
from engine.errors import RankError
from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.executors.native.parallel.rank import Load
from engine.executors.native.parallel.ranks import Ranks
from engine.kv_cache import BlockPool
from engine.models.decoder import Decoder
from engine.models.pair import load_target
from engine.request import Request
from engine.sampling import Sampling
from engine.system import parse_system

PROMPT, STEPS, WARM = 256, 60, 8


class Silent:
    """An observer that remembers nothing."""

    def request_done(self, request: Request) -> None: ...

    def step_done(self, *arguments: object) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--model", default="llama-3.1-70b")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--batches", default="1,8,16,32,64,128")
    parser.add_argument("--offline", action="store_true", help="tokens a second of 64 requests of 256 + 128 tokens")
    parser.add_argument("--fault", choices=("SIGKILL", "SIGSTOP"))
    asked = parser.parse_args()
    if asked.device == "cpu":
        torch.set_num_threads(1)
    load, began = loader(asked.model, asked.device), time.perf_counter()
    with Ranks(asked.ranks, load, asked.device) as ranks:
        target = load(ranks.split, ranks.device)
        for n in map(int, asked.batches.split(",")):
            engine = decoding(ranks, target, n)
            print({"batch": n, "ms": round(1e3 * step_s(engine), 3), "ready_s": round(time.perf_counter() - began, 1),
                   "ranks": ranks.description}, flush=True)
        if asked.offline:
            print(offline(ranks, target), flush=True)
        if asked.fault:
            print(fault(ranks, engine, getattr(signal, asked.fault)), flush=True)


def loader(model: str, device: str) -> Load:
    if device == "cpu":
        return partial(load_target, name="tiny", draft=False)
    return partial(load_target, name=model, draft=False, dtype=torch.bfloat16, weights="widened")


def an_engine(ranks: Ranks, target: Decoder, n: int) -> Engine:
    """With room for ``n`` requests."""
    fast, policies = ranks.device.type == "cuda", parse_system("batch=sarathi(token_budget=8192)").build({})
    kv_tokens = n * (PROMPT + 2 * STEPS + 160)
    executor = NativeExecutor(
        target, None, Capacity.of(kv_tokens, policies, True), "triton" if fast else "reference", graphs=fast, ahead=True,
        make_runner=ranks.runner,
    )
    return Engine(policies, executor, BlockPool(kv_tokens, policies.batching.block_size), Silent())


def asked_for(i: int, output: int) -> Request:
    prompt = [(7 * place + abs(i)) % 4000 for place in range(PROMPT)]
    return Request(i, "a", PROMPT, output, 0.0, prompt_ids=prompt, sampling=Sampling(ignore_stop=True))


def offline(ranks: Ranks, target: Decoder, n: int = 64, output: int = 128) -> dict[str, float]:
    """Tokens a second, prompts included, of ``n`` requests that are all there."""
    engine = an_engine(ranks, target, n)
    assert isinstance(engine.executor, NativeExecutor)
    engine.executor.warm_up(n)
    engine.run([asked_for(-1 - i, 8) for i in range(8)])
    began = time.perf_counter()
    engine.run([asked_for(i, output) for i in range(n)])
    return {"requests": n, "tokens_per_s": n * (PROMPT + output) / (time.perf_counter() - began)}


def decoding(ranks: Ranks, target: Decoder, n: int) -> Engine:
    """An engine in the middle of ``n`` answers."""
    engine = an_engine(ranks, target, n)
    for i in range(n):
        engine.submit(asked_for(i, 2 * STEPS + 140))
    while len(engine.running.batch) < n:
        engine.step()
    for _ in range(WARM):
        engine.step()
    return engine


def step_s(engine: Engine) -> float:
    """Median seconds of a step."""
    found = []
    for _ in range(STEPS):
        begin = time.perf_counter()
        engine.step()
        found.append(time.perf_counter() - begin)
    return median(found)


def fault(ranks: Ranks, engine: Engine, number: signal.Signals) -> dict[str, Any]:
    """The last rank gets the signal: what rank 0 says, and after how many seconds."""
    began = time.perf_counter()
    os.kill(ranks.processes[-1], number)
    try:
        while engine.step():
            pass
    except RankError as error:
        return {"fault": number.name, "said": str(error), "after_s": round(time.perf_counter() - began, 2)}
    raise SystemExit("the run ended as if nothing were wrong")


if __name__ == "__main__":
    main()
