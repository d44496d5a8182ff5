"""What a request costs: h(p, q) of p prompt and q output tokens, not decreasing in either (Sheng et al., OSDI 2024, 3.1)."""

from __future__ import annotations

from collections.abc import Callable

Cost = Callable[[float, float], float]


def linear(w_p: float, w_q: float) -> Cost:
    """Weighted tokens."""
    return lambda p, q: w_p * p + w_q * q


def profiled(p: float, q: float) -> float:
    """Milliseconds of an A10G for Llama-2-7B in a full batch, as the artifact fitted them."""
    return 0.21001891 * p + 0.10075395 * q + 0.0039868 * p * q + 0.00324733 * q * q + 1.14601454
