"""VTC: lifts and charges by hand, the heap against a plain search, and the paper's bound in the simulator."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batching.slora import SLoRA
from engine.ordering.fcfs import FCFS
from engine.ordering.vtc import VTC
from engine.request import WAITING, Request
from tests.engine.strategies import Log, make_request, serve, workloads


def admit_next(vtc: VTC) -> str:
    request = vtc.next(0.0)
    assert request is not None and vtc.next(0.0) is request
    vtc.on_admit(request, 0.0)
    return request.client


def test_the_client_with_the_least_counter_goes_next_and_pays_at_once() -> None:
    vtc = VTC()
    for client in "aaabb":
        vtc.enqueue(make_request(client=client, prompt=10))
    assert [admit_next(vtc) for _ in range(5)] == ["a", "b", "a", "b", "a"]
    assert vtc.counters == {"a": 30, "b": 20}


def test_a_tie_goes_to_the_client_seen_first() -> None:
    vtc = VTC()
    for client in "cab":
        vtc.enqueue(make_request(client=client))
    assert [admit_next(vtc) for _ in range(3)] == ["c", "a", "b"]


def test_tokens_are_charged_by_weight() -> None:
    vtc = VTC(w_p=3, w_q=5, weights={"b": 4})
    for client in "ab":
        vtc.enqueue(make_request(client=client, prompt=8))
    assert [admit_next(vtc), admit_next(vtc)] == ["a", "b"]
    vtc.on_tokens({"a": 1, "b": 1}, first=True, finished=0)
    vtc.on_tokens({"a": 2, "b": 1}, first=False, finished=1)
    assert vtc.counters == {"a": 3 * 8 + 5 * 3, "b": (3 * 8 + 5 * 2) / 4}


def test_a_client_that_comes_while_others_wait_is_lifted_to_their_least() -> None:
    vtc = VTC()
    for client, prompt in (("a", 100), ("b", 30), ("a", 1), ("b", 1)):
        vtc.enqueue(make_request(client=client, prompt=prompt))
    assert [admit_next(vtc), admit_next(vtc)] == ["a", "b"]
    vtc.enqueue(make_request(client="c"))
    assert vtc.counters == {"a": 100, "b": 30, "c": 30}
    vtc.enqueue(make_request(client="c"))
    assert vtc.counters["c"] == 30


def test_a_lift_never_lowers_a_counter() -> None:
    vtc = VTC()
    vtc.enqueue(make_request(client="a", prompt=100))
    admit_next(vtc)
    vtc.enqueue(make_request(client="b", prompt=1))
    vtc.counters["b"] = 40
    vtc.enqueue(make_request(client="a"))
    assert vtc.counters == {"a": 100, "b": 40}


@pytest.mark.parametrize(("lift_from_empty", "counter"), [(True, 60), (False, 0)])
def test_a_client_that_finds_nobody_waiting(lift_from_empty: bool, counter: float) -> None:
    vtc = VTC(lift_from_empty=lift_from_empty)
    vtc.enqueue(make_request(client="a", prompt=20))
    admit_next(vtc)
    vtc.on_tokens({"a": 20}, first=False, finished=0)
    vtc.enqueue(make_request(client="b"))
    assert vtc.counters == {"a": 60, "b": counter}


def test_the_lift_from_empty_is_to_the_last_client_that_left_the_queue() -> None:
    vtc = VTC()
    for client, prompt in (("a", 70), ("b", 50)):
        vtc.enqueue(make_request(client=client, prompt=prompt))
    assert [admit_next(vtc), admit_next(vtc)] == ["a", "b"]
    vtc.enqueue(make_request(client="c"))
    assert vtc.counters["c"] == 50


def test_a_preempted_request_waits_at_the_head_of_its_line_without_a_lift() -> None:
    vtc = VTC()
    first, second, other = make_request(0, "a"), make_request(1, "a"), make_request(2, "b", prompt=500)
    vtc.enqueue(first)
    admit_next(vtc)
    vtc.enqueue(second)
    vtc.enqueue(other)
    before = dict(vtc.counters)
    vtc.requeue(first)
    assert vtc.counters == before and len(vtc) == 3
    assert vtc.next(0.0) is first


def test_a_preempted_client_without_a_line_is_found_again() -> None:
    vtc = VTC()
    request = make_request()
    vtc.enqueue(request)
    admit_next(vtc)
    assert vtc.next(0.0) is None
    vtc.requeue(request)
    assert vtc.next(0.0) is request and len(vtc) == 1


@pytest.mark.parametrize(
    ("duplicate_charge", "a", "b"),
    [(False, 10 + 2 * 3, 10 + 2 * 5), (True, 10 + 2 * (2 + 1), 10 + 2 * (4 + 2))],
)
def test_what_outputs_cost_by_the_paper_and_by_the_artifact(duplicate_charge: bool, a: float, b: float) -> None:
    """The artifact charges L - 1 decode steps, and once more each step at which any request of the batch ends."""
    vtc = VTC(duplicate_charge=duplicate_charge)
    serve([make_request(0, "a", output=3), make_request(1, "b", output=5)], SLoRA(), vtc)
    assert vtc.counters == {"a": a, "b": b}


class PlainVTC:
    """VTC by searching every counter every time."""

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}
        self.lines: defaultdict[str, list[Request]] = defaultdict(list)
        self.last: str | None = None

    def least(self) -> str | None:
        waiting = [client for client in self.counters if self.lines[client]]
        return min(waiting, key=self.counters.__getitem__, default=None)

    def enqueue(self, request: Request, front: bool = False) -> None:
        client = request.client
        self.counters.setdefault(client, 0)
        if not self.lines[client] and not front:
            least = self.least() or self.last
            self.counters[client] = max(self.counters[client], self.counters.get(least or client, 0))
        self.lines[client].insert(0 if front else len(self.lines[client]), request)

    def admit(self) -> Request:
        client = self.least()
        assert client is not None
        self.counters[client] += self.lines[client][0].prompt_tokens
        if len(self.lines[client]) == 1:
            self.last = client
        return self.lines[client].pop(0)


EVENTS = st.lists(
    st.tuples(st.sampled_from(("arrive", "arrive", "admit", "admit", "tokens", "requeue")), st.sampled_from("abcde"),
              st.integers(1, 20)), max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(EVENTS)
def test_the_heap_finds_what_a_plain_search_finds(events: list[tuple[str, str, int]]) -> None:
    vtc, plain, admitted = VTC(), PlainVTC(), list[Request]()
    for i, (event, client, amount) in enumerate(events):
        if event == "arrive":
            request = make_request(i, client, prompt=amount)
            vtc.enqueue(request)
            plain.enqueue(request)
        elif event == "tokens" and client in plain.counters:
            vtc.on_tokens({client: amount}, first=False, finished=0)
            plain.counters[client] += 2 * amount
        elif event == "requeue" and admitted:
            request = admitted.pop()
            vtc.requeue(request)
            plain.enqueue(request, front=True)
        elif event == "admit" and (request_or_none := vtc.next(0.0)) is not None:
            assert request_or_none is plain.admit()
            vtc.on_admit(request_or_none, 0.0)
            admitted.append(request_or_none)
        least = plain.least()
        head = vtc.next(0.0)
        assert head is (None if least is None else plain.lines[least][0])
        assert vtc.counters == plain.counters
        assert len(vtc) == sum(len(line) for line in plain.lines.values())


class BacklogLog(Log):
    """Service of each client at the end of every step, and who still had requests waiting then."""

    def __init__(self, requests: list[Request]):
        super().__init__()
        self.requests = requests
        self.service: Counter[str] = Counter()
        self.history: list[tuple[Counter[str], set[str]]] = []

    def step_done(
        self, start_s: float, end_s: float, prompt: Mapping[str, int], output: Mapping[str, int], steps: int = 1,
        adapter: str | None = None,
    ) -> None:
        super().step_done(start_s, end_s, prompt, output)
        self.service.update(prompt)
        self.service.update({client: 2 * tokens for client, tokens in output.items()})
        backlogged = {r.client for r in self.requests if r.status == WAITING and r.arrival_s <= start_s}
        self.history.append((self.service.copy(), backlogged))

    def largest_gap(self, f: str, g: str) -> int:
        """The largest |W_f - W_g| over all intervals in which both were backlogged."""
        largest = low = high = 0
        for service, backlogged in self.history:
            if not {f, g} <= backlogged:
                low = high = service[f] - service[g]
                continue
            lead = service[f] - service[g]
            low, high = min(low, lead), max(high, lead)
            largest = max(largest, high - low)
        return largest


def bound(requests: list[Request], pool_tokens: int) -> int:
    """2U of the paper's Theorem 4.4, with w_p = 1 and w_q = 2."""
    return 2 * max(max(request.prompt_tokens for request in requests), 2 * pool_tokens)


