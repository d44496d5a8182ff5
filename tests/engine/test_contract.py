"""A policy that breaks its contract is named with its file and line, never hangs and never passes silently."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest

from engine.audit import WatchedOrdering, WatchedSpeculation, watched_ordering
from engine.batching import Batching
from engine.batching.sarathi import Sarathi
from engine.batching.vllm import VLLM
from engine.blame import blame
from engine.contract import SHIPPED, ContractError
from engine.core import Engine
from engine.errors import InputError
from engine.executors.simulated.executor import SimulatedExecutor
from engine.kv_cache import BlockPool
from engine.ordering import ORDERINGS, Ordering
from engine.ordering.fcfs import FCFS
from engine.plan import DraftShape, StepPlan, TokenTrees
from engine.request import FINISHED
from engine.roles import ROLES, Policies
from engine.speculation.base import Speculation
from engine.speculation.chain import Chain
from engine.system import parse_system
from tests.engine.strategies import ACCEPTANCE, COST, Log, make_request, serve


class WrongSignature(FCFS):
    def on_admit(self, request):  # type: ignore[override]
        pass


class NamesNobody(FCFS):
    def next(self, now):
        return None


class KeepsWhatItServed(FCFS):
    def on_admit(self, request, now):
        pass


class ServesWhatItDropped(FCFS):
    def take_dropped(self):
        return [(self._line[0], "no reason")] if self._line else ()


class CountsClients(FCFS):
    def __len__(self):
        return len({request.client for request in self._line})


class CountsNobody(FCFS):
    def __len__(self):
        return 0


class GivesUpTheFirst(FCFS):
    """Drops the first request as it comes, and forgets of it if it is withdrawn before it was asked."""

    given_up = ()

    def on_arrival(self, request, now):
        reason = super().on_arrival(request, now)
        if request.id == 0:
            self._line.remove(request)
            self.given_up = [(request, "the first")]
        return reason

    def withdraw(self, request, now):
        if self.given_up:
            self.given_up = ()
        else:
            super().withdraw(request, now)

    def take_dropped(self):
        dropped, self.given_up = self.given_up, ()
        return dropped


class ChangesItsMind(FCFS):
    def next(self, now):
        self._line.rotate()
        return super().next(now)


class LosesAPreempted(FCFS):
    def requeue(self, request):
        pass


class NamesAStranger(FCFS):
    def victim(self, running, waiting, now):
        return make_request(99)


class PlansNothing(VLLM):
    def plan(self, running, draft, now):
        return StepPlan() if running.batch else super().plan(running, draft, now)


class Deaf(VLLM):
    def plan(self, running, draft, now):
        return None


class Orphans(Chain):
    def select(self, candidates, progress):
        selected = np.ones(candidates.probability.shape, bool)
        selected[:, 0] = False
        return TokenTrees(candidates, selected)


class Shallow(Chain):
    def shape(self, progress):
        return DraftShape(0, 1, len(progress))


class BeyondItsBudget(Chain):
    def shape(self, progress):
        return DraftShape(4, 1, len(progress) + 1, whole=True)


class Shortens(FCFS):
    """Makes the answer of whoever is next a token long."""

    def next(self, now):
        request = super().next(now)
        if request is not None:
            request.output_tokens = 1
        return request


class Relabels(FCFS):
    def on_admit(self, request, now):
        super().on_admit(request, now)
        request.client = "nobody"


class CountsBelowNothing(FCFS):
    def __len__(self):
        return -1


class DropsWithoutReason(FCFS):
    def take_dropped(self):
        return list(self._line)


class DropsNothingAtAll(FCFS):
    def take_dropped(self):
        return None


class RejectsWithoutReason(FCFS):
    def on_arrival(self, request, now):
        return ""


class TakesTheCountsAway(FCFS):
    def on_tokens(self, by_client, first, finished):
        by_client.clear()


class NeverAnswers(FCFS):
    def next(self, now):
        while True:
            pass


class NoShape(Chain):
    def shape(self, progress):
        return 4


class DraftsMoreThanItSays(Chain):
    def shape(self, progress):
        return DraftShape(40, 2, 10_000)


class NoSelection(Chain):
    def select(self, candidates, progress):
        return None


class WritesIntoProgress(Chain):
    def shape(self, progress):
        progress.generated[:] = 0
        return super().shape(progress)


def crowd():
    return [make_request(i, "ab"[i % 2], prompt=40, output=30) for i in range(6)]


def broken(policy: type[Ordering] | type[Batching] | type[Speculation]) -> str:
    """The sentence about a policy that is put among good ones, in a pool too small for all."""
    policies = Policies(FCFS(), VLLM(watermark=0.0))
    kinds = ((Ordering, "ordering"), (Batching, "batching"), (Speculation, "speculation"))
    setattr(policies, next(kind for base, kind in kinds if issubclass(policy, base)), policy())
    with pytest.raises(Exception) as caught:
        pool = BlockPool(208, 16)
        Engine(policies, SimulatedExecutor(COST, ACCEPTANCE, 0), pool, Log()).run(crowd())
    sentence = blame(caught.value)
    assert sentence is not None
    return sentence


@pytest.mark.parametrize(
    ("policy", "hook", "what"),
    [
        (WrongSignature, "on_admit", r"cannot be called as on_admit\(self, request, now\)"),
        (NamesNobody, "next", "names nobody although 6 requests"),
        (KeepsWhatItServed, "__len__|on_admit|next", "counts|does not wait"),
        (ServesWhatItDropped, "__len__", "counts 2 waiting requests where 1 wait after take_dropped"),
        (CountsClients, "__len__", r"counts \d waiting requests where \d wait"),
        (ChangesItsMind, "next", "and, asked again,"),
        (LosesAPreempted, "__len__", r"counts \d waiting requests where \d wait after requeue"),
        (NamesAStranger, "victim", "named request 99 of client a"),
        (PlansNothing, "plan", "planned a step without a token"),
        (Deaf, "plan", "plans no step|admits nobody"),
        (Orphans, "select", "selected an orphan"),
        (Shallow, "shape", "has no token"),
        (BeyondItsBudget, "select", "where its shape allows"),
        (Shortens, "next", "changed output_tokens of request 0 of client a from 30 to 1"),
        (Relabels, "on_admit", "changed client of request 0 of client nobody from a to nobody"),
        (CountsBelowNothing, "__len__", "counts no requests"),
        (DropsWithoutReason, "take_dropped", "which are no requests with reasons"),
        (DropsNothingAtAll, "take_dropped", "answered None, which are no requests with reasons"),
        (RejectsWithoutReason, "on_arrival", "answered '', which is neither None nor a sentence"),
        (TakesTheCountsAway, "on_tokens", "raised AttributeError"),
        (NeverAnswers, "next", "has not answered for 0.2 s"),
        (NoShape, "shape", "answered 4, which is no shape of a draft"),
        (DraftsMoreThanItSays, "shape", "drafts 80 tokens a request where its most_draft_tokens is"),
        (NoSelection, "select", "answered no selection over the candidates"),
        (WritesIntoProgress, "shape", "raised ValueError: assignment destination is read-only"),
    ],
)
def test_a_broken_contract_names_policy_hook_and_place(policy, hook, what, monkeypatch) -> None:
    monkeypatch.setattr("engine.audit.LATE_S", 0.2 if policy is NeverAnswers else 30.0)
    sentence = broken(policy)
    assert policy.__name__ in sentence and re.search(what, sentence) and re.search(hook, sentence)
    assert re.search(r"\([\w/.]+\.py, line \d+\)", sentence) and sentence.endswith("type the same command again.")


def test_a_wrong_count_is_found_where_nobody_has_to_wait() -> None:
    with pytest.raises(ContractError, match="counts 0 waiting requests where 1 wait after on_arrival"):
        serve(crowd()[:1], VLLM(), CountsNobody(), pool_tokens=2_000)


@pytest.mark.parametrize("withdrawn", [False, True])
def test_what_is_given_up_need_not_be_counted(withdrawn: bool) -> None:
    ordering, requests = watched_ordering(GivesUpTheFirst()), crowd()[:2]
    for request in requests:
        ordering.on_arrival(request, 0.0)
    if withdrawn:
        ordering.withdraw(requests[0], 0.0)
    assert list(ordering.take_dropped()) == ([] if withdrawn else [(requests[0], "the first")])
    assert len(ordering) == 1


def test_what_comes_with_the_kit_is_what_the_registries_hold() -> None:
    made = {make for role in ROLES for make in role.registry.values() if make is not None}
    assert {make.__module__ for make in made} == SHIPPED


def test_a_policy_beside_those_of_the_kit_is_watched() -> None:
    mine = type("Mine", (FCFS,), {"__module__": "engine.ordering.mine"})()
    assert isinstance(watched_ordering(mine), WatchedOrdering)
    assert type(watched_ordering(FCFS())) is FCFS and type(watched_ordering(FCFS(), always=True)) is WatchedOrdering


def test_what_is_no_policy_of_its_role_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ORDERINGS, "stranger", Chain)
    with pytest.raises(InputError, match=r"Chain is no ordering policy; derive it from engine\.ordering\.base\.Ordering"):
        parse_system("order=stranger").build({})


@pytest.mark.parametrize("batching", [VLLM, Sarathi])
def test_a_policy_that_keeps_it_is_served_as_the_packages_own(batching) -> None:
    class Mine(FCFS):
        pass

    records = []
    for ordering in (FCFS(), Mine()):
        served = serve(crowd(), batching(watermark=0.0), ordering, Chain(2), pool_tokens=208)
        assert {request.status for request in served.requests} == {FINISHED}
        records.append(served.records())
    assert records[0] == records[1]


def test_a_watched_policy_hears_of_every_hook() -> None:
    for watched, contract in ((WatchedOrdering, Ordering), (WatchedSpeculation, Speculation)):
        hooks = {name for name, hook in vars(contract).items() if callable(hook) or isinstance(hook, property)}
        unasked = {"horizon", "on_equal_tokens", "rule"}  # a watched policy decides at every step, and selects by itself
        assert {name for name in hooks if not name.startswith("__")} - unasked <= set(vars(watched))


def test_steps_without_a_token_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batching that prefills and pre-empts in turn makes no progress."""

    class Thrashes(VLLM):
        def plan(self, running, draft, now):
            plan = super().plan(running, draft, now)
            if plan and plan.prefill:
                chunk = plan.prefill[0]
                plan.prefill = [type(chunk)(chunk.request, chunk.done, 1)]
            else:
                plan = None
            for request in list(running.prefilling):
                if request.prefilled:
                    running.preempt(request)
            return plan or self.plan(running, draft, now)

    monkeypatch.setattr("engine.core.MOST_IDLE_STEPS", 50)
    with pytest.raises(ContractError, match="steps in a row that brought nobody a token"):
        serve([make_request(prompt=40, output=5)], Thrashes(watermark=0.0), pool_tokens=208)


def test_tokens_by_requests_and_by_steps_are_held_against_one_another() -> None:
    from exps.run.work import check_totals

    requests = pl.DataFrame({"client": ["a", "b"], "prompt_served": [5, 7], "output_tokens": [3, 4]})
    steps = pl.DataFrame({"client": ["a", "b", "a"], "prompt_tokens": [5, 7, 0], "output_tokens": [1, 4, 2]})
    check_totals(requests, steps, "vtc")
    with pytest.raises(ValueError, match="vtc: client a has 3 output_tokens by requests and 1 by steps"):
        check_totals(requests, steps.head(2), "vtc")
