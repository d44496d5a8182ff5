"""The native engine on one GPU: what the card can do, the kernels beside it, and steps of the whole engine.

    python -m benchmarks.gpu --out benchmarks/results/h100.json

Random weights in Llama-3.1-8B's shape, bfloat16. ``card``: read bandwidth and matrix rate. ``attention``: one layer's
attention beside the bytes that it must read. ``decode``: a step of the whole engine, host included, at a context of 512
tokens, beside the bytes of weights and cache. ``offline``: tokens a second of a load that is all there at once.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.attention import VERIFICATIONS, attention, flashinfer, tune
from benchmarks.gpu.card import SHAPE, card
from benchmarks.gpu.speculation import adaserve, verification
from benchmarks.gpu.steps import BATCHES, OFFLINE, decode, offline, profile
from engine.models.decoder import Decoder
from engine.models.weights import fresh_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--parts", default="attention,decode,eager,offline")
    asked_for = parser.parse_args()
    parts, found = asked_for.parts.split(","), card()
    read = found["read_TBps"] * 1e12
    print(json.dumps(found), flush=True)

    def note(part: str, row: dict[str, Any]) -> None:
        found.setdefault(part, []).append(row)
        print(part, {key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()}, flush=True)
        if asked_for.out:
            asked_for.out.write_text(json.dumps(found, indent=1) + "\n")

    with torch.inference_mode():
        if "attention" in parts:
            for shape in VERIFICATIONS:
                note("attention", attention("triton", *shape, read))
        if "flashinfer" in parts:
            for shape in VERIFICATIONS:
                note("flashinfer", flashinfer(*shape))
        if "tune" in parts:
            found["tune"] = tune(read)
        target = Decoder(SHAPE, fresh_weights(SHAPE, 0, torch.bfloat16, device="cuda"))
        if "decode" in parts:
            for n in BATCHES:
                note("decode", decode(target, n, read, True))
        if "eager" in parts:
            for n in (1, 32):
                note("decode", decode(target, n, read, False))
        if "profile" in parts:
            for n in (1, 8, 64):
                note("profile", profile(target, n, read))
        if "offline" in parts:
            for load in OFFLINE:
                note("offline", offline(target, *load))
        if "verification" in parts:
            note("verification", verification(target, 32, 8))
            note("verification", verification(target, 16, 16))
        if "adaserve" in parts:
            del target
            for n in (8, 32):
                note("adaserve", adaserve(n))


if __name__ == "__main__":
    main()
