"""Which SLOs of a trace nothing could keep."""

from __future__ import annotations

import polars as pl

from engine.executors.simulated.engines import engine_of
from engine.executors.simulated.profiles import Deployment
from engine.progress import Progress
from engine.speculation import Speculation
from exps.run.serving import Setup


def hopeless(timetable: pl.DataFrame, setup: Setup) -> str | None:
    """A sentence about requests whose SLO is below what the system could keep alone, and what that is; None without any."""
    deployment = setup.deployment()
    speculation = setup.system.build(setup.parameters(deployment)).speculation
    least_s = possible_tpot_s(deployment, setup.calibration, speculation)
    slos = timetable["slo_tpot_s"].drop_nulls()
    below = int((slos < least_s).sum())
    if not below:
        return None
    return (
        f"{below:,} of {slos.len():,} SLOs are below {1000 * least_s:.3g} ms a token, the least that {setup.system.name}"
        f" can do on {setup.hardware} for a request that is alone, with every draft accepted; the tightest is"
        f" {1000 * float(slos.min()):.3g} ms."  # type: ignore[arg-type]
    )


def possible_tpot_s(deployment: Deployment, calibration: str, speculation: Speculation | None) -> float:
    """Seconds a token of one request without context, all of whose draft tokens are accepted."""
    cost = deployment.step_cost(engine_of(speculation), calibration)
    shape = speculation.shape(Progress.fresh(1)) if speculation else None
    if shape is None or cost.draft is None:
        return cost.scale * cost.line(1) + cost.host_s
    drafting_s = cost.draft.seconds(shape.depth, shape.width, 0, 0, shape.eager)
    seconds = cost.line(min(shape.max_tokens, 1 + shape.depth)) + drafting_s
    return (cost.scale * seconds + cost.host_s) / (1 + shape.depth)
