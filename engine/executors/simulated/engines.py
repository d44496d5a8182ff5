"""Which of the profiled engines a speculation policy belongs to, told by what it drafts and never by its name."""

from __future__ import annotations

from engine.progress import Progress
from engine.speculation.base import Speculation

PLAIN, CHAINS, TREES = ENGINES = ("plain", "chains", "trees")
BATCHES = (1, 4, 16, 64, 256)


def engine_of(speculation: Speculation | None) -> str:
    """PLAIN without speculation (vLLM V0, Sarathi-Serve); CHAINS where drafts are chains that are verified whole (vLLM V0);
    else TREES (AdaServe's engine).

    ``speculation`` is to be a fresh policy: it is asked what it drafts for batches of several sizes.
    """
    if speculation is None:
        return PLAIN
    shape = next((shape for n in BATCHES if (shape := speculation.shape(Progress.fresh(n))) is not None), None)
    return CHAINS if shape is not None and shape.whole and shape.width == 1 else TREES
