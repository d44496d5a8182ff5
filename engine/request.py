"""A request and what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.sampling import GREEDY, Sampling

WAITING, RUNNING, FINISHED, REJECTED = "waiting", "running", "finished", "rejected"
FAILED, UNFINISHED = "failed", "unfinished"


@dataclass(slots=True, eq=False)
class Request:
    """One call to the model.

    Lengths are in tokens and times in seconds on the engine's clock. ``output_tokens`` is where the answer ends: the
    true length in simulation, the cap on a real executor. ``slo_tpot_s`` is the longest acceptable mean gap between
    output tokens; None means no SLO. ``prompt_ids`` and ``sampling`` are for executors that compute tokens. Everything
    below ``sampling`` is written while it is served; ``output_ids`` when it leaves the executor.
    """

    id: int
    client: str
    prompt_tokens: int
    output_tokens: int
    arrival_s: float
    slo_tpot_s: float | None = None
    category: str | None = None
    app: str | None = None
    interaction: int | None = None
    call: int | None = None
    adapter: str | None = None
    replica: int = 0
    prompt_ids: Sequence[int] | None = None
    sampling: Sampling = GREEDY

    status: str = WAITING
    reason: str | None = None
    generated: int = 0
    prefilled: int = 0
    prompt_served: int = 0
    blocks: int = 0
    admitted_s: float | None = None
    first_token_s: float | None = None
    finished_s: float | None = None
    steps: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    preemptions: int = 0
    output_ids: Sequence[int] = ()

    @property
    def prefill_tokens(self) -> int:
        """Tokens to compute before the next output token: the prompt, and after a preemption the answer so far."""
        return self.prompt_tokens + self.generated
