"""The next tokens of a step while they are still on their way, and the step after it that begins before they arrive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.request import Request

Ints = NDArray[np.int64]
ENOUGH, MEMORY = 0.9, 32
Wait = Callable[[torch.cuda.Event], None]


class NextTokens:
    """The likeliest tokens after logits [m, vocabulary]: ``tokens`` [m] on the device, and to ``read`` on the host.

    ``wait``: until the device is past an event (see Collectives).
    """

    def __init__(self, logits: Tensor, wait: Wait = torch.cuda.Event.synchronize):
        self.logits, self._wait = logits, wait
        self._arrived: torch.cuda.Event | None = None
        if logits.device.type == "cpu":
            best = (logits if logits.dtype in (torch.float32, torch.float64) else logits.float()).numpy()
            places = best.argmax(1)
            self.tokens, self._both = torch.from_numpy(places), (places, np.isfinite(best[np.arange(len(best)), places]))
            return
        most, self.tokens = logits.max(-1)
        both = torch.stack([self.tokens, most.isfinite().long()])
        there = torch.empty(both.shape, dtype=torch.int64, pin_memory=True).copy_(both, non_blocking=True)
        tokens, finite = there.numpy()
        self._both = tokens, finite.view(np.bool_)[::8]
        self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._arrived.record()

    def read(self) -> tuple[Ints, NDArray[np.bool_]]:
        """The tokens, and whether each row of logits is made of numbers; waits for them."""
        if self._arrived is not None:
            self._wait(self._arrived)
        return self._both


@dataclass(frozen=True, slots=True)
class Ahead:
    """A decode step that was begun for ``requests`` with ``context`` tokens each before it was planned."""

    places: dict[int, int]
    context: Ints
    following: NextTokens

    @classmethod
    def of(cls, requests: Sequence[Request], context: Ints, following: NextTokens) -> Ahead:
        return cls({request.id: place for place, request in enumerate(requests)}, context, following)

    def of_these(self, requests: Sequence[Request], context: Ints) -> Ints | None:
        """The places of ``requests``, None unless all are in it with as many tokens as they have."""
        found = np.fromiter((self.places.get(request.id, -1) for request in requests), np.int64, len(requests))
        if len(found) == 0 or (found < 0).any() or (self.context[found] != context).any():
            return None
        return found


class Habit:
    """Whether a step that is begun before it is planned is likely to be the one that is planned.

    Counted over the last steps, whether one was begun or not; a step that is thrown away holds up what was planned instead by
    all of its time, one that is used saves about a tenth of it.
    """

    def __init__(self) -> None:
        self._share = 1.0
        self._expected: dict[int, int] | None = None

    def expect(self, requests: Sequence[Request], context: Ints) -> bool:
        """The next step decodes ``requests``, if nothing comes between. True: begin it."""
        self._expected = _lengths(requests, context)
        return self._share >= ENOUGH

    def planned(self, requests: Sequence[Request], context: Ints) -> None:
        """The step after ``expect`` decodes these."""
        if self._expected is not None:
            came = self._expected == _lengths(requests, context)
            self._share += (came - self._share) / MEMORY
            self._expected = None


def _lengths(requests: Sequence[Request], context: Ints) -> dict[int, int]:
    return {request.id: length for request, length in zip(requests, context.tolist(), strict=True)}


def taken(tokens: Tensor, places: Ints) -> Tensor:
    """``tokens`` at ``places``, on the device."""
    if len(places) == 0 or (len(places) == places[-1] - places[0] + 1 and (np.diff(places) == 1).all()):
        first = int(places[0]) if len(places) else 0
        return tokens[first : first + len(places)]
    return tokens.index_select(0, torch.from_numpy(places).to(tokens.device))
