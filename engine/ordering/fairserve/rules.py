"""What can be chosen about FairServe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from engine.ordering.mechanics.weights import shares

CHOICES = {
    "charge": ("whole", "ratio"),
    "expected": ("request", "client"),
    "check": ("never", "arrival", "overload", "always"),
    "drop": ("first", "any"),
    "rpm_debt": ("none", "kept", "repaid"),
}


@dataclass(frozen=True)
class Rules:
    """Service is charged by ``charge``: "whole" when a request ends, or "ratio" as its tokens come, both over what
    ``expected`` says, the "request" or the "client" (the artifact's table). Tokens weigh ``w_p``, ``w_s`` (of a system
    prompt) and ``w_q``; ``weights`` divide a client's charges and ``priorities`` multiply them. With ``prefer`` clients
    in the middle of an interaction go first.

    A client may send ``limit`` requests a minute, and with ``app_limits`` an application its own. ``check`` says when
    that matters: "never", at "arrival" (where accepted requests count), on "overload" (the next request does not fit) or
    "always". Only the "first" call of an interaction may be dropped, or "any"; with ``follow`` later calls go with it.
    A request that has run is never dropped. ``rpm_debt`` lets clients off until they owe more than ``limit``, which each
    admitted request repays by one ("repaid") or not ("kept"). With ``interaction_debt`` a client gives up its turn once
    for each later call of its own that did not fit.

    The artifact's flaws are off: ``lift_from_empty=False`` and ``duplicate_charge`` are VTC's; ``window_from_first``
    counts the minute after the first arrival ever; ``drop_ends_pass`` admits nobody after a drop for a limit, or one
    that emptied a line; ``interactions_by_number`` mixes up interactions of different clients.

    Raises ValueError for a value out of range.
    """

    charge: str = "whole"
    expected: str = "request"
    w_p: float = 1.0
    w_s: float = 1.0
    w_q: float = 2.0
    weights: Mapping[str, float] | str | None = None
    priorities: Mapping[str, float] | str | None = None
    prefer: bool = True
    limit: int = 180
    app_limits: bool = True
    check: str = "overload"
    drop: str = "first"
    follow: bool = True
    rpm_debt: str = "none"
    interaction_debt: bool = False
    lift_from_empty: bool = True
    duplicate_charge: bool = False
    window_from_first: bool = False
    drop_ends_pass: bool = False
    interactions_by_number: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value, wanted = getattr(self, field.name), type(field.default)
            if wanted is bool and not isinstance(value, bool):
                raise ValueError(f"{field.name} is true or false, not {value}")
            if wanted in (int, float) and type(value) not in (int, float):
                raise ValueError(f"{field.name} is a number, not {value}")
        for name, values in CHOICES.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} is one of {', '.join(values)}, not {getattr(self, name)}")
        if self.limit < 1:
            raise ValueError(f"limit must be at least 1, not {self.limit}")
        if min(self.w_p, self.w_s, self.w_q) < 0 or not max(self.w_p, self.w_s, self.w_q) > 0:
            raise ValueError("w_p, w_s and w_q must be at least 0, and one of them above")
        if self.rpm_debt != "none" and self.check != "overload":
            raise ValueError(f"rpm_debt={self.rpm_debt} needs check=overload, not {self.check}")

    def factors(self) -> dict[str, float]:
        """What a client's charges are multiplied by: priority over weight; clients that have neither are left out."""
        weights, priorities = shares(self.weights), shares(self.priorities)
        return {client: priorities.get(client, 1.0) / weights.get(client, 1.0) for client in {**weights, **priorities}}
