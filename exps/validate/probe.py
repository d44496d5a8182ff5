"""How fast the machine is now, beside its profile."""

from __future__ import annotations

from exps.calibrate.measure import Bench
from exps.run.native.faults import Faults
from exps.run.native.models import unloaded_by_errors
from exps.run.serving import Setup

ROWS, CONTEXT, REPEATS = 4, 256, 100


def slowness(setup: Setup) -> float:
    """The time of a decode step over what the profile says of it: 1.2 is a machine that is 20 % slower than then."""
    deployment = setup.deployment()
    with unloaded_by_errors():
        bench = Bench(setup.model, setup.weights, setup.device, setup.execution, deployment.kv_tokens, REPEATS)
        with Faults(setup.model, setup.device, bench.loaded, drafts=False).told():
            step_s = bench.decode_s(ROWS, CONTEXT)
    cached = ROWS * (CONTEXT + REPEATS // 2)
    return step_s / (deployment.line(ROWS) + deployment.context_s * cached)
