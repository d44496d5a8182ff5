"""Which draft tokens the target accepts, as measured on a pair of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.plan import Candidates, DraftShape, TokenTrees
from engine.request import Request

MISSED = -1


@dataclass(frozen=True, eq=False)
class Beams:
    """N beams of one width w that a draft model made, and what the target would have said.

    ``probability`` and ``parent`` [N, depth, w] as in Candidates; ``hit`` [N, depth] the place of the target's own token
    in each layer, MISSED from the first layer on that has it not; ``kind`` [N] the number of the text's kind.
    """

    probability: NDArray[np.float64]
    parent: NDArray[np.int64]
    hit: NDArray[np.int64]
    kind: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MeasuredAcceptance:
    """Beams by width, of texts of several ``kinds``."""

    kinds: tuple[str, ...]
    beams: Mapping[int, Beams]

    def sampler(self, seed: int) -> MeasuredSampler:
        """What draws from these beams."""
        return MeasuredSampler(self, seed)


class MeasuredSampler:
    """Draws beams that were measured on a request's kind of text, on any where its kind was not measured.

    The target's answer comes with the beam, so that chains, trees and every selection meet what was really accepted.
    """

    def __init__(self, acceptance: MeasuredAcceptance, seed: int):
        self._rng = np.random.default_rng(seed)
        self._acceptance = acceptance
        self._rows = {width: _by_kind(beams, len(acceptance.kinds)) for width, beams in acceptance.beams.items()}
        self._hit: NDArray[np.int64] = np.zeros((0, 0), np.int64)

    def draft_for(self, requests: Sequence[Request], shape: DraftShape) -> Candidates:
        """A measured beam for each request. InputError for a shape that was not measured."""
        beams = self._acceptance.beams.get(shape.width)
        if beams is None or shape.depth > beams.hit.shape[1]:
            raise InputError(
                f"the measured acceptance has no beams of depth {shape.depth} and width {shape.width};"
                " leave --acceptance out, or measure them with `cli.py profile`."
            )
        order, begin, count = self._rows[shape.width]
        known = {kind: number for number, kind in enumerate(self._acceptance.kinds)}
        everything = len(known)
        kinds = np.fromiter((known.get(request.category or "", everything) for request in requests), np.int64, len(requests))
        drawn = order[begin[kinds] + (self._rng.random(len(kinds)) * count[kinds]).astype(np.int64)]
        self._hit = beams.hit[drawn, : shape.depth]
        return Candidates(beams.probability[drawn, : shape.depth], beams.parent[drawn, : shape.depth])

    def accept(self, trees: TokenTrees) -> NDArray[np.int64]:
        """Draft tokens accepted for each request of the last draft."""
        inside = np.take_along_axis(trees.selected, np.maximum(self._hit, 0)[:, :, None], axis=2)[:, :, 0]
        return np.cumprod(inside & (self._hit != MISSED), axis=1).sum(axis=1)


def _by_kind(beams: Beams, kinds: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows sorted by kind, and where each kind begins and how many it has; the last kind is all of them."""
    order = np.argsort(beams.kind, kind="stable")
    count = np.bincount(beams.kind, minlength=kinds)
    begin = np.cumsum(count) - count
    empty = count == 0
    begin[empty], count[empty] = 0, len(order)
    return order, np.append(begin, 0), np.append(count, len(order))


def save_measured(path: Path, acceptance: MeasuredAcceptance) -> None:
    """Write beams as a compressed .npz of small numbers; the same beams give the same bytes."""
    arrays: dict[str, Any] = {"kinds": np.array(acceptance.kinds)}
    for width, beams in sorted(acceptance.beams.items()):
        arrays[f"probability_{width}"] = beams.probability.astype(np.float16)
        arrays[f"parent_{width}"] = beams.parent.astype(np.uint8)
        arrays[f"hit_{width}"] = beams.hit.astype(np.int8)
        arrays[f"kind_{width}"] = beams.kind.astype(np.uint8)
    np.savez_compressed(path, **arrays)


def load_measured(path: Path) -> MeasuredAcceptance:
    """Read what ``save_measured`` wrote. InputError when it is not that."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            widths = sorted(int(name.split("_")[1]) for name in arrays.files if name.startswith("hit_"))
            beams = {
                width: Beams(
                    _descending(arrays[f"probability_{width}"].astype(np.float64), arrays[f"parent_{width}"].astype(np.int64)),
                    arrays[f"parent_{width}"].astype(np.int64),
                    arrays[f"hit_{width}"].astype(np.int64),
                    arrays[f"kind_{width}"].astype(np.int64),
                )
                for width in widths
            }
            return MeasuredAcceptance(tuple(str(kind) for kind in arrays["kinds"]), beams)
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"{path} holds no measured acceptance; measure it again with `cli.py profile`.") from error


def _descending(probability: NDArray[np.float64], parent: NDArray[np.int64]) -> NDArray[np.float64]:
    """Undo what rounding to 16 bits did to the order: no child is likelier than its parent."""
    for layer in range(1, probability.shape[1]):
        above = np.take_along_axis(probability[:, layer - 1], parent[:, layer], axis=1)
        probability[:, layer] = np.minimum(probability[:, layer], above)
    return probability
