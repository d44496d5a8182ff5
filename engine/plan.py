"""What crosses between planning and execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.request import Request


@dataclass(frozen=True, slots=True)
class DraftShape:
    """How far the draft model looks ahead in a step: ``depth`` layers of at most ``width`` nodes a request.

    ``max_tokens`` bounds the tokens that the target will verify for the whole batch, roots included. ``whole`` promises
    that every draft token will be verified whatever its probability. Only then may an executor draw draft tokens from
    the draft's distribution: a choice that looked at what was drawn would no longer leave the target's distribution as
    it is. Otherwise drafts are the likeliest tokens. ``branching``: instead of a beam, each node of the layer above has
    this many children, its likeliest, layer by layer; a layer has at most ``width`` nodes. ``eager``: the engine that is
    modelled launches the draft's kernels one by one instead of replaying CUDA graphs, which simulated steps take longer for.
    """

    depth: int
    width: int
    max_tokens: int
    whole: bool = False
    branching: tuple[int, ...] | None = None
    eager: bool = False

    def __post_init__(self) -> None:
        if self.depth < 1 or self.width < 1:
            raise ValueError(f"a draft of depth {self.depth} and width {self.width} has no token; shape returns None for none")


@dataclass(frozen=True, slots=True)
class Candidates:
    """A beam of draft tokens for each of n requests: the candidate trees of AdaServe.

    ``probability[i, l, j]``: path probability from the root to node j of layer l, descending in j; 0 marks an empty place.
    ``parent[i, l, j]``: place in layer l - 1 of its parent (0 in the first layer, whose parent is the root).
    Children of one parent stand in the order of their rank.
    """

    probability: NDArray[np.float64]
    parent: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenTrees:
    """The nodes to verify: ``selected[i, l, j]`` over the candidates. A selected node's parent is selected.

    Why, for whoever watches: ``need`` [n] is how many tokens each request needs of this step to keep its SLO, and ``for_slo``
    are the selected nodes that it has for that; None where the policy has no such reasons.
    """

    candidates: Candidates
    selected: NDArray[np.bool_]
    need: NDArray[np.float64] | None = None
    for_slo: NDArray[np.bool_] | None = None

    def check(self) -> None:
        """Raise AssertionError unless every selected node hangs on a selected parent."""
        for layer in range(1, self.selected.shape[1]):
            parents = np.take_along_axis(self.selected[:, layer - 1], self.candidates.parent[:, layer], axis=1)
            assert not np.any(self.selected[:, layer] & ~parents), f"a node of layer {layer} has no selected parent"


@dataclass(frozen=True, slots=True)
class Selection:
    """AdaServe's choice of the nodes to verify (Algorithm 2) as a rule, for an executor that follows it where it drafts.

    ``need`` [n] tokens of each request. ``for_slo``: the neediest takes its likeliest nodes first (step 2), at most ``n_max``
    each and ``room`` in all; ``for_throughput``: what is left of the room goes to the likeliest of all (step 3).
    """

    need: NDArray[np.float64]
    room: int
    n_max: int
    for_slo: bool
    for_throughput: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """``tokens`` tokens of a request's prefill, after the ``done`` tokens that are in its KV cache already."""

    request: Request
    done: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Weights:
    """Which adapters' weights a step runs with.

    ``merged``: the one adapter that is folded into the base model's weights, which serve nobody else; None: each row's adapter
    is multiplied beside the base model. ``active``: adapters whose weights are on the device for it, in the order of their
    slots. ``folds``: how many adapters are added to the base weights or subtracted from them before the step.
    ``loads``: those that are copied to the device for it; ``reads``: those of them that come from the disk.
    """

    merged: str | None = None
    active: tuple[str, ...] = ()
    folds: int = 0
    loads: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


@dataclass(slots=True)
class StepPlan:
    """One step: chunks to prefill and, when ``decode``, one token or one tree for each of the batch's ``rows``, None for all.

    ``trees`` are over what was drafted; an executor that selects by itself fills them in. ``waits`` is how often a server
    waits for its model in such a step. ``weights`` None: the base model's
    alone.
    """

    prefill: Sequence[Chunk] = ()
    decode: bool = False
    draft: DraftShape | None = None
    trees: TokenTrees | None = None
    rows: NDArray[np.int64] | None = None
    waits: int = 1
    weights: Weights | None = None

    @property
    def adapter(self) -> str | None:
        """The adapter that the whole step is for, where one is merged."""
        return self.weights.merged if self.weights else None


@dataclass(slots=True)
class StepResult:
    """What a step took and gave.

    ``elapsed_s`` seconds on the executor's clock. ``accepted[i]`` tokens committed for row i of those that the step was
    over, bonus included, 0 for a row that failed; None means one each. ``ended``: by request id, answers that end with this
    step before their length does: None at a stop token, else the reason of the failure. ``tokens``: by request id, the token
    ids that the step adds to answers, None where the executor computes none. ``logprobs``: their log-probabilities, of the
    requests whose sampling asks for them.
    """

    elapsed_s: float
    accepted: NDArray[np.int64] | None = None
    ended: Mapping[int, str | None] | None = None
    tokens: Mapping[int, Sequence[int]] | None = None
    logprobs: Mapping[int, Sequence[float]] | None = None


DECODE = StepPlan(decode=True)

__all__ = ["DECODE", "Candidates", "Chunk", "DraftShape", "Selection", "StepPlan", "StepResult", "TokenTrees", "Weights"]
