"""Files of a trained model, and the record of its training."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import tokenizers
import torch

from engine.models.config import DecoderConfig
from engine.models.decoder import Weights
from engine.models.loading import save_decoder

RECORD = "training.json"


def save(folder: Path, config: DecoderConfig, weights: Weights) -> None:
    """The model in bfloat16, as it ships."""
    folder.mkdir(parents=True, exist_ok=True)
    save_decoder(folder, config, weights, torch.bfloat16)


def record(folder: Path, section: str, facts: dict[str, Any]) -> None:
    """Puts ``facts`` under ``section`` of the training record."""
    path = folder / RECORD
    table = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    table[section] = facts
    path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def machine(device: str) -> dict[str, str]:
    """What the numbers were made on."""
    hardware = torch.cuda.get_device_name() if device != "cpu" else platform.machine() + " CPU"
    return {
        "hardware": hardware,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "tokenizers": tokenizers.__version__,
    }
