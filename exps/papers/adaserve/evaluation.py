"""What the figures of AdaServe's evaluation share: models, systems, rates."""

from __future__ import annotations

from exps.figures.figure import Platform

LLAMA = Platform("llama", "llama-3.1-70b", "4xa100-80g", "Llama-3.1-70B on 4 x A100-80G")
QWEN = Platform("qwen", "qwen2.5-32b", "2xa100-80g", "Qwen2.5-32B on 2 x A100-80G")
PLATFORMS = (LLAMA, QWEN)

ADASERVE = "adaserve"
STATIC = ("vllm-spec-4", "vllm-spec-6", "vllm-spec-8")
BASELINES = ("vllm", "sarathi", *STATIC)
SYSTEMS = (ADASERVE, *BASELINES)

RATES = {
    LLAMA.name: tuple(round(2.6 + 0.2 * i, 1) for i in range(12)),
    QWEN.name: tuple(round(2.4 + 0.2 * i, 1) for i in range(10)),
}
NAMES = {
    ADASERVE: "AdaServe", "sarathi": "Sarathi-Serve", "vllm": "vLLM", **{name: f"vLLM-Spec ({name[-1]})" for name in STATIC},
}
RPS = 4.0
SHARES = tuple(round(0.1 * i, 1) for i in range(1, 10))
SCALES = (0.6, 0.8, 1.0, 1.2, 1.4, 1.6)
CALIBRATIONS = ("scaled", "first-principles")


def of_each_model(values: tuple[float, ...]) -> dict[str, tuple[float, ...]]:
    """The same values of an axis for both models."""
    return {platform.name: values for platform in PLATFORMS}
