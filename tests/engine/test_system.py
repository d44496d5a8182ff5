"""Systems from text, and what a person hears who mistypes one."""

from __future__ import annotations

import pytest

from engine.batching.sarathi import Sarathi
from engine.batching.slora import SLoRA
from engine.batching.vllm import VLLM
from engine.errors import InputError
from engine.ordering.fcfs import FCFS
from engine.ordering.vtc import VTC
from engine.speculation.adaserve import AdaServe
from engine.speculation.chain import Chain
from engine.system import PRESETS, parse_system


@pytest.mark.parametrize(
    ("text", "ordering", "batching", "speculation"),
    [
        ("vllm", FCFS, VLLM, None),
        ("sarathi", FCFS, Sarathi, None),
        ("vllm-spec-6", FCFS, VLLM, Chain),
        ("adaserve", FCFS, Sarathi, AdaServe),
        ("vtc", VTC, SLoRA, None),
        ("fcfs", FCFS, SLoRA, None),
        ("order=vtc,spec=adaserve", VTC, Sarathi, AdaServe),
        ("adaserve,order=vtc(w_q=1)", VTC, Sarathi, AdaServe),
        ("order=vtc,spec=chain", VTC, SLoRA, Chain),
        ("order=vtc,batch=vllm", VTC, VLLM, None),
        ("vtc, spec=chain(tokens=2)", VTC, SLoRA, Chain),
        ("spec=off", FCFS, VLLM, None),
        ("adaserve,spec=off", FCFS, Sarathi, None),
    ],
)
def test_a_text_builds_its_policies(text: str, ordering: type, batching: type, speculation: type | None) -> None:
    system = parse_system(text)
    built = system.build({})
    assert system.name == text
    assert (type(built.ordering), type(built.batching)) == (ordering, batching)
    assert (None if built.speculation is None else type(built.speculation)) == speculation


@pytest.mark.parametrize("name", PRESETS)
def test_presets_build_and_keep_their_name(name: str) -> None:
    assert parse_system(f" {name} ").name == name
    PRESETS[name].build({})


def test_presets_speculate_as_far_as_their_name_says() -> None:
    lengths = []
    for n in (4, 6, 8):
        speculation = parse_system(f"vllm-spec-{n}").build({}).speculation
        assert isinstance(speculation, Chain)
        lengths.append(speculation.tokens)
    assert lengths == [4, 6, 8]


def test_parameters_arrive_with_their_types() -> None:
    system = parse_system("order=vtc(w_q=1.5, lift_from_empty=false,w_p=3),batch=sarathi(token_budget=99),spec=off")
    built = system.build({})
    ordering, batching = built.ordering, built.batching
    assert isinstance(ordering, VTC) and isinstance(batching, Sarathi)
    assert (ordering.w_p, ordering.w_q, ordering.lift_from_empty) == (3, 1.5, False)
    assert batching.token_budget == 99
    assert str(system.choices["ordering"]) == "vtc(w_q=1.5,lift_from_empty=false,w_p=3)"


def test_the_systems_own_parameters_go_before_the_deployments() -> None:
    policies = {"sarathi": {"token_budget": 7, "max_sequences": 5}}
    batching = parse_system("batch=sarathi(token_budget=99)").build(policies).batching
    assert isinstance(batching, Sarathi) and (batching.token_budget, batching.max_sequences) == (99, 5)


def test_every_build_is_fresh() -> None:
    system = parse_system("vtc")
    assert system.build({}).ordering is not system.build({}).ordering


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("vtx", r"unknown system 'vtx'; did you mean vtc\?"),
        ("", "unknown system ''; known: adaserve,"),
        ("vtx,spec=off", r"unknown system 'vtx'; did you mean vtc\?"),
        ("order=vtx", r"unknown ordering policy 'vtx'; did you mean vtc\?"),
        ("batch=slorra", r"unknown batching policy 'slorra'; did you mean slora or orca or sarathi\?"),
        ("spec=zzz", "unknown speculation policy 'zzz'; known: adaserve, chain,"),
        ("vtc,fcfs", "'fcfs' in system 'vtc,fcfs' is not a choice; write order=, batch=, spec=, adapters= or place=, as in"),
        ("ordering=vtc", "'ordering=vtc' in system 'ordering=vtc' is not a choice"),
        ("vtc,", "'' in system 'vtc,' is not a choice"),
        ("order=vtc(w_q=1", "is not a choice"),
        ("order=vtc(weights=a:1,weights=b:2)", "gives weights twice; keep one of the two"),
        ("order=vtc(5)", r"write parameters as name=value, as in order=vtc\(x=1\)"),
    ],
)
def test_a_wrong_text_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse_system(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("order=vtc(wq=1)", r"order=vtc\(wq=1\): got an unexpected keyword argument 'wq'"),
        ("spec=chain(tokens=0)", r"spec=chain\(tokens=0\): a chain of 0 draft tokens is not a chain; correct the"),
        ("spec=chain(tokens=four)", r"spec=chain\(tokens=four\): .*; correct the parameter"),
        ("spec=adaserve(depth=3)", r"spec=adaserve\(depth=3\): .*; correct the parameter"),
    ],
)
def test_a_wrong_parameter_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse_system(text).build({})
