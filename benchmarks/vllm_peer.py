"""vLLM under the loads of benchmarks/gpu, where it is installed: random weights in Llama-3.1-8B's shape, bfloat16.

    python -m benchmarks.vllm_peer

A decode step is what 128 more answer tokens of a batch take, by 128; the median of three.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.gpu.card import CONTEXT, SHAPE
from benchmarks.gpu.steps import BATCHES, OFFLINE
from engine.models.config import to_huggingface

ANSWER = 129


def main() -> None:
    from vllm import LLM, SamplingParams

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(to_huggingface(SHAPE, "bfloat16")))
        llm = LLM(folder, load_format="dummy", skip_tokenizer_init=True, dtype="bfloat16", max_model_len=SHAPE.context,
                  gpu_memory_utilization=0.85, max_num_seqs=max(BATCHES), enable_prefix_caching=False)
    generator = torch.Generator().manual_seed(0)

    def seconds(requests: int, prompt: int, output: int) -> float:
        ids = torch.randint(10, SHAPE.vocabulary, (requests, prompt), generator=generator).tolist()
        settings: Any = SamplingParams(temperature=0, max_tokens=output, ignore_eos=True, detokenize=False)
        start = time.perf_counter()
        llm.generate([{"prompt_token_ids": tokens} for tokens in ids], settings, use_tqdm=False)
        return time.perf_counter() - start

    seconds(8, CONTEXT, 16)
    for n in BATCHES:
        took = median(seconds(n, CONTEXT, ANSWER) - seconds(n, CONTEXT, 1) for _ in range(3)) / (ANSWER - 1)
        print(json.dumps({"batch": n, "ms": round(took * 1e3, 3)}), flush=True)
    for requests, prompt, output in OFFLINE:
        took = seconds(requests, prompt, output)
        rate = round(requests * (prompt + output) / took)
        print(json.dumps({"requests": requests, "prompt": prompt, "output": output, "tokens_per_s": rate}), flush=True)


if __name__ == "__main__":
    main()
