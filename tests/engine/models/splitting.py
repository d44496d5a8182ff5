"""A rank's part of a decoder that is there whole, as loading and widening make it without the whole."""

from __future__ import annotations

from dataclasses import replace

from engine.models.decoder import Decoder
from engine.models.split import Split, pieces, split_config
from engine.models.weights import from_state, to_state


def split_decoder(decoder: Decoder, split: Split) -> Decoder:
    """A rank's part of a decoder that is there whole."""
    if split.of == 1:
        return decoder
    state, mine = to_state(decoder.config, decoder.weights), split_config(decoder.config, split)
    kept = {name: state[piece.name][piece.part].contiguous() for name, piece in pieces(decoder.config, split).items()}
    return Decoder(mine, replace(from_state(mine, kept), masked=decoder.weights.masked))
