"""Whose fault an exception is, so that a new policy's mistake reads as one."""

from __future__ import annotations

from types import FrameType, TracebackType

from engine.adapters import Adapters
from engine.batching import Batching
from engine.contract import ContractError, short_path
from engine.ordering import Ordering
from engine.placement import Placement
from engine.request import Request
from engine.speculation import Speculation

KINDS = (
    (Ordering, "ordering"), (Batching, "batching"), (Speculation, "speculation"), (Adapters, "adapters"),
    (Placement, "placement"),
)
MOST_LETTERS = 160
ADVICE = "correct the policy and type the same command again."


def blame(error: BaseException) -> str | None:
    """A sentence about the innermost policy that the exception passed through, or that broke its contract: which, where,
    at which request.

    None when it passed through none.
    """
    if isinstance(error, ContractError):
        kind = next(kind for base, kind in KINDS if isinstance(error.policy, base))
        return f"the {kind} policy {error}; {ADVICE}"
    frames = list(_frames(error.__traceback__))
    for frame, line in reversed(frames):
        for base, kind in KINDS:
            policy = frame.f_locals.get("self")
            if isinstance(policy, base) and not hasattr(policy, "inner"):
                what = ": ".join([type(error).__name__, *str(error).splitlines()[:1]])[:MOST_LETTERS]
                where = f"{short_path(frame.f_code.co_filename)}, line {line}"
                return (
                    f"the {kind} policy {type(policy).__name__} raised {what} in {frame.f_code.co_name} ({where})"
                    f" {_at([inner for inner, _ in frames])}; {ADVICE}"
                )
    return None


def _frames(traceback: TracebackType | None) -> list[tuple[FrameType, int]]:
    found = []
    while traceback is not None:
        found.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    return found


def _at(frames: list[FrameType]) -> str:
    """The request that the innermost frame with one had in hand."""
    for frame in reversed(frames):
        request = frame.f_locals.get("request")
        if isinstance(request, Request):
            return f"at request {request.id} of client {request.client}"
    return "with no request in hand"
