"""How the next token is chosen for a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sampling:
    """Temperature 0 is greedy. ``top_k`` 0 and ``top_p`` 1 keep every token; ``top_k`` cuts before ``top_p``.

    ``seed`` and the place in the answer decide every random draw, so that neither batching nor pre-emption changes the
    answer. ``stop_ids`` end the answer beside the model's own stop tokens; with ``ignore_stop`` nothing but its length
    ends it. ``logprobs`` tells the log-probability of each token with it, under the model's own distribution.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    stop_ids: tuple[int, ...] = ()
    ignore_stop: bool = False
    logprobs: bool = False

    def __post_init__(self) -> None:
        if not self.temperature >= 0 or min(self.top_k, self.seed) < 0 or not 0 < self.top_p <= 1:
            raise ValueError(f"not a way to sample: {self}")


GREEDY = Sampling()
