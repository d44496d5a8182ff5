"""What of a device's memory is free."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Memory:
    """Bytes that nobody uses, and all there are."""

    free: int
    total: int


def memory_of(device: torch.device) -> Memory:
    """Of a GPU, once what it was told to do is done, or of the host."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return Memory(*torch.cuda.mem_get_info(device))
    page = os.sysconf("SC_PAGE_SIZE")
    return Memory(page * os.sysconf("SC_AVPHYS_PAGES"), page * os.sysconf("SC_PHYS_PAGES"))


def free_unused(device: torch.device) -> None:
    """Give the device the memory back that nothing refers to any more; graphs hold one another until they are collected."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
