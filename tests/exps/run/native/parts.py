"""A rank's part of the small pair. The ranks' processes import this file."""

from __future__ import annotations

from pathlib import Path

import torch

from engine.models.decoder import Decoder
from engine.models.pair import load_pair
from engine.models.split import Split


def part_of(split: Split, device: torch.device, folder: Path, **asked: str) -> Decoder:
    """What ``load_target`` gives for the pair that stands for the shipped one."""
    return load_pair(folder, split=split, device=device).target
