"""What is found of drivers and GPUs, with scripts in the place of nvidia-smi."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import InputError
from hosting.gpus import (
    NEWEST_CAPABILITY,
    OLDEST_CAPABILITY,
    OLDEST_DRIVER,
    OWN_BRANCH,
    STARTED_BRANCHES,
    Driver,
    Gpu,
    Process,
    check_driver,
    dotted,
    driver_note,
    find_driver,
    gpu_fault,
    gpu_note,
)
from tests.hosting.smi import A100, MISMATCH, NO_DEVICES, put_smi, smi

GIB = 2**30


@pytest.fixture
def find(tmp_path, monkeypatch) -> Callable[[str | None], Driver | None]:
    """Looks for the driver where this script is nvidia-smi."""

    def look(body: str | None) -> Driver | None:
        put_smi(tmp_path / "bin", monkeypatch, body)
        return find_driver()

    return look


def refusal(driver: Driver | None) -> str:
    with pytest.raises(InputError) as caught:
        check_driver(driver)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_without_nvidia_smi_there_is_no_driver(find):
    assert find(None) is None
    assert "install driver 550 or newer" in refusal(None)


def test_gpus_come_with_memory_capability_and_the_processes_that_hold_them(find):
    driver = find(smi())
    held = Process(4242, "/usr/bin/python3, serving", 10480 * 2**20)
    assert driver == Driver(
        "550.54.14",
        "12.4",
        (
            Gpu(0, A100, 80 * GIB, 10500 * 2**20, (8, 0), (held,)),
            Gpu(1, A100, 80 * GIB, None, (8, 0)),
        ),
    )
    assert driver_note(driver) is None
    check_driver(driver)


def test_new_drivers_call_the_version_of_cuda_by_another_name(find):
    assert find(smi("610.43.02", "CUDA UMD Version: 13.3")).cuda == "13.3"


def test_a_driver_too_old_for_the_image_is_refused_with_what_would_make_it(find):
    driver = find(smi("470.182.03", "CUDA Version: 11.4", capability=None))
    assert [gpu.capability for gpu in driver.gpus] == [None, None]
    assert refusal(driver) == (
        "NVIDIA driver 470.182.03 is older than 525.60.13, which CUDA 12.4 needs; update the driver to 550 or newer."
    )


@pytest.mark.parametrize(
    ("version", "refused", "noted"),
    [
        ("525.60.12", True, False),
        ("525.60.13", False, True),
        ("535.183.01", False, True),
        ("550.40.07", False, False),
        ("580.65", False, False),
        ("[N/A]", False, False),
    ],
)
def test_drivers_between_the_limits_serve_by_compatibility(version, refused, noted):
    driver = Driver(version, None, (Gpu(0, A100, None, None, None),))
    assert ("minor-version compatibility" in (driver_note(driver) or "")) == noted
    if refused:
        refusal(driver)
    else:
        check_driver(driver)


def test_a_branch_on_which_the_base_image_does_not_start_is_noted():
    assert "starts on 525 and 535 and from 550 on" in (driver_note(Driver("545.23.08", "12.3", ())) or "")


def test_the_page_says_what_the_doctor_says():
    page = (Path(__file__).parents[2] / "docs" / "containers.md").read_text(encoding="utf-8")
    branches = ((branch,) for branch in (OWN_BRANCH, *STARTED_BRANCHES))
    versions = (OLDEST_DRIVER, OLDEST_CAPABILITY, NEWEST_CAPABILITY, *branches)
    for version in map(dotted, versions):
        assert re.search(rf"\b{re.escape(version)}\b", page), version
    assert f"install driver {OWN_BRANCH} or newer ({dotted(OLDEST_DRIVER)} at the least)" in refusal(None)


@pytest.mark.parametrize("index", ["a", "[N/A]", "²", "-1", ""])
def test_a_line_that_is_no_gpu_is_a_remark(find, index):
    driver = find(f"echo '{index}, GPU-a, 550.54, 81920, 10500, {A100}'")
    assert driver.gpus == () and "lists no GPU and says" in driver.fault


@pytest.mark.parametrize("pid", ["[N/A]", "²", "-"])
def test_a_process_without_a_number_is_left_out(find, pid):
    assert find(smi().replace("4242", pid)).gpus[0].processes == ()


@pytest.mark.parametrize("number", ["²", "-5", "9" * 400, "9" * 5000])
def test_numbers_that_no_gpu_has_are_not_told(find, number):
    driver = find(smi(capability=f"{number}.0").replace("81920", number))
    assert [(gpu.memory_bytes, gpu.capability) for gpu in driver.gpus] == [(None, None)] * 2


def test_a_driver_that_fails_is_quoted_with_advice(find):
    sentence = refusal(find(MISMATCH))
    for words in ("exit code 18", "Driver/library version mismatch", "restart the machine"):
        assert words in sentence


@pytest.mark.parametrize("code", [0, 6])
def test_a_driver_without_gpus_is_a_fault_whatever_the_exit_code(find, code):
    driver = find(NO_DEVICES.replace("exit 6", f"exit {code}"))
    assert driver.gpus == ()
    assert "No devices were found" in refusal(driver)


def test_a_driver_that_hangs_is_given_up_and_leaves_no_process(tmp_path, monkeypatch):
    sleep, pids = shutil.which("sleep"), tmp_path / "pids"
    put_smi(tmp_path / "bin", monkeypatch, f"{sleep} 600 & echo $! >> {pids}\nwait")
    driver = find_driver(timeout_s=0.5)
    assert "no answer within 0.5 s" in refusal(driver)
    left = [int(pid) for pid in pids.read_text().split()]
    assert left
    deadline = time.monotonic() + 60
    while any(map(runs, left)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(runs, left))


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_cannot_be_started_is_a_fault(tmp_path, monkeypatch):
    put_smi(tmp_path / "bin", monkeypatch, "")
    (tmp_path / "bin" / "nvidia-smi").write_text("#!/nowhere/sh\n")
    assert "cannot be started" in refusal(find_driver())


@pytest.mark.parametrize(
    ("capability", "fault", "note"),
    [
        ((6, 1), "compute capability 6.1", None),
        ((7, 0), None, "no bfloat16"),
        ((7, 5), None, "no bfloat16"),
        ((8, 0), None, None),
        ((9, 0), None, None),
        ((12, 0), "kernels for 7.0 to 9.0", None),
        (None, None, None),
    ],
)
def test_the_image_serves_some_compute_capabilities(capability, fault, note):
    gpu = Gpu(0, A100, 80 * GIB, 0, capability)
    for found, expected in ((gpu_fault(gpu), fault), (gpu_note(gpu), note)):
        assert found is None if expected is None else expected in found


def test_one_gpu_that_serves_is_enough():
    old, new = Gpu(0, "Tesla P100", GIB, 0, (6, 0)), Gpu(1, A100, GIB, 0, (8, 0))
    check_driver(Driver("550.54.14", "12.4", (old, new)))
    assert "Tesla P100" in refusal(Driver("550.54.14", "12.4", (old,)))
