"""The beam on the device is the beam on the host."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import engine.executors.native.drafting as drafting
from engine.executors.native.beams import Beam, DeviceBeam, HostBeam
from engine.kernels.beams import expand, likeliest
from engine.plan import DraftShape
from engine.roles import Policies
from engine.speculation.adaserve import AdaServe
from engine.speculation.chain import Chain
from tests.engine.executors.native.pairs import ask, assert_greedy, make_pair, policies, serve

PAIR = make_pair()


def never(event: object) -> None:
    raise AssertionError("nothing is waited for on a CPU")


def grown(beam: Beam, layers: list[torch.Tensor]) -> list[tuple[np.ndarray, np.ndarray]]:
    """What each next forward would get: tokens and mask."""
    seen = []
    for logits in layers:
        beam.grow(logits)
        tokens, mask = beam.on_device
        seen.append((beam.tokens.ravel() if tokens is None else tokens.numpy(),
                     beam.mask.reshape(beam.tokens.size, -1) if mask is None else mask.numpy()))
    return seen


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 12), st.sampled_from([torch.float32, torch.bfloat16]), st.data())
def test_on_the_device_as_on_the_host(n: int, depth: int, width: int, dtype: torch.dtype, data: st.DataObject) -> None:
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    sizes = [n] + [n * width] * (depth - 1)
    layers = [torch.randn(size, 40, generator=generator).mul(4).to(dtype) for size in sizes]
    if data.draw(st.booleans()):
        layers[-1][0] = float("nan")
    shape = DraftShape(depth, width, 999)
    beams: list[Beam] = [HostBeam(n, shape), DeviceBeam(n, shape, torch.device("cpu"), expand, never)]
    on_host, on_device = (grown(beam, layers) for beam in beams)
    for (tokens, mask), (theirs, their_mask) in zip(on_host, on_device, strict=True):
        np.testing.assert_array_equal(tokens, theirs)
        if width > 1:
            np.testing.assert_array_equal(mask, their_mask)
    for ours, theirs in zip(*(beam.read() for beam in beams), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_static_tree_has_all_children_of_the_nodes_above_and_nobody_else() -> None:
    each = (2, 1, 3)
    shape = DraftShape(3, 6, 999, branching=each)
    generator = torch.Generator().manual_seed(0)
    layers = [torch.randn(size, 40, generator=generator) for size in (2, 12, 12)]
    beam = HostBeam(2, shape)
    for logits in layers:
        beam.grow(logits)
    paths, parents, tokens = beam.read()
    above, nodes = np.ones((2, 1)), 1
    for layer, (logits, children) in enumerate(zip(layers, each, strict=True)):
        chance, likely = (part.view(2, -1, children)[:, :nodes] for part in logits.double().softmax(-1).topk(children))
        nodes *= children
        want = (above[:, :, None] * chance.numpy()).reshape(2, nodes)
        np.testing.assert_allclose(paths[:, layer, :nodes], want, rtol=1e-5)
        np.testing.assert_array_equal(tokens[:, layer, :nodes], likely.reshape(2, nodes))
        np.testing.assert_array_equal(parents[:, layer, :nodes], [np.arange(nodes) // children] * 2)
        assert not paths[:, layer, nodes:].any()
        above = want


@pytest.mark.parametrize("speculation", [Chain(4), AdaServe(budget=24), AdaServe(budget=60, width=(3, 3))])
def test_a_run_on_the_device_is_one_on_the_host(speculation: object, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def on_device(n: int, shape: DraftShape, *rest: object) -> DeviceBeam:
        made.append(shape)
        return DeviceBeam(n, shape, torch.device("cpu"), expand, never)

    monkeypatch.setattr(drafting, "HostBeam", on_device)
    requests = [ask(i, range(5 * i, 5 * i + 20), 15) for i in range(4)]
    base = policies("sarathi")
    serve(PAIR, requests, Policies(base.ordering, base.batching, speculation))
    assert made
    for request in requests:
        assert_greedy(PAIR, request)


@given(st.integers(0, 99), st.sampled_from([torch.float32, torch.bfloat16]))
def test_what_is_proposed_is_at_most_certain(seed: int, dtype: torch.dtype) -> None:
    """All of a vocabulary, so that rounding alone could make more of it."""
    logits = torch.randn(5, 12, generator=torch.Generator().manual_seed(seed)).mul(3).to(dtype)
    _, chance = likeliest(logits, 12)
    sums = chance.sum(1)
    assert (sums <= 1 + 1e-12).all() and (sums > 0.999).all()
