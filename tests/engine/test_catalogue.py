"""The table of the hub's models agrees with their profiles."""

from __future__ import annotations

import pytest

from engine.catalogue import DRAFTS, MODELS
from engine.executors.simulated.profiles import load_model, model_bytes


@pytest.mark.parametrize("name", MODELS)
def test_every_model_of_the_hub_has_a_profile_from_its_repository(name: str) -> None:
    assert load_model(name).source == f"config.json of {MODELS[name].repository}"
    assert model_bytes(name) == 2 * load_model(name).parameters


def test_drafts_are_smaller_models_of_the_table() -> None:
    assert DRAFTS == {"llama-3.1-70b": "llama-3.2-1b", "llama-3.1-8b": "llama-3.2-1b", "qwen2.5-32b": "qwen2.5-0.5b"}
    assert all(model_bytes(draft) < model_bytes(target) for target, draft in DRAFTS.items())
