"""The two executors as stages of the same property: many random runs on the simulator, a few on a tiny pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from engine.batching import Batching
from engine.batching.slora import SLoRA
from engine.executors.base import Executor
from engine.executors.simulated.executor import SimulatedExecutor
from engine.kv_cache import BlockPool
from engine.ordering import Ordering
from engine.request import Request
from engine.roles import Policies
from tests.engine.executors.native.pairs import Pair, make_pair
from tests.engine.invariants.history import History
from tests.engine.strategies import ACCEPTANCE, COST, CheckedEngine


@dataclass(frozen=True)
class Stage:
    """``rarely``: one random workload here for so many of the simulator, but at least two."""

    name: str
    executor: Callable[[int], Executor]
    rarely: int = 1

    def holds(self, examples: int, check: Callable[..., None], *drawn: SearchStrategy[Any]) -> None:
        """Raise what ``check`` raises for one of the drawn arguments, of which the first are the smallest there are."""
        shown = 1 + max(2, examples // self.rarely)
        quiet = settings(max_examples=shown, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        quiet(given(*drawn)(check))()

    def serve(
        self,
        requests: Sequence[Request],
        ordering: Ordering,
        pool_tokens: int = 150,
        batching: Batching | None = None,
        late: Sequence[Request] = (),
        after: int = 1,
    ) -> History:
        """Serve copies of ``requests``, and of ``late`` ones that arrive when ``after`` steps are done, to the end.

        A request must never wait while the engine idles.
        """
        batching = batching or by_peak()
        history = History([copy(request) for request in requests], [copy(request) for request in late], after)
        pool = BlockPool(pool_tokens, batching.block_size)
        engine = CheckedEngine(Policies(ordering, batching), self.executor(pool_tokens), pool, history)
        history.submit = engine.submit
        engine.run(history.requests[: len(requests)])
        assert len(ordering) == 0 and pool.free == pool.capacity
        return history


def by_peak(decodes_between_admissions: int = 2) -> SLoRA:
    """The batching of VTC's paper: nobody is pre-empted, and the first that does not fit ends the pass."""
    return SLoRA(decodes_between_admissions, longest_request=60, adapter_tokens=0, poll_s=0.0, late_arrivals=False)


@cache
def _pair() -> Pair:
    return make_pair()


SIMULATED = Stage("simulated", lambda kv_tokens: SimulatedExecutor(COST, ACCEPTANCE, seed=0))
NATIVE = Stage("native", lambda kv_tokens: _pair().executor(kv_tokens), rarely=30)
