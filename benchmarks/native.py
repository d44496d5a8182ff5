"""Speed of the native executor on this machine's CPU.

    python -m benchmarks.native [--threads 2] [--quick] [--json]

(a) a decode step of the target against a bare forward of the same shapes, written here without paging or sampling;
(b) what the engine adds to the model's forward in a step of 32 requests;
(c) tokens a second for one request, against transformers' generate with the same weights.

Everything compared runs in turns in one process; numbers are medians.
"""

from __future__ import annotations

import argparse
import gzip
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

from benchmarks.bare import BareDecoder
from engine.batch import Batch
from engine.core import Engine
from engine.executors.native.capacity import Capacity
from engine.executors.native.executor import NativeExecutor
from engine.kernels.attention import Attention
from engine.kv_cache import BlockPool
from engine.models.config import DecoderConfig, to_huggingface
from engine.models.decoder import Decoder
from engine.models.pair import TINY, load_pair
from engine.models.weights import fresh_weights, to_state
from engine.plan import DECODE, Chunk, StepPlan
from engine.request import Request
from engine.sampling import Sampling
from engine.system import parse_system

CONTEXT, BATCHES = 256, (1, 8, 32)
PROMPT, ANSWER = 64, 256
SYSTEMS = {"plain": "vllm", "vllm-spec-4": "vllm-spec-4", "adaserve": "adaserve"}
TARGET = DecoderConfig(
    vocabulary=4096, hidden=384, layers=6, heads=8, kv_heads=2, head_size=32, intermediate=1024, context=2048,
    tied_embeddings=True,
)
DRAFT = DecoderConfig(
    vocabulary=4096, hidden=128, layers=2, heads=4, kv_heads=2, head_size=32, intermediate=352, context=2048,
    tied_embeddings=True,
)


@dataclass
class Models:
    """``prompts``: token ids of ``PROMPT`` tokens each. ``random`` weights accept no drafts."""

    target: Decoder
    draft: Decoder
    prompts: list[list[int]]
    random: bool


class Silent:
    """An observer that remembers nothing."""

    def request_done(self, request: Request) -> None: ...

    def step_done(self, *arguments: object) -> None: ...


