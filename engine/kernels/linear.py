"""Matrix products of a decoder's weights with few rows.

On a CPU torch computes x @ weight.T several times slower than the memory allows when x has few rows. Two other ways to the
same product are faster there: oneDNN with the weight in its own layout, and, for one or two rows, weight @ x.T.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Linear = Callable[[Tensor, Tensor, Tensor | None], Tensor]
FEW = 2


def linear_for(weights: Iterable[Tensor]) -> Linear:
    """How to multiply with ``weights``, which must not change any more: (x, weight, bias) -> x @ weight.T + bias."""
    matrices = [weight for weight in weights if weight.dim() == 2]
    if all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in matrices) and _packs():
        return PackedLinear(matrices)
    return F.linear


class PackedLinear:
    """Keeps a copy of every weight [out, in] in oneDNN's layout, so it doubles the memory of the weights."""

    def __init__(self, weights: Iterable[Tensor]):
        self._packed = {id(weight): (weight, torch.ops.mkldnn._reorder_linear_weight(weight)) for weight in weights}

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """x [t, in] -> [t, out]; ``weight`` is one of those that were packed."""
        rows = x.shape[0]
        if not 0 < rows <= FEW:
            out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed[id(weight)][1], bias, "none", [], "")
            return out
        columns = (x if rows == FEW else torch.cat([x, x])).t()
        product = torch.mm(weight, columns)[:, :rows].t().contiguous()
        return product if bias is None else product + bias


def _packs() -> bool:
    """Whether this torch has oneDNN's packed products."""
    return torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_linear_pointwise")
