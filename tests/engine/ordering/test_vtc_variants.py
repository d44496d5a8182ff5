"""LCF, weights, profiled cost and prediction, by hand and in the simulator."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from engine.batching.slora import SLoRA
from engine.ordering.mechanics.lines import ClientLine, Lines
from engine.ordering.vtc import VTC
from engine.ordering.vtc.cost import profiled
from engine.request import Request
from tests.engine.strategies import make_request, serve, workloads


def two() -> list[Request]:
    return [make_request(0, "a", output=3), make_request(1, "b", output=5)]


def test_an_oracle_charges_the_whole_answer_at_admission_and_nothing_after() -> None:
    vtc = VTC(predict="oracle")
    request = make_request(0, "a", prompt=10, output=7)
    vtc.enqueue(request)
    vtc.on_admit(request, 0.0)
    assert vtc.counters == {"a": 10 + 2 * 7}
    vtc.on_request_tokens([(request, 3, 1)], first=False, finished=0)
    assert vtc.counters == {"a": 10 + 2 * 7}


@pytest.mark.parametrize("variant", [{}, {"predict": "oracle"}, {"predict": "oracle", "spread": 0.9}, {"predict": "mean"}])
@pytest.mark.parametrize("cost", ["linear", "profiled"])
def test_whatever_was_predicted_the_true_cost_is_charged_in_the_end(variant: dict[str, object], cost: str) -> None:
    vtc = VTC(cost=cost, **variant)  # type: ignore[arg-type]
    serve([make_request(i, "ab"[i % 2], output=3 + i) for i in range(8)], SLoRA(), vtc)
    whole = {"linear": lambda p, q: p + 2.0 * q, "profiled": profiled}[cost]
    expected = {client: sum(whole(10, 3 + i) for i in range(8) if "ab"[i % 2] == client) for client in "ab"}
    assert vtc.counters == pytest.approx(expected)


def test_the_mean_of_a_clients_answers_counts_the_last_for_a_fifth() -> None:
    vtc = VTC(predict="mean")
    charged = []
    for i, output in enumerate((10, 20, 30)):
        request = make_request(i, "a", prompt=1, output=output)
        vtc.enqueue(request)
        before = vtc.counters["a"]
        vtc.on_admit(request, 0.0)
        charged.append((vtc.counters["a"] - before - 1) / 2)
        request.produced = output
        vtc.on_finish(request, 0.0)
    assert charged == [0, 10, 0.8 * 10 + 0.2 * 20]


def test_without_a_lift_a_client_keeps_what_it_did_not_use() -> None:
    lcf = VTC(lift=False)
    for i in range(3):
        lcf.enqueue(make_request(i, "a", prompt=50))
    for _ in range(2):
        request = lcf.next(0.0)
        assert request is not None
        lcf.on_admit(request, 0.0)
    lcf.enqueue(make_request(9, "b"))
    assert lcf.counters == {"a": 100, "b": 0}


@pytest.mark.parametrize("weights", ["a:0", "a:-1", {"a": 0.0}, "a", "a:x"])
def test_a_weight_must_be_a_number_above_0(weights: object) -> None:
    with pytest.raises(ValueError):
        VTC(weights=weights)  # type: ignore[arg-type]


def test_weights_may_be_text() -> None:
    assert VTC(weights="a:1;b:2.5").weights == {"a": 1, "b": 2.5}


def test_a_client_that_left_is_forgotten_once_its_return_would_lift_it_anyway() -> None:
    vtc = VTC()
    stay = [make_request(i, "stay", prompt=100) for i in range(3)]
    for request in stay:
        vtc.enqueue(request)
    for i in range(50):
        passing = make_request(10 + i, f"passing-{i}", prompt=1)
        vtc.enqueue(passing)
    for _ in range(53):
        request = vtc.next(0.0)
        assert request is not None
        vtc.on_admit(request, 0.0)
        vtc.on_finish(request, 0.0)
    late = make_request(99, "late", prompt=1)
    vtc.enqueue(late)
    assert vtc.next(0.0) is late
    assert len(vtc.counters) < 5


@given(workloads())
@settings(deadline=None, max_examples=40)
def test_forgetting_costs_a_client_nothing_but_its_place_among_equals(requests: list[Request]) -> None:
    """With places kept, the order in which requests enter is that of a VTC which remembers everyone."""

    class Elephant(VTC):
        def on_finish(self, request: Request, now: float) -> None:
            pass

    class Places(Lines):
        def __init__(self) -> None:
            super().__init__()
            self._first: dict[str, int] = {}

        def _see(self, client: str) -> ClientLine:
            line = super()._see(client)
            line.place = self._first.setdefault(client, line.place)
            return line

    class Forgetful(VTC):
        def __init__(self) -> None:
            super().__init__()
            self._lines = Places()
            self._counters = self._lines.counters

    orders = []
    for policy in (Forgetful(), Elephant()):
        fresh = [make_request(r.id, r.client, r.prompt_tokens, r.output_tokens, arrival_s=r.arrival_s) for r in requests]
        served = serve(fresh, SLoRA(), policy)
        orders.append([(request.id, request.admitted_s) for request in served.requests])
    assert orders[0] == orders[1]
