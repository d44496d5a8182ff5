"""Every test that asks for ``stage`` runs on both executors. One thread: the models here are far too small for two."""

from __future__ import annotations

import pytest
import torch

from tests.engine.invariants.stages import NATIVE, SIMULATED, Stage

torch.set_num_threads(1)


@pytest.fixture(params=[SIMULATED, NATIVE], ids=lambda stage: stage.name)
def stage(request: pytest.FixtureRequest) -> Stage:
    chosen: Stage = request.param
    return chosen
