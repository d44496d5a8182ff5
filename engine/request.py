"""A request and what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.sampling import GREEDY, Sampling

WAITING, RUNNING, FINISHED, REJECTED = "waiting", "running", "finished", "rejected"
FAILED, ABORTED, UNFINISHED = "failed", "aborted", "unfinished"


@dataclass(frozen=True)
class Expected:
    """Usual lengths of an application's requests, in tokens: input beside the system prompt, system prompt, output."""

    input: float
    system: float
    output: float

    def __post_init__(self) -> None:
        if not min(self.input, self.system, self.output) > 0:
            raise ValueError(f"expected lengths must be above 0, not {self.input:g}, {self.system:g}, {self.output:g}")


class Rows(Protocol):
    """Where decoding requests keep their counts."""

    def generated_of(self, request: Request) -> int: ...


@dataclass(slots=True, eq=False)
class Request:
    """One call to the model.

    Lengths are in tokens and times in seconds on the engine's clock. ``output_tokens`` is where the answer ends: the
    true length in simulation, the cap on a real executor. ``slo_tpot_s`` is the longest acceptable mean gap between
    output tokens, ``slo_s`` the longest acceptable time from arrival to the end; None means no SLO. After ``patience_s`` from
    its arrival the client gives up, and what is not finished is aborted.

    ``call`` of ``calls`` (from 1) places it in its ``interaction`` (FairServe); ``system_tokens`` of the prompt are the
    application's; ``expected`` are the lengths that its application usually has; ``app_limit`` its requests a minute.
    ``prompt_ids`` and ``sampling`` are for executors that compute tokens. Everything below ``sampling`` is written
    while it is served (``swapped`` are its blocks in host memory): ``blocks``, ``produced``, ``steps``, the seconds of the
    steps that computed it (``computed_s``) and the draft tokens
    when it leaves the batch, in whose columns they stand while it decodes; ``output_ids`` when it leaves the executor.
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
    calls: int | None = None
    system_tokens: int = 0
    app_limit: int | None = None
    slo_s: float | None = None
    patience_s: float | None = None
    expected: Expected | None = None
    replica: int = 0
    prompt_ids: Sequence[int] | None = None
    sampling: Sampling = GREEDY

    status: str = WAITING
    reason: str | None = None
    produced: int = 0
    rows: Rows | None = None
    prefilled: int = 0
    prompt_served: int = 0
    blocks: int = 0
    swapped: int = 0
    admitted_s: float | None = None
    first_token_s: float | None = None
    finished_s: float | None = None
    steps: int = 0
    computed_s: float = 0.0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    preemptions: int = 0
    output_ids: Sequence[int] = ()

    @property
    def generated(self) -> int:
        """Output tokens so far, at any time."""
        return self.produced if self.rows is None else self.rows.generated_of(self)

    @property
    def prefill_tokens(self) -> int:
        """Tokens to compute before the next output token: the prompt, and after a preemption the answer so far."""
        return self.prompt_tokens + self.generated