class Timed(Decoder):
    """A decoder that notes the seconds of its forwards, and so do its copies."""

    def __init__(self, decoder: Decoder):
        super().__init__(decoder.config, decoder.weights)
        self.seconds: list[float] = []

    def hidden(self, tokens: Tensor, positions: Tensor, attention: Attention) -> Tensor:
        return self._timed(super().hidden, tokens, positions, attention)

    def logits(self, hidden: Tensor) -> Tensor:
        return self._timed(super().logits, hidden)

    def _timed(self, run: Callable[..., Tensor], *arguments: object) -> Tensor:
        start = time.perf_counter()
        out = run(*arguments)
        self.seconds.append(time.perf_counter() - start)
        return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="fewer repeats and shorter answers")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    models = load()
    with torch.inference_mode():
        result = {
            "machine": f"{platform.processor() or platform.machine()}, {arguments.threads} threads, torch {torch.__version__}",
            "weights": "random" if models.random else "tiny",
            "decode": [decode_step(models.target, n, 20 if arguments.quick else 100) for n in BATCHES],
            "overhead": overhead(models.target, 32, 20 if arguments.quick else 150),
            "generation": generation(models, 2 if arguments.quick else 7, ANSWER // 4 if arguments.quick else ANSWER),
        }
    print(json.dumps(result) if arguments.json else table(result))


def load() -> Models:
    """The shipped pair with its held-out prompts, or random models of such shapes."""
    if not (TINY / "target").exists():
        target, draft = (Decoder(config, fresh_weights(config, seed)) for seed, config in enumerate((TARGET, DRAFT)))
        ids = torch.randint(TARGET.vocabulary, (8, PROMPT), generator=torch.Generator().manual_seed(0)).tolist()
        return Models(target, draft, ids, random=True)
    pair = load_pair("tiny")
    assert pair.draft is not None
    lines = gzip.decompress(Path(TINY / "prompts.jsonl.gz").read_bytes()).decode().splitlines()
    ids = [pair.tokenizer.encode(json.loads(line)["text"])[:PROMPT] for line in lines]
    long = [prompt for prompt in ids if len(prompt) == PROMPT]
    return Models(pair.target, pair.draft, long[:: max(1, len(long) // 12)], random=False)


def in_turns(repeats: int, candidates: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of every call after three to warm up, candidate after candidate in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats + 3):
        for name, call in candidates.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: some[3:] for name, some in seconds.items()}


def ratio(seconds: dict[str, list[float]], above: str, below: str) -> float:
    """Median over the rounds of what one took over what the other took in the same round."""
    return float(np.median(np.array(seconds[above]) / np.array(seconds[below])))


def decode_step(target: Decoder, n: int, repeats: int) -> dict[str, float]:
    """One token for each of ``n`` requests of ``CONTEXT`` tokens: the executor's step and a bare forward."""
    executor = NativeExecutor(target, None, Capacity(n * (CONTEXT + 32), n))
    batch = Batch()
    for i in range(n):
        request = asked(i, [(7 * i + place) % target.config.vocabulary for place in range(CONTEXT)], 99)
        executor.forward(StepPlan(prefill=[Chunk(request, 0, CONTEXT)]), Batch())
        request.produced, request.first_token_s = 1, 0.0
        batch.add(request)
    rows = executor.sequences.rows(batch.requests)
    lengths = executor.sequences.length[rows].copy()
    bare = BareDecoder(target, n, CONTEXT + 1)
    tokens = torch.zeros(n, dtype=torch.int64)

    def step() -> None:
        executor.forward(DECODE, batch)
        executor.sequences.length[rows] = lengths

    seconds = in_turns(repeats, {"bare": lambda: bare.step(tokens, CONTEXT), "step": step})
    return {
        "batch": n,
        "bare_ms": median(seconds["bare"]) * 1e3,
        "step_ms": median(seconds["step"]) * 1e3,
        "ratio": ratio(seconds, "step", "bare"),
    }


def overhead(target: Decoder, n: int, repeats: int) -> dict[str, float]:
    """Milliseconds that a whole step of ``n`` decoding requests takes beyond hidden states and logits."""
    timed = Timed(target)
    engine = an_engine(timed, None, "sarathi", n * 1024)
    for i in range(n):
        engine.submit(asked(i, [(7 * i + place) % target.config.vocabulary for place in range(CONTEXT)], repeats + 99))
    while len(engine.running.batch) < n:
        engine.step()
    steps, outside = [], []
    for _ in range(repeats):
        timed.seconds.clear()
        start = time.perf_counter()
        engine.step()
        steps.append(time.perf_counter() - start)
        outside.append(steps[-1] - sum(timed.seconds))
    return {"batch": n, "step_ms": median(steps) * 1e3, "overhead_ms": median(outside) * 1e3}


def generation(models: Models, repeats: int, answer: int) -> dict[str, float | None]:
    """Tokens a second of one request at a time, prompts in turn, ``answer`` new tokens after ``PROMPT``."""
    prompts = models.prompts[:repeats] if len(models.prompts) >= repeats else models.prompts * repeats
    engines = {name: an_engine(models.target, models.draft, system, 4096) for name, system in SYSTEMS.items()}
    serve: dict[str, Callable[[Sequence[int]], object]] = {
        name: lambda prompt, engine=engine: engine.run([asked(0, prompt, answer)])  # type: ignore[misc]
        for name, engine in engines.items()
    }
    peer = transformers_generate(models.target, answer)
    if peer is not None:
        serve["transformers"] = peer
    rates: dict[str, list[float]] = {name: [] for name in serve}
    for prompt in [prompts[0], *prompts[:repeats]]:
        for name, run in serve.items():
            start = time.perf_counter()
            run(prompt)
            rates[name].append(answer / (time.perf_counter() - start))
    found: dict[str, float | None] = {name: median(some[1:]) for name, some in rates.items()}
    return {"transformers": None, **found}


def transformers_generate(target: Decoder, answer: int) -> Callable[[Sequence[int]], object] | None:
    """transformers' own greedy generation with these weights, or None where it is not installed."""
    try:
        from transformers import LlamaConfig, LlamaForCausalLM
    except ImportError:
        return None
    table = to_huggingface(target.config, "float32")
    config = LlamaConfig(**{key: value for key, value in table.items() if key not in ("architectures", "model_type")})
    config.eos_token_id = None
    model = LlamaForCausalLM(config).eval()
    model.load_state_dict(to_state(target.config, target.weights), strict=False)
    model.generation_config.eos_token_id = None

    def run(prompt: Sequence[int]) -> None:
        out = model.generate(
            torch.tensor([list(prompt)]), attention_mask=torch.ones(1, len(prompt), dtype=torch.int64), do_sample=False,
            use_cache=True, max_new_tokens=answer, min_new_tokens=answer, pad_token_id=0,
        )
        assert out.shape[1] == len(prompt) + answer

    return run


def an_engine(target: Decoder, draft: Decoder | None, system: str, kv_tokens: int) -> Engine:
    policies = parse_system(system).build({})
    capacity = Capacity.of(kv_tokens, policies)
    executor = NativeExecutor(target, draft if policies.speculation else None, capacity)
    return Engine(policies, executor, BlockPool(kv_tokens, policies.batching.block_size), Silent())


def asked(id: int, prompt: Sequence[int], output: int) -> Request:
    return Request(id, "a", len(prompt), output, 0.0, prompt_ids=prompt, sampling=Sampling(ignore_stop=True))


def table(result: dict[str, object]) -> str:
    decode, extra, rates = result["decode"], result["overhead"], result["generation"]
    assert isinstance(decode, list) and isinstance(extra, dict) and isinstance(rates, dict)
    lines = [f"{result['machine']}; {result['weights']} weights", "", f"a decode step, context {CONTEXT}"]
    for row in decode:
        times = f"bare {row['bare_ms']:7.2f} ms  step {row['step_ms']:7.2f} ms  {row['ratio']:.2f}x"
        lines.append(f"  batch {row['batch']:>3}  {times}")
    beside = f"{extra['overhead_ms']:.2f} ms of them not the model's forward"
    lines += ["", f"a whole step of {extra['batch']}: {extra['step_ms']:.2f} ms, {beside}"]
    lines += ["", f"one request, {PROMPT} prompt tokens, greedy"]
    for name, rate in rates.items():
        lines.append(f"  {name:13} not installed" if rate is None else f"  {name:13} {rate:7.1f} tokens/s")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
