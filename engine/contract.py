"""What a policy has to keep to, and whom to tell when it does not."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.request import Request

ROOT = Path(__file__).parent.parent
SHIPPED = frozenset(
    f"engine.{name}"
    for name in (
        "ordering.drr", "ordering.exfairs.policy", "ordering.fairserve.policy", "ordering.fcfs", "ordering.justitia",
        "ordering.mlfq", "ordering.priority", "ordering.que", "ordering.round_robin", "ordering.rpm", "ordering.slo_greedy",
        "ordering.vtc.policy", "ordering.vtc_artifact", "batching.sarathi", "batching.slora", "batching.vllm",
        "speculation.adaserve", "speculation.chain", "speculation.goodput", "speculation.specinfer",
        "adapters.credit", "adapters.merged", "adapters.one_at_a_time", "adapters.unmerged", "batching.orca",
        "placement.least_cost", "placement.migrating", "placement.proactive", "placement.static",
    )
)
"""Where the policies that come with the kit are; any other, in the same folders too, is watched while it runs."""


class ContractError(Exception):
    """A policy broke its contract: in ``hook`` it did ``what``."""

    def __init__(self, policy: object, hook: str, what: str):
        policy = getattr(policy, "inner", policy)
        super().__init__(f"{type(policy).__name__} {what} in {hook} ({place_of(policy, hook)})")
        self.policy = policy


def named(request: object) -> str:
    """A request as a sentence names it; anything else as what it is."""
    return f"request {request.id} of client {request.client}" if isinstance(request, Request) else repr(request)


def place_of(policy: object, hook: str) -> str:
    """Where the hook of a policy stands, or its class where that inherits the hook: "mine.py, line 12"."""
    found = inspect.unwrap(vars(type(policy)).get(hook, type(policy)))
    try:
        return f"{short_path(inspect.getsourcefile(found) or '?')}, line {inspect.getsourcelines(found)[1]}"
    except (OSError, TypeError):
        return type(policy).__module__


def short_path(file: str) -> str:
    """A file below the kit's root, or by its name alone."""
    path = Path(file)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def is_foreign(policy: object) -> bool:
    """Whether a policy does not come with the kit."""
    return type(policy).__module__ not in SHIPPED


def check_hooks(policy: object, contract: type[Any]) -> None:
    """ContractError when a hook of ``policy`` cannot be called as the ``contract`` calls it."""
    for hook, declared in vars(contract).items():
        if not inspect.isfunction(declared) or hook == "__init__":
            continue
        passed: Sequence[str] = list(inspect.signature(declared).parameters)[1:]
        try:
            inspect.signature(getattr(policy, hook)).bind(*passed)
        except TypeError as error:
            taken = ", ".join(("self", *passed))
            raise ContractError(policy, hook, f"cannot be called as {hook}({taken}): {error},") from None
