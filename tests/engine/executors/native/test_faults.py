"""What goes wrong stays with the request that it goes wrong for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine.batching.sarathi import Sarathi
from engine.core import Engine
from engine.executors.native.executor import NOT_FINITE
from engine.kv_cache import BlockPool
from engine.models.decoder import Decoder
from engine.ordering.fcfs import FCFS
from engine.request import FAILED, FINISHED, REJECTED, RUNNING, WAITING, Request
from engine.roles import Policies
from engine.sampling import Sampling
from tests.engine.executors.native.pairs import CONFIG, Pair, answer, ask, assert_greedy, make_pair, policies, serve
from tests.engine.strategies import VOCABULARY, Log

UNTIED = replace(CONFIG, tied_embeddings=False)
PAIR = make_pair(UNTIED)
SYSTEMS = ["vllm", "sarathi", "vllm-spec-4", "adaserve", "order=vtc,spec=adaserve", "tree"]
BROKEN = 63


def prompt(id: int, length: int = 12, most: int = BROKEN) -> list[int]:
    return torch.randint(most, (length,), generator=torch.Generator().manual_seed(id)).tolist()


def broken(decoder: Decoder, token: int = BROKEN) -> Decoder:
    """The decoder with an embedding row that is not made of numbers."""
    embedding = decoder.weights.embedding.clone()
    embedding[token] = torch.nan
    return Decoder(decoder.config, replace(decoder.weights, embedding=embedding))


def says(request: Request, token: int = BROKEN) -> bool:
    """Whether plain decoding feeds ``token`` to the model."""
    return token in [*(request.prompt_ids or ()), *answer(PAIR, request)[:-1]]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_crowded_cache_preempts_and_loses_nobody(system: str) -> None:
    work = [ask(i, prompt(i, 10 + 5 * i), 40) for i in range(8)]
    serve(PAIR, work, system, pool_tokens=220)
    assert sum(request.preemptions for request in work) > 0
    for request in work:
        assert request.status == FINISHED
        assert_greedy(PAIR, request)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("chunked", [False, True])
def test_logits_that_are_not_numbers_fail_their_request_alone(system: str, chunked: bool) -> None:
    pair = Pair(broken(PAIR.target), PAIR.draft)
    work = [request for i in range(60) if not says(request := ask(i, prompt(i, 20), 12))][:10]
    bad = {request.id for request in work[2:7:2]}
    for place, request in enumerate(work[2:7:2]):
        request.prompt_ids = [BROKEN, *prompt(place, 19)] if place % 2 else [*prompt(place, 19), BROKEN]
    made = policies(system)
    if chunked:
        made.batching = Sarathi(token_budget=13, max_sequences=3)
    serve(pair, work, made, pool_tokens=160)
    for request in work:
        if request.id in bad:
            assert (request.status, request.reason) == (FAILED, NOT_FINITE)
            assert request.generated == 0 and list(request.output_ids) == []
        else:
            assert request.status == FINISHED
            assert_greedy(PAIR, request)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_broken_token_fails_whoever_says_it_and_no_one_who_only_drafts_it(system: str) -> None:
    work = [ask(i, prompt(i, 12, VOCABULARY), 30) for i in range(12)]
    said = [token for request in work for token in answer(PAIR, request)[1:-1]]
    token = max(set(said), key=lambda token: abs(said.count(token) - 4) * -1)
    pair = Pair(broken(PAIR.target, token), PAIR.draft)
    doomed = [request for request in work if says(request, token)]
    assert 0 < len(doomed) < len(work)
    serve(pair, work, system, pool_tokens=300)
    for request in work:
        if request not in doomed:
            assert request.status == FINISHED
            assert_greedy(PAIR, request)
            continue
        assert (request.status, request.reason) == (FAILED, NOT_FINITE)
        if token not in (request.prompt_ids or ()):
            plain = answer(PAIR, request)
            assert list(request.output_ids) == plain[: plain.index(token) + 1]
            assert request.generated == len(request.output_ids)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_broken_draft_fails_nobody(system: str, temperature: float) -> None:
    pair = Pair(PAIR.target, broken(PAIR.draft, 18))
    work = [ask(i, prompt(i), 30, Sampling(temperature, seed=i, ignore_stop=True)) for i in range(8)]
    work[3].prompt_ids = [18, *prompt(3, 11)]
    serve(pair, work, system, pool_tokens=200)
    for request in work:
        assert request.status == FINISHED and request.reason is None
        if temperature == 0:
            assert_greedy(PAIR, request)


def test_a_draft_that_is_all_broken_leaves_sampling_as_it_is() -> None:
    """Every draft token is then the ranked token 0, which is accepted as often as the target says it."""
    draft = Decoder(UNTIED, replace(PAIR.draft.weights, norm=PAIR.draft.weights.norm * torch.nan))
    work = [ask(i, prompt(0), 3, Sampling(1.0, seed=i, ignore_stop=True)) for i in range(300)]
    plain = [ask(i, prompt(0), 3, Sampling(1.0, seed=i + 300, ignore_stop=True)) for i in range(300)]
    serve(Pair(PAIR.target, draft), work, "vllm-spec-4")
    serve(PAIR, plain, "vllm")
    often = [sum(request.output_ids[1] == 0 for request in some) for some in (work, plain)]
    assert sum(request.accepted_tokens for request in work) == often[0]
    assert abs(often[0] - often[1]) < 4 * (max(often) + 1) ** 0.5


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_does_not_fit_the_context_is_rejected_with_its_reason(system: str) -> None:
    work = [ask(0, prompt(0, 200), 57), ask(1, prompt(1, 200), 56)]
    serve(PAIR, work, system)
    assert (work[0].status, work[0].reason) == (REJECTED, "257 tokens do not fit the model's context of 256")
    assert work[1].status == FINISHED
    assert_greedy(PAIR, work[1])


@pytest.mark.parametrize("token", [-1, 10**6])
def test_a_token_the_model_does_not_know_is_rejected_with_its_reason(token: int) -> None:
    work = [ask(0, [*prompt(0), token], 5), ask(1, prompt(1), 5)]
    serve(PAIR, work, "vllm")
    assert work[0].status == REJECTED
    assert f"token {token} of the prompt is not in the model's vocabulary" in str(work[0].reason)
    assert work[1].status == FINISHED


def cut(tokens: list[int], stops: set[int]) -> list[int]:
    """Up to and with the first stop token."""
    return next((tokens[: place + 1] for place, token in enumerate(tokens) if token in stops), tokens)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("by_model", [False, True])
def test_a_stop_token_ends_the_answer(system: str, by_model: bool) -> None:
    stops = {40, 33}
    pair = stopping(stops) if by_model else PAIR
    sampling = Sampling() if by_model else Sampling(stop_ids=tuple(stops))
    work = [ask(i, prompt(i), 40, sampling) for i in range(10)]
    wanted = [cut(answer(PAIR, request), stops) for request in work]
    assert min(len(some) for some in wanted) == 1 and len({len(some) for some in wanted}) > 3
    serve(pair, work, system, pool_tokens=400)
    for request, tokens in zip(work, wanted, strict=True):
        assert request.status == FINISHED and request.reason is None
        assert list(request.output_ids) == tokens and request.generated == len(tokens)


def stopping(stops: set[int]) -> Pair:
    config = replace(UNTIED, stop_ids=tuple(stops))
    return Pair(Decoder(config, PAIR.target.weights), PAIR.draft)


def test_a_stop_token_ends_an_answer_inside_an_accepted_path() -> None:
    pair = Pair(PAIR.target, PAIR.target)
    request = ask(0, prompt(0), 40)
    plain = answer(PAIR, request)
    place = next(place for place in range(6, 40) if plain[place] not in plain[:place] and place % 9 in (3, 4, 5))
    request.sampling = Sampling(stop_ids=(plain[place],))
    serve(pair, [request], "vllm-spec-8")
    assert list(request.output_ids) == plain[: place + 1]


def test_ignore_stop_ignores_every_stop_token() -> None:
    work = [ask(i, prompt(i), 40, Sampling(stop_ids=(33,), ignore_stop=True)) for i in range(10)]
    serve(stopping({46}), work, "adaserve")
    for request in work:
        assert request.generated == 40
        assert_greedy(PAIR, request)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_same_workload_gives_the_same_tokens(system: str) -> None:
    runs = []
    for _ in range(2):
        work = [ask(i, prompt(i), 30, Sampling(i % 2 * 0.9, seed=i, ignore_stop=True)) for i in range(6)]
        for request in work:
            request.slo_tpot_s = None
        serve(PAIR, work, system, pool_tokens=200)
        runs.append([list(request.output_ids) for request in work])
    assert runs[0] == runs[1]


def test_without_speculation_batching_does_not_change_a_sampled_answer() -> None:
    def answers(batching: Sarathi, pool_tokens: int) -> list[list[int]]:
        work = [ask(i, prompt(i, 20), 30, Sampling(0.8, top_p=0.95, seed=i, ignore_stop=True)) for i in range(8)]
        serve(PAIR, work, Policies(FCFS(), batching), pool_tokens)
        return [list(request.output_ids) for request in work]

    alone = answers(Sarathi(max_sequences=1), 4000)
    assert answers(Sarathi(token_budget=17, block_size=4), 4000) == alone
    assert answers(Sarathi(token_budget=100), 150) == alone


def test_another_seed_gives_another_answer() -> None:
    work = [ask(i, prompt(0), 30, Sampling(1.0, seed=i, ignore_stop=True)) for i in range(4)]
    serve(PAIR, work, "sarathi")
    assert len({tuple(request.output_ids) for request in work}) == 4


def test_a_run_stopped_by_the_clock_leaves_the_others_where_they_are() -> None:
    """What was answered by then is right, and another run goes on from there."""
    executor, log = PAIR.executor(), Log()
    engine = Engine(policies("vllm-spec-4"), executor, BlockPool(4000), log)
    work = [ask(i, prompt(i), 200) for i in range(5)]
    engine.run(work, until_s=executor.clock.now + 0.03)
    assert {request.status for request in work} <= {RUNNING, WAITING, FINISHED}
    assert not all(request.status == FINISHED for request in work)
    engine.check()
    engine.run()
    for request in work:
        assert request.status == FINISHED
        assert_greedy(PAIR, request)


@pytest.mark.parametrize("spoil", [torch.nan, torch.inf])
def test_a_released_request_leaves_no_trace_in_its_blocks(spoil: float) -> None:
    executor = PAIR.executor(64)
    engine = Engine(policies("vllm-spec-4"), executor, BlockPool(64), Log())
    first, second = ask(0, prompt(0), 30), ask(1, prompt(1), 30)
    engine.submit(first)
    for _ in range(3):
        engine.step()
    row = executor.sequences.rows([first])[0]
    held = executor.sequences.table[row, : executor.sequences.held[row]]
    for runner in executor.runners():
        kv = runner.kv
        kv.data.unflatten(1, (kv.blocks, -1))[:, torch.from_numpy(held)] = spoil
    engine.run([second])
    assert first.status == FAILED
    assert second.status == FINISHED
    assert_greedy(PAIR, second)
