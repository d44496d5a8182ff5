"""A kernel that cannot be compiled or launched, told by its name."""

from __future__ import annotations

from types import TracebackType

import torch

from engine.errors import KernelError

TRITON = "triton"
MOST_LETTERS = 200


def kernel_fault(error: BaseException) -> KernelError | None:
    """What to tell of an exception that Triton raised, None for any other."""
    if isinstance(error, KernelError | torch.OutOfMemoryError) or not _is_tritons(error):
        return None
    name = next(reversed(_kernels(error.__traceback__)), None)
    what = f"the Triton kernel {name}" if name else "a Triton kernel"
    return KernelError(f"{what} cannot run here ({type(error).__name__}: {_told(error)}); choose --attention reference.")


def _is_tritons(error: BaseException) -> bool:
    """Whether it was raised in Triton, as also what compilers and drivers say is."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    raised_in = "" if traceback is None else str(traceback.tb_frame.f_globals.get("__name__", ""))
    return TRITON in (raised_in.partition(".")[0], type(error).__module__.partition(".")[0]) or bool(
        _kernels(error.__traceback__)
    )


def _kernels(traceback: TracebackType | None) -> list[str]:
    """The kernels that it passed through, the outermost first."""
    found = []
    while traceback is not None:
        launched = traceback.tb_frame.f_locals.get("self")
        if type(launched).__module__.partition(".")[0] == TRITON and callable(kernel := getattr(launched, "fn", None)):
            found.append(str(getattr(kernel, "__name__", kernel)))
        traceback = traceback.tb_next
    return found


def _told(error: BaseException) -> str:
    """The last line in words of what it comes from: a compiler shows the source first."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if any(map(str.isalpha, line))]
    return lines[-1].rstrip(".")[:MOST_LETTERS] if lines else "without a word"
