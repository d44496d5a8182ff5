"""FairServe (Khan et al., arXiv 2411.15997): service by what applications need, throttling at the start of interactions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.horizon import ENDLESS, ONE_STEP, Horizon
from engine.ordering.base import Ordering
from engine.ordering.fairserve.normalised import CHARGES, TokenWeights, of_client, of_request
from engine.ordering.fairserve.rules import Rules
from engine.ordering.fairserve.throttle import Debts, Gate, Limits, Throttle
from engine.ordering.mechanics.giving_way import newest_of_last
from engine.ordering.mechanics.interactions import Interactions, UnderWay, goes_on, opens
from engine.ordering.mechanics.lines import Lines
from engine.request import Request

EXPECTED = ("expected_input", "expected_system", "expected_output")


class FairServe(Ordering):
    """The client with the least normalised service goes next, and whoever sent too much may lose an interaction.

    Takes the parameters of ``Rules``, and raises ValueError as it does.
    """

    def __init__(self, **parameters: Any):
        rules = self.rules = Rules(**parameters)
        self.by_request = rules.charge == "ratio"
        self._standard = of_request if rules.expected == "request" else of_client
        self._charge = CHARGES[rules.charge](self._standard, TokenWeights(rules.w_p, rules.w_s, rules.w_q))
        self._factors = rules.factors()
        limits = Limits(rules.limit, rules.app_limits)
        self._gate = Gate(limits) if rules.check == "arrival" else None
        self._rpm_debts = Debts() if rules.rpm_debt != "none" else None
        self._interaction_debts = Debts() if rules.interaction_debt else None
        counted = rules.check in ("overload", "always") or rules.interaction_debt
        self._throttle = Throttle(limits, rules.window_from_first) if counted else None
        self._lines = Lines(keep=not rules.lift_from_empty)
        self._counters = self._lines.counters
        self._interactions = Interactions(rules.interactions_by_number)
        self._under_way = UnderWay(self._lines, wanted=rules.prefer)
        self._token_prices: dict[int, float] = {}
        self._dropped: list[tuple[Request, str]] = []
        self._pass_is_over = False

    @property
    def needs(self) -> tuple[str, ...]:
        return EXPECTED if self._standard is of_request else ()

    @property
    def counters(self) -> dict[str, float]:
        """The normalised service that each client was charged."""
        return self._counters

    def on_arrival(self, request: Request, now: float) -> str | None:
        if self._standard(request) is None:
            return self._unknown(request)
        if fault := self._interactions.arrived(request):
            return fault
        if self._gate and (refused := self._gate.refuse(request, now, self._may_drop(request))):
            self._interactions.left(request)
            self._give_up(request, now)
            return refused
        if self._throttle:
            for client in self._throttle.arrived(request, now):
                self._forgive(client)
        self.enqueue(request)
        return None

    def _unknown(self, request: Request) -> str:
        """Why there is nothing to hold the request against."""
        if self._standard is of_request:
            return f"request {request.id} of client {request.client} has no expected lengths to be charged by"
        return f"client {request.client} has no number at the end of its name, by which the artifact knows expected lengths"

    def enqueue(self, request: Request) -> None:
        lines, client = self._lines, request.client
        if not lines.waits(client):
            least = lines.least()
            lines.lift(client, self._from_empty() if least is None else self._counters[least])
        lines.append(request)
        self._under_way.wait(client)

    def requeue(self, request: Request) -> None:
        if goes_on(request):
            self._under_way.end(request)
        self._lines.prepend(request)
        self._under_way.wait(request.client)

    def on_pass(self, now: float) -> None:
        self._pass_is_over = False
        self._under_way.on_pass()

    def next(self, now: float) -> Request | None:
        while not self._pass_is_over and (client := self._turn()) is not None:
            request = self._lines.head(client)
            if self._interactions.gave_up(request, now) and not request.preemptions:
                self._drop(request, f"an earlier call of interaction {request.interaction} was given up", now)
                self._pass_is_over = self.rules.drop_ends_pass and not self._lines.waits(client)
            elif self.rules.check == "always" and (reason := self._over_limit(request)):
                self._drop(request, reason, now)
                self._pass_is_over = self.rules.drop_ends_pass
            else:
                return request
        return None

    def on_admit(self, request: Request, now: float) -> None:
        if self._interaction_debts:
            self._step_back(request)
        self._lines.admit(request)
        if goes_on(request):
            self._under_way.start(request)
        if not request.preemptions:
            if self.by_request:
                prompt, token = self._charge.on_admit(request)
                self._pay(request.client, prompt)
                self._token_prices[request.id] = token * self._factors.get(request.client, 1.0)
            if self._rpm_debts and self.rules.rpm_debt == "repaid":
                self._rpm_debts.repay(request.client)

    def on_blocked(self, request: Request, now: float) -> None:
        self._step_back(request)
        if self._interaction_debts and not opens(request):
            self._interaction_debts.owe(request)
        if self.rules.check == "overload" and (reason := self._over_limit(request)) and not self._let_off(request):
            self._drop(request, reason, now)

    def horizon(self, by_client: Mapping[str, int]) -> Horizon:
        """Service that is charged at the end does not change whose turn it is before; debts grow with every pass."""
        indebts = self._rpm_debts is not None or self._interaction_debts is not None
        return ONE_STEP if len(self) and (self.by_request or indebts) else ENDLESS

    def on_request_tokens(self, produced: Iterable[tuple[Request, int, int]], first: bool, finished: int) -> None:
        times = 1 if not self.rules.duplicate_charge else 0 if first else 1 + (finished > 0)
        counters, prices = self._counters, self._token_prices
        for request, _, tokens in produced:
            counters[request.client] += times * tokens * prices[request.id]

    def on_finish(self, request: Request, now: float) -> None:
        self._settle(request)
        if goes_on(request):
            self._under_way.end(request)
        self._lines.end(request.client)
        self._leave(request, now)

    def withdraw(self, request: Request, now: float) -> None:
        if request.preemptions:
            self._settle(request)
        self._lines.drop(request)
        self._give_up(request, now)
        self._leave(request, now)

    def victim(self, running: Sequence[Request], waiting: Request | None, now: float) -> Request | None:
        """The newest request of the client with the most normalised service."""
        return None if waiting else newest_of_last(running, lambda request: self._counters[request.client])

    def take_dropped(self) -> list[tuple[Request, str]]:
        dropped, self._dropped = self._dropped, []
        return dropped

    def __len__(self) -> int:
        return len(self._lines)

    def _turn(self) -> str | None:
        """Whose turn it is; a client that must step back leaves it to the least served of the others."""
        first = self._first()
        if self._interaction_debts is None or first is None or not self._interaction_debts.of(first):
            return first
        least = self._lines.least()
        return (least if least != first else self._lines.second()) or first

    def _first(self) -> str | None:
        return self._under_way.least() or self._lines.least()

    def _step_back(self, request: Request) -> None:
        """The turn was taken: whoever left it to another client owes one less."""
        if self._interaction_debts and (first := self._first()) is not None and first != request.client:
            self._interaction_debts.repay(first)

    def _may_drop(self, request: Request) -> bool:
        return not request.preemptions and (self.rules.drop == "any" or opens(request))

    def _over_limit(self, request: Request) -> str | None:
        return self._throttle.exceeded(request) if self._throttle and self._may_drop(request) else None

    def _let_off(self, request: Request) -> bool:
        if self._rpm_debts is None or self._rpm_debts.of(request.client) > self.rules.limit:
            return False
        self._rpm_debts.owe(request)
        return True

    def _drop(self, request: Request, reason: str, now: float) -> None:
        self._lines.drop(request)
        self._give_up(request, now)
        self._leave(request, now)
        self._dropped.append((request, reason))

    def _give_up(self, request: Request, now: float) -> None:
        if self.rules.follow:
            self._interactions.give_up(request, now)

    def _leave(self, request: Request, now: float) -> None:
        self._interactions.left(request)
        if self._throttle:
            self._throttle.left(request, now)
        if self._rpm_debts:
            self._rpm_debts.left(request)
        if self._interaction_debts:
            self._interaction_debts.left(request)

    def _forgive(self, client: str) -> None:
        if self._rpm_debts:
            self._rpm_debts.forgive(client)
        if self._interaction_debts:
            self._interaction_debts.forgive(client)

    def _settle(self, request: Request) -> None:
        """Charge what is due at the end of an admitted request."""
        self._pay(request.client, self._charge.on_finish(request))
        if self.by_request:
            self._token_prices.pop(request.id, None)

    def _pay(self, client: str, amount: float) -> None:
        self._counters[client] += amount * self._factors.get(client, 1.0)

    def _from_empty(self) -> float | None:
        return self._lines.last_counter() if self.rules.lift_from_empty else None
