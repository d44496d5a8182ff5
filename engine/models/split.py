"""Which part of a decoder each of several ranks keeps, so that together they compute the whole.

Query, key, value, gate and up rows are split, and the columns of what follows them, so that a layer needs two sums over all
ranks. Heads stay with the KV head that they share. The rows of the head are split; embedding and norms are on every rank.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd

from engine.errors import InputError
from engine.models.config import DecoderConfig
from engine.models.weights import EMBEDDING, HEAD, expected_shapes

ROWS = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "lm_head")
COLUMNS = ("o_proj", "down_proj")
SHARED = ("kv_heads", "intermediate", "vocabulary")


@dataclass(frozen=True)
class Split:
    """The part of rank ``rank`` of ``of`` equal ones."""

    rank: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.of:
            raise ValueError(f"there is no rank {self.rank} of {self.of}")

    def part(self, size: int) -> slice:
        """The rank's of ``size`` rows, which ``of`` divides."""
        each = size // self.of
        return slice(self.rank * each, (self.rank + 1) * each)


UNSPLIT = Split()


@dataclass(frozen=True)
class Piece:
    """Rows and columns ``part`` of the tensor ``name`` of a checkpoint."""

    name: str
    part: tuple[slice, ...]


def split_config(config: DecoderConfig, split: Split) -> DecoderConfig:
    """The shape of a rank's part; its vocabulary is the whole one, though its head has only a part of the rows.

    InputError names a size that so many ranks cannot share, and the numbers of ranks that can.
    """
    of = split.of
    if of == 1:
        return config
    for size in SHARED:
        if getattr(config, size) % of:
            fit = gcd(*(getattr(config, size) for size in SHARED))
            counts = ", ".join(str(count) for count in range(1, fit + 1) if fit % count == 0)
            found = f"{size} {getattr(config, size)} is no multiple of {of}"
            raise InputError(f"{of} ranks cannot share the model: {found}; choose a number of ranks among {counts}.")
    return replace(
        config, heads=config.heads // of, kv_heads=config.kv_heads // of, intermediate=config.intermediate // of,
        tied_embeddings=False,
    )


def pieces(config: DecoderConfig, split: Split) -> dict[str, Piece]:
    """What a rank keeps of a checkpoint of shape ``config``, by the name of the tensor in its own weights."""
    whole = expected_shapes(config)
    found = {}
    for name in expected_shapes(split_config(config, split)):
        source = EMBEDDING if name == HEAD and config.tied_embeddings else name
        found[name] = Piece(source, _part(name, whole[source], split))
    return found


def _part(name: str, shape: tuple[int, ...], split: Split) -> tuple[slice, ...]:
    module = name.split(".")[-2]
    rows, *columns = (slice(0, size) for size in shape)
    if module in ROWS:
        return split.part(shape[0]), *columns
    if module in COLUMNS:
        return rows, split.part(shape[1])
    return rows, *columns
