"""Virtual token counter (Sheng et al., OSDI 2024): the client with the least service goes next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.horizon import ENDLESS, ONE_STEP, Horizon
from engine.ordering.base import Ordering
from engine.ordering.mechanics.giving_way import newest_of_last
from engine.ordering.mechanics.lines import Lines
from engine.ordering.mechanics.weights import add_exactly, check_token_weights, shares
from engine.ordering.vtc.cost import Cost, linear, profiled
from engine.ordering.vtc.predicting import Oracle, Predictor, RunningMean
from engine.request import Request


class VTC(Ordering):
    """A counter of service for each client; a line in order of arrival within a client.

    ``w_p`` and ``w_q`` weigh a prompt and an output token, or ``cost="profiled"`` takes the measured milliseconds.
    ``weights`` gives a client its share (default 1). ``predict`` charges the answer in advance: "oracle", off by at most
    ``spread`` of the length, or "mean" of the client's answers. ``lift=False`` never lifts: least counter first (LCF).
    The artifact deviates from the paper in two places, each a switch: ``lift_from_empty=False`` does not lift a client
    that comes while nobody waits; ``duplicate_charge=True`` charges a step before it runs (so not the first token) and
    again in full when a request ended in it.
    """

    def __init__(
        self,
        w_p: float = 1.0,
        w_q: float = 2.0,
        weights: Mapping[str, float] | str | None = None,
        lift: bool = True,
        lift_from_empty: bool = True,
        duplicate_charge: bool = False,
        cost: str = "linear",
        predict: str = "nothing",
        spread: float = 0.0,
        seed: int = 0,
    ):
        predictors: dict[str, Predictor | None] = {"nothing": None, "oracle": Oracle(spread, seed), "mean": RunningMean()}
        costs: dict[str, Cost] = {"linear": linear(w_p, w_q), "profiled": profiled}
        if cost not in costs or predict not in predictors or not 0 <= spread <= 1:
            raise ValueError(f"cost is one of {', '.join(costs)}, predict of {', '.join(predictors)}, spread from 0 to 1")
        for name, switch in (("lift", lift), ("lift_from_empty", lift_from_empty), ("duplicate_charge", duplicate_charge)):
            if not isinstance(switch, bool):
                raise ValueError(f"{name} is true or false, not {switch}")
        check_token_weights(w_p=w_p, w_q=w_q)
        self.w_p, self.w_q = w_p, w_q
        self.weights = shares(weights)
        self.lift, self.lift_from_empty, self.duplicate_charge = lift, lift_from_empty, duplicate_charge
        self.by_request = cost != "linear" or predict != "nothing"
        self._cost, self._predictor = costs[cost], predictors[predict]
        paid = [w / weight for weight in (1.0, *self.weights.values()) for w in (w_p, w_q)]
        self._exact = not self.by_request and add_exactly(*paid)
        self._ahead: dict[int, float] = {}
        self._lines = Lines(keep=not (lift and lift_from_empty))
        self._counters = self._lines.counters

    @property
    def counters(self) -> dict[str, float]:
        """What each client was charged."""
        return self._counters

    def enqueue(self, request: Request) -> None:
        lines, client = self._lines, request.client
        if self.lift and not lines.waits(client):
            least = lines.least()
            lines.lift(client, lines.counters[least] if least is not None else self._from_empty())
        lines.append(request)

    def requeue(self, request: Request) -> None:
        self._lines.prepend(request)

    def withdraw(self, request: Request, now: float) -> None:
        self._refund(request)
        self._lines.drop(request)

    def victim(self, running: Sequence[Request], waiting: Request | None, now: float) -> Request | None:
        """The newest request of the client that was charged most."""
        return None if waiting else newest_of_last(running, lambda request: self._counters[request.client])

    def next(self, now: float) -> Request | None:
        client = self._lines.least()
        return None if client is None else self._lines.head(client)

    def on_admit(self, request: Request, now: float) -> None:
        self._lines.admit(request)
        if not request.preemptions:
            ahead = self._predictor.predict(request) if self._predictor else 0.0
            if ahead:
                self._ahead[request.id] = ahead
            self._charge(request, self._cost(request.prompt_tokens, ahead))

    def on_tokens(self, by_client: Mapping[str, int], first: bool, finished: int) -> None:
        charge = self.w_q * self._times(first, finished) if self.duplicate_charge else self.w_q
        counters, weights = self._counters, self.weights
        if not weights:
            for client, tokens in by_client.items():
                counters[client] += charge * tokens
            return
        for client, tokens in by_client.items():
            counters[client] += charge * tokens / weights.get(client, 1.0)

    def on_request_tokens(self, produced: Iterable[tuple[Request, int, int]], first: bool, finished: int) -> None:
        times, cost, ahead = self._times(first, finished), self._cost, self._ahead
        for request, before, tokens in produced:
            after, predicted = before + tokens, ahead.get(request.id, 0.0)
            if after > predicted:
                p, paid = request.prompt_tokens, max(before, predicted)
                self._charge(request, times * (cost(p, after) - cost(p, paid)))

    def on_equal_tokens(self, by_client: Mapping[str, int], steps: int) -> None:
        if not self._exact:
            super().on_equal_tokens(by_client, steps)
            return
        counters, weights, charge = self._counters, self.weights, self.w_q * steps
        for client, tokens in by_client.items():
            counters[client] += charge * tokens / weights.get(client, 1.0)

    def horizon(self, by_client: Mapping[str, int]) -> Horizon:
        """Up to where the least counter may pass the next one, which grows too."""
        least = self._lines.least()
        if least is None:
            return ENDLESS
        if not self._exact:
            return ONE_STEP
        paid = self.w_q * by_client.get(least, 0) / self.weights.get(least, 1.0)
        second = self._lines.second() if paid else None
        if second is None:
            return ENDLESS
        return Horizon(max(1, int((self._counters[second] - self._counters[least]) / paid)))

    def on_finish(self, request: Request, now: float) -> None:
        if self._predictor:
            self._refund(request)
            self._predictor.learn(request, now)
        self._lines.end(request.client)

    def __len__(self) -> int:
        return len(self._lines)

    def _refund(self, request: Request) -> None:
        """Give back what was charged in advance for tokens that did not come."""
        ahead, p = self._ahead.pop(request.id, 0.0), request.prompt_tokens
        if ahead > request.generated:
            back = self._cost(p, ahead) - self._cost(p, request.generated)
            self._lines.lower(request.client, back / self.weights.get(request.client, 1.0))

    def _charge(self, request: Request, amount: float) -> None:
        self._counters[request.client] += amount / self.weights.get(request.client, 1.0)

    def _times(self, first: bool, finished: int) -> int:
        """How often the tokens of a step are charged."""
        return 1 if not self.duplicate_charge else 0 if first else 1 + (finished > 0)

    def _from_empty(self) -> float | None:
        return self._lines.last_counter() if self.lift_from_empty else None
