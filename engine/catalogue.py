"""The models of the hub that the engine can serve: where they are, and which draft guesses for which target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HubModel:
    """A repository ("organisation/name") of the hub; ``gated`` ones ask for a token whose owner was let in."""

    repository: str
    draft: str | None = None
    gated: bool = False


MODELS = {
    "llama-3.1-70b": HubModel("meta-llama/Llama-3.1-70B-Instruct", draft="llama-3.2-1b", gated=True),
    "llama-3.1-8b": HubModel("meta-llama/Llama-3.1-8B-Instruct", draft="llama-3.2-1b", gated=True),
    "llama-3.2-1b": HubModel("meta-llama/Llama-3.2-1B-Instruct", gated=True),
    "qwen2.5-32b": HubModel("Qwen/Qwen2.5-32B-Instruct", draft="qwen2.5-0.5b"),
    "qwen2.5-0.5b": HubModel("Qwen/Qwen2.5-0.5B-Instruct"),
}
DRAFTS = {name: model.draft for name, model in MODELS.items() if model.draft}
