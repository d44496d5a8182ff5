"""The upper and lower envelope of many curves, in n log n of their bends.

The curves of two owners are merged into the larger of the two, all pairs at once, until one is left. A merged curve keeps
the bends on which it lies, and where the two cross it has a bend of its own; what lies below is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exps.metrics.delivery import MOMENT_S, Array, Curves, Numbers

Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Polylines:
    """Corners of continuous curves, sorted by ``owner`` and ``at``; all begin and end at the same times."""

    owner: Numbers
    at: Array
    value: Array


def envelopes(curves: Curves, ticks_s: Array) -> tuple[Array, Array]:
    """The largest and the smallest of the curves at each tick."""
    lines = _polylines(curves)
    upper = _upper(lines)
    lower = _upper(Polylines(lines.owner, lines.at, -lines.value))
    return np.interp(ticks_s, upper.at, upper.value), -np.interp(ticks_s, lower.at, lower.value)


def _polylines(curves: Curves) -> Polylines:
    """A jump becomes a rise over the microsecond before it."""
    jumps = np.flatnonzero(curves.jump)
    first, last = curves.at_s.min(initial=0.0) - 1.0, curves.at_s.max(initial=0.0) + 1.0
    owners, ends = np.arange(curves.count), np.zeros(curves.count)
    ends[curves.owner] = curves.value
    owner = np.concatenate([owners, curves.owner, curves.owner[jumps], owners])
    before_s, rate = _before(curves)
    ahead = np.maximum(curves.at_s[jumps] - MOMENT_S, before_s[jumps])
    until_then = curves.value[jumps] - curves.jump[jumps] - rate[jumps] * (curves.at_s[jumps] - ahead)
    at = np.concatenate([np.full(curves.count, first), curves.at_s, ahead, np.full(curves.count, last)])
    value = np.concatenate([np.zeros(curves.count), curves.value, until_then, ends])
    order = np.lexsort((value, at, owner))
    return _distinct(Polylines(owner[order], at[order], value[order]))


def _before(curves: Curves) -> tuple[Array, Array]:
    """The time of the bend before each, within one curve, and the rate since then."""
    first = np.diff(curves.owner, prepend=-1) > 0
    before, rate = np.concatenate([[-np.inf], curves.at_s[:-1]]), np.concatenate([[0.0], curves.rate[:-1]])
    return np.where(first, -np.inf, before), np.where(first, 0.0, rate)


def _upper(lines: Polylines) -> Polylines:
    owners = int(lines.owner[-1]) + 1
    while owners > 1:
        alone = lines.owner == owners - 1 if owners % 2 else np.zeros(lines.owner.size, bool)
        merged = _larger_of_pairs(_part(lines, ~alone))
        rest = _part(lines, alone)
        lines = Polylines(
            np.concatenate([merged.owner, rest.owner // 2]),
            np.concatenate([merged.at, rest.at]),
            np.concatenate([merged.value, rest.value]),
        )
        owners = (owners + 1) // 2
    return lines


def _larger_of_pairs(lines: Polylines) -> Polylines:
    """The larger of the curves 0 and 1, 2 and 3, and so on."""
    order = np.lexsort((lines.owner, lines.at, lines.owner // 2))
    odd, at, own = (lines.owner % 2 == 1)[order], lines.at[order], lines.value[order]
    pair = lines.owner[order] // 2
    other = _of_other(odd, at, own)
    lead = np.where(odd, other - own, own - other)
    larger = np.maximum(own, other)
    crosses = np.flatnonzero((lead[:-1] * lead[1:] < 0) & (pair[:-1] == pair[1:]))
    share = lead[crosses] / (lead[crosses] - lead[crosses + 1])
    even = np.where(odd, other, own)
    crossing_at = at[crosses] + share * (at[crosses + 1] - at[crosses])
    crossing = even[crosses] + share * (even[crosses + 1] - even[crosses])
    seen = own >= other
    places = np.cumsum(seen)[crosses]
    return _distinct(
        Polylines(
            np.insert(pair[seen], places, pair[crosses]),
            np.insert(at[seen], places, crossing_at),
            np.insert(larger[seen], places, crossing),
        )
    )


def _of_other(odd: Truths, at: Array, value: Array) -> Array:
    """At each corner the value of the other curve of its pair, between its corners before and after.

    Both begin and end at the same times, so that there is one on each side, or one at the same time.
    """
    places, none = np.arange(odd.size), odd.size
    before, after = np.empty_like(places), np.empty_like(places)
    for theirs in (odd, ~odd):
        earlier = np.maximum.accumulate(np.where(theirs, places, -1))
        later = np.minimum.accumulate(np.where(theirs, places, none)[::-1])[::-1]
        before[~theirs], after[~theirs] = earlier[~theirs], later[~theirs]
    times, values = np.append(at, np.nan), np.append(value, np.nan)
    behind, ahead = at - times[before], times[after] - at
    share = np.divide(behind, ahead + behind, out=np.zeros_like(at), where=(ahead > 0) & (behind > 0))
    between = values[before] + share * (values[after] - values[before])
    return np.where(behind == 0, values[before], np.where(ahead == 0, values[after], between))


def _distinct(lines: Polylines) -> Polylines:
    """Of corners at one time of one curve the last."""
    keep = np.append((np.diff(lines.owner) != 0) | (np.diff(lines.at) != 0), True)
    return _part(lines, keep)


def _part(lines: Polylines, keep: Truths) -> Polylines:
    return Polylines(lines.owner[keep], lines.at[keep], lines.value[keep])
