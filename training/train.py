"""The target: next-token training on the corpus."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engine.models.config import DecoderConfig
from engine.models.decoder import Decoder, Weights
from engine.models.weights import fresh_weights
from training.dense import row_hidden
from training.optimise import Optimiser, share_of
from training.tokens import Stream, mixed_rows

SHARES = {"coding": 0.45, "chat": 0.2, "summarization": 0.35}


@dataclass(frozen=True)
class Settings:
    """How long and how fast. ``tokens`` are those of a step; rows are ``length`` tokens long, and ``long`` in the last
    ``long_share`` of the steps."""

    steps: int
    tokens: int = 131_072
    length: int = 1024
    long: int = 2048
    long_share: float = 0.25
    rate: float = 4e-3
    weight_decay: float = 0.1
    warmup: int = 100
    decay: float = 0.4
    seed: int = 1
    device: str = "cpu"
    compiled: bool = False

    def row_length(self, step: int) -> int:
        return self.long if step >= self.steps * (1 - self.long_share) else self.length

    def autocast(self) -> torch.autocast:
        """bfloat16 matrix products on a GPU, float32 on a CPU."""
        return torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.device != "cpu")


Loss = Callable[[Decoder, Tensor], Tensor]


def token_loss(decoder: Decoder, rows: Tensor) -> Tensor:
    """Mean cross-entropy of the next token over ``rows`` [rows, length + 1]."""
    logits = decoder.logits(row_hidden(decoder, rows[:, :-1]))
    return F.cross_entropy(logits.float(), rows[:, 1:].flatten())


def moved(weights: Weights, device: str | torch.device) -> Weights:
    """A copy of the weights elsewhere, as parameters (whose sizes a compiler may take as fixed); tied stay tied."""
    new = {id(tensor): torch.nn.Parameter(tensor.detach().to(device, copy=True)) for tensor in weights.tensors()}
    layers = []
    for layer in weights.layers:
        layers.append(replace(layer, **{name: new[id(tensor)] for name, tensor in vars(layer).items() if tensor is not None}))
    return Weights(new[id(weights.embedding)], layers, new[id(weights.norm)], new[id(weights.head)])


def train_target(
    config: DecoderConfig, streams: dict[str, Stream], held: dict[str, Stream], settings: Settings
) -> tuple[Weights, list[dict[str, float]]]:
    """Trained weights, and the log: step, training loss and held-out loss by kind."""
    generator = torch.Generator().manual_seed(settings.seed)
    decoder = Decoder(config, moved(fresh_weights(config, settings.seed), settings.device))
    optimiser = Optimiser(decoder.weights, settings.rate, settings.weight_decay)
    loss_of: Loss = torch.compile(token_loss, dynamic=True) if settings.compiled else token_loss
    log: list[dict[str, float]] = []
    began, every = time.monotonic(), max(1, settings.steps // 12)
    for step in range(settings.steps):
        length = settings.row_length(step)
        rows = mixed_rows(streams, SHARES, settings.tokens // length, length + 1, generator)
        with settings.autocast():
            loss = loss_of(decoder, rows)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step(share_of(step, settings.steps, settings.warmup, settings.decay))
        if (step + 1) % every == 0 or step == 0:
            seconds = time.monotonic() - began
            log.append({"step": step + 1, "loss": round(loss.item(), 4), **held_losses(decoder, held, settings)})
            print(f"target {log[-1]} {seconds:.0f} s", flush=True)
    return moved(decoder.weights, "cpu"), log


@torch.no_grad()
def held_losses(decoder: Decoder, held: dict[str, Stream], settings: Settings) -> dict[str, float]:
    """Mean loss of the next token on held-out rows, the same each time, by kind."""
    losses = {}
    for kind, stream in held.items():
        length = min(settings.length, len(stream.tokens) - 2)
        count = max(1, settings.tokens // 2 // length)
        rows = stream.rows(count, length + 1, torch.Generator().manual_seed(7), aligned=1.0)
        with settings.autocast():
            losses[kind] = round(token_loss(decoder, rows).item(), 4)
    return losses
