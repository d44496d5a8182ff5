"""What of a machine serves a model: the fewest GPUs of one kind that hold it, or what was asked for."""

from __future__ import annotations

import pytest

import hosting.device
from engine.errors import InputError
from hosting.device import CPU, Device, device_for, slug
from hosting.gpus import Driver, Gpu

GB = 10**9
H100 = "NVIDIA H100 80GB HBM3"


def gpu(index: int = 0, name: str = H100, capability: tuple[int, int] = (9, 0)) -> Gpu:
    return Gpu(index, name, 80 * GB, 0, capability)


@pytest.fixture
def machine(monkeypatch):
    def has(*gpus: Gpu, fault: str | None = None) -> None:
        monkeypatch.setattr(hosting.device, "driver_here", lambda: Driver("580", "13.0", gpus, fault))

    return has


@pytest.mark.parametrize(
    ("gigabytes", "asked", "hardware"),
    [
        (16, None, "h100-80gb-hbm3"), (60, None, "h100-80gb-hbm3"), (61, None, "2xh100-80gb-hbm3"),
        (141, None, "4xh100-80gb-hbm3"), (16, "cpu", "cpu"), (16, "gpu", "h100-80gb-hbm3"), (16, "4xgpu", "4xh100-80gb-hbm3"),
        (1, "1xgpu", "h100-80gb-hbm3"),
    ],
)
def test_the_fewest_gpus_that_hold_a_model(machine, gigabytes, asked, hardware):
    machine(*map(gpu, range(4)))
    assert device_for(gigabytes * GB, asked).hardware == hardware


def test_a_device_says_what_it_is(machine):
    machine(gpu(0), gpu(1))
    assert device_for(100 * GB, None) == Device("2xh100-80gb-hbm3", f"2 x {H100}", 2, "bfloat16", ranks=2)
    machine(gpu(0, "Tesla T4", (7, 5)))
    assert device_for(1 * GB, None) == Device("tesla-t4", "Tesla T4", 1, "float16")


def test_gpus_of_another_kind_are_left_out(machine):
    machine(gpu(0), gpu(1, "NVIDIA A10G"), gpu(2))
    assert device_for(100 * GB, None).gpus == 2


def test_a_model_that_no_number_of_gpus_holds_gets_them_all(machine):
    """What it lacks is told when it is loaded, with numbers."""
    machine(gpu(0))
    assert device_for(500 * GB, None).gpus == 1


def test_without_gpus_it_is_the_processor_unless_asked_otherwise(machine, monkeypatch):
    machine()
    assert device_for(16 * GB, None) == CPU
    with pytest.raises(InputError, match="1 GPU is wanted, and this machine has no NVIDIA GPU; use --device cpu"):
        device_for(16 * GB, "gpu")
    machine(gpu())
    with pytest.raises(InputError, match="4 GPUs are wanted, and this machine has 1 of one kind"):
        device_for(16 * GB, "4xgpu")
    machine(fault="nvidia-smi fails")
    with pytest.raises(InputError, match="nvidia-smi fails"):
        device_for(16 * GB, "gpu")
    monkeypatch.setattr(hosting.device, "driver_here", lambda: None)
    assert device_for(16 * GB, None) == CPU


@pytest.mark.parametrize("asked", ["cuda", "0xgpu", "", "gpus", "4x"])
def test_a_device_that_is_none_is_refused(asked):
    with pytest.raises(InputError, match="is not known; write cpu, gpu, or a number of GPUs as in 4xgpu"):
        device_for(0.0, asked)


def test_names_of_profiles():
    assert slug("NVIDIA \u00c9") == "gpu"
    assert slug("NVIDIA A100-SXM4-80GB") == "a100-sxm4-80gb" and slug("NVIDIA A10G") == "a10g"
