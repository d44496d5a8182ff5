"""A forward by pages and a dense mask says what the metadata says: attended densely, it is the reference's."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InputError
from engine.kernels.attention import kernels_named
from engine.kernels.pages import pages_of
from tests.engine.kernels.triton.forwards import DEVICE, PAGE, Forward, Sequence, batches, make


def densely(forward: Forward) -> torch.Tensor:
    """Attention of layer 1 by what ``pages_of`` says, over a cache that has the new keys and values already."""
    kv, found = forward.kv, pages_of(forward.metadata, PAGE)
    heads, kv_heads = forward.rotary.heads, forward.rotary.kv_heads
    q = forward.rotary.split(forward.stacked)[0]
    rows, out, at = kv.data[1].view(kv.blocks, PAGE, 2, kv_heads, kv.head_size), [], 0
    for i, last in enumerate(found.last.tolist()):
        pages = found.pages[found.first_page[i] : found.first_page[i + 1]].long()
        keys, values = rows[pages].flatten(0, 1)[: (len(pages) - 1) * PAGE + last].unbind(1)
        new, whole = int(found.first_query[i + 1] - found.first_query[i]), len(keys)
        sees = torch.ones(new, whole, dtype=torch.bool, device=DEVICE).tril(whole - new)
        if found.mask is not None:
            sees = found.mask[at : at + new * whole].view(new, whole)
            at += new * whole
        keys, values = (x.repeat_interleave(heads // kv_heads, 1).transpose(0, 1) for x in (keys, values))
        mine = q[found.first_query[i] : found.first_query[i + 1]].transpose(0, 1)
        attended = torch.nn.functional.scaled_dot_product_attention(mine[None], keys[None], values[None], attn_mask=sees)
        out.append(attended[0].transpose(0, 1).flatten(1))
    return torch.cat(out)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(batches, st.integers(0, 99))
def test_it_says_what_the_metadata_says(sequences: list[Sequence], seed: int) -> None:
    forward = make(sequences, 4, 2, 16, seed, torch.float32)
    want = kernels_named("reference").attention(forward.kv, forward.metadata)(1, forward.stacked.clone(), forward.rotary)
    torch.testing.assert_close(densely(forward), want, atol=2e-5, rtol=2e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="FlashInfer needs a GPU")
@pytest.mark.parametrize(
    "sequences", [[Sequence(40, 1)] * 3, [Sequence(0, 70), Sequence(30, 9)], [Sequence(40, 6, 6), Sequence(9, 1)]]
)
def test_flashinfer_is_the_reference(sequences: list[Sequence]) -> None:
    pytest.importorskip("flashinfer")
    forward = make(sequences, 4, 2, 128, 1, torch.bfloat16)
    got, want = (_attended(name, forward) for name in ("flashinfer", "reference"))
    assert (got - want).float().norm() < 0.01 * want.float().norm()


def _attended(name: str, forward: Forward) -> Any:
    attention = kernels_named(name).attention(forward.copy_of_cache(), forward.metadata)
    return attention(1, forward.stacked.clone(), forward.rotary)


def test_without_the_package_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flashinfer", None)
    monkeypatch.delitem(sys.modules, "engine.kernels.flashinfer", raising=False)
    with pytest.raises(InputError, match="flashinfer"):
        kernels_named("flashinfer")
