"""Stand-ins for nvidia-smi: scripts that print what the real one prints."""

from __future__ import annotations

from pathlib import Path

import pytest

A100 = "NVIDIA A100-SXM4-80GB"
NO_FIELD = "echo 'Field \"compute_cap\" is not a valid field to query.'; exit 2"


def put_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str | None) -> None:
    """Makes ``folder`` the only one on PATH, with an nvidia-smi of this body, or none."""
    folder.mkdir(exist_ok=True)
    if body is not None:
        script = folder / "nvidia-smi"
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def smi(version: str = "550.54.14", cuda: str = "CUDA Version: 12.4", capability: str | None = "8.0") -> str:
    """Two A100s, of which a process holds the first. ``capability`` None: the driver does not know that field."""
    return f"""case "$1" in
    *compute_cap*) {NO_FIELD if capability is None else f"echo GPU-a, {capability}; echo GPU-b, {capability}"};;
    --query-gpu*) echo '0, GPU-a, {version}, 81920, 10500, {A100}'; echo '1, GPU-b, {version}, 81920, [N/A], {A100}';;
    --query-compute-apps*) echo 'GPU-a, 4242, 10480, /usr/bin/python3, serving';;
    '') echo '| NVIDIA-SMI {version}   Driver Version: {version}   {cuda} |';;
    esac"""


MISMATCH = "echo 'Failed to initialize NVML: Driver/library version mismatch'; echo 'NVML library version: 550.54'; exit 18"
NO_DEVICES = "echo 'No devices were found'; exit 6"