@settings(max_examples=60, deadline=None)
@given(workloads(max_size=60, max_prompt=40, max_output=30, max_gap_s=0.03), st.integers(80, 200))
def test_backlogged_clients_stay_within_twice_u(requests: list[Request], pool_tokens: int) -> None:
    log = BacklogLog(requests)
    batching = SLoRA(adapter_tokens=2, longest_request=40, late_arrivals=False)
    serve(requests, batching, VTC(), pool_tokens=pool_tokens, log=log)
    for f, g in combinations("abc", 2):
        assert log.largest_gap(f, g) <= bound(requests, pool_tokens)


def overload(outputs: dict[str, int], each: int = 300) -> list[Request]:
    """All requests at the start, the first client's before the next one's."""
    rows = [(client, output) for client, output in outputs.items() for _ in range(each)]
    return [make_request(i, client, prompt=20, output=output) for i, (client, output) in enumerate(rows)]


@pytest.mark.parametrize(("ordering", "bounded"), [(VTC, True), (FCFS, False)])
def test_the_bound_tells_vtc_from_fcfs(ordering: type[VTC] | type[FCFS], bounded: bool) -> None:
    requests = overload({"a": 20, "b": 20})
    log = BacklogLog(requests)
    serve(requests, SLoRA(), ordering(), pool_tokens=400, log=log)
    assert (log.largest_gap("a", "b") <= bound(requests, 400)) is bounded


def test_weights_divide_the_service() -> None:
    weights = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    requests = overload(dict.fromkeys("abcd", 20), each=150)
    log = BacklogLog(requests)
    serve(requests, SLoRA(), VTC(weights=weights), pool_tokens=800, log=log)
    service = [service for service, backlogged in log.history if len(backlogged) == 4][-1]
    shares = [service[client] / weight for client, weight in weights.items()]
    assert max(shares) / min(shares) < 1.15
