"""NVIDIA's driver and GPUs, as nvidia-smi tells of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from os import killpg
from signal import SIGKILL

from engine.errors import InputError

PROGRAM = "nvidia-smi"
TIMEOUT_S = 6.0
CSV = "--format=csv,noheader,nounits"
QUESTIONS = (
    ("--query-gpu=index,uuid,driver_version,memory.total,memory.used,name", CSV),
    ("--query-gpu=uuid,compute_cap", CSV),
    ("--query-compute-apps=gpu_uuid,pid,used_memory,process_name", CSV),
    (),
)
MIB = 2**20

# CUDA 12's release notes: any 12.x runs from 525.60.13 on, by minor-version compatibility; 12.4's own drivers are 550's.
# NVIDIA_REQUIRE_CUDA of NVIDIA's base image: of the older branches that serve 12.x the toolkit starts it on 525 and 535 alone.
CUDA = "CUDA 12.4"
OLDEST_DRIVER, OWN_BRANCH, STARTED_BRANCHES = (525, 60, 13), 550, (525, 535)
AT_LEAST = f"{OWN_BRANCH} or newer ({'.'.join(map(str, OLDEST_DRIVER))} at the least)"
# The image's torch 2.6 for CUDA 12.4 is compiled up to 9.0; vLLM 0.8.5 starts at 7.0; bfloat16 products at 8.0.
OLDEST_CAPABILITY, BFLOAT16_CAPABILITY, NEWEST_CAPABILITY = (7, 0), (8, 0), (9, 0)

ADVICE = {
    "version mismatch": "restart the machine, so that it loads the driver that is installed",
    "communicate with the NVIDIA driver": f"install or load the driver, {AT_LEAST}",
    "Unknown Error": "restart the container that this runs in, or the machine",
    "No devices were found": "see with lspci whether this machine has an NVIDIA GPU, and run without one until then",
}
WITHOUT = "go without GPUs: `cli.py start --gpus none`"
RUN_IT = f"run {PROGRAM} and mend what it reports"


@dataclass(frozen=True)
class Process:
    """A process that computes on a GPU; ``used_bytes`` of the GPU's memory, None where the driver does not tell."""

    pid: int
    name: str
    used_bytes: int | None


@dataclass(frozen=True)
class Gpu:
    """None stands for what the driver does not tell."""

    index: int
    name: str
    memory_bytes: int | None
    used_bytes: int | None
    capability: tuple[int, int] | None
    processes: tuple[Process, ...] = ()


@dataclass(frozen=True)
class Driver:
    """``cuda``: the newest CUDA that the driver serves. ``fault``: a sentence, when the driver is there and does not work."""

    version: str | None
    cuda: str | None
    gpus: tuple[Gpu, ...] = ()
    fault: str | None = None


@dataclass(frozen=True)
class _Answer:
    text: str
    fault: str | None = None

    def rows(self, columns: int) -> list[list[str]]:
        """The CSV lines; the last column may hold commas, and lines of fewer columns are remarks, not rows."""
        lines = () if self.fault else self.text.splitlines()
        rows = ([cell.strip() for cell in line.split(",", columns - 1)] for line in lines)
        return [row for row in rows if len(row) == columns]


def find_driver(timeout_s: float = TIMEOUT_S) -> Driver | None:
    """The driver and its GPUs, within ``timeout_s``; None where there is no nvidia-smi."""
    program = shutil.which(PROGRAM)
    if program is None:
        return None
    with ThreadPoolExecutor(len(QUESTIONS)) as pool:
        answers = pool.map(lambda question: _ask((program, *question), timeout_s), QUESTIONS)
        listing, capabilities, processes, header = answers
    if listing.fault:
        return Driver(None, None, fault=listing.fault)
    rows = [row for row in listing.rows(6) if _number(row[0]) is not None]
    cuda = re.search(r"CUDA (?:UMD )?Version\s*:\s*(\d+\.\d+)", header.text)
    gpus = tuple(_gpu(row, capabilities, processes) for row in rows)
    fault = None if gpus else _fault(listing.text, "lists no GPU")
    return Driver(rows[0][2] if rows else None, cuda.group(1) if cuda else None, gpus, fault)


def check_driver(driver: Driver | None) -> None:
    """InputError unless the driver and one of its GPUs can run the CUDA image."""
    if fault := driver_fault(driver):
        raise InputError(fault)


def driver_fault(driver: Driver | None) -> str | None:
    """The sentence that says why the CUDA image cannot run with this driver, None when it can."""
    if driver is None:
        return f"no NVIDIA driver was found; install driver {AT_LEAST}, or {WITHOUT}."
    if driver.fault:
        return driver.fault
    version = _version(driver.version)
    if version and version < OLDEST_DRIVER:
        old = f"NVIDIA driver {driver.version} is older than {dotted(OLDEST_DRIVER)}, which {CUDA} needs"
        return f"{old}; update the driver to {OWN_BRANCH} or newer."
    faults = [gpu_fault(gpu) for gpu in driver.gpus]
    return None if None in faults else next(iter(faults), None)


def driver_note(driver: Driver) -> str | None:
    """What is worth knowing of a driver that works."""
    version = _version(driver.version)
    if not version or not OLDEST_DRIVER <= version < (OWN_BRANCH,):
        return None
    if version[0] in STARTED_BRANCHES:
        return f"older than {CUDA}'s own driver, {OWN_BRANCH}, and serves it by minor-version compatibility"
    started = " and ".join(map(str, STARTED_BRANCHES))
    return f"NVIDIA's base image of {CUDA} starts on {started} and from {OWN_BRANCH} on, not between: update the driver"


def gpu_fault(gpu: Gpu) -> str | None:
    """The sentence that says why the CUDA image cannot use this GPU, None when it can."""
    if gpu.capability is None or OLDEST_CAPABILITY <= gpu.capability <= NEWEST_CAPABILITY:
        return None
    found, first, last = map(dotted, (gpu.capability, OLDEST_CAPABILITY, NEWEST_CAPABILITY))
    limits = f"which has kernels for {first} to {last}; take another GPU, or {WITHOUT}"
    return f"{gpu.name} has compute capability {found}, outside the image's PyTorch for {CUDA}, {limits}."


def gpu_note(gpu: Gpu) -> str | None:
    """What is worth knowing of a GPU that works."""
    if gpu.capability is None or gpu.capability >= BFLOAT16_CAPABILITY or gpu_fault(gpu):
        return None
    return f"no bfloat16, which needs compute capability {dotted(BFLOAT16_CAPABILITY)}"


def dotted(version: Sequence[int]) -> str:
    """ "9.0" of (9, 0)."""
    return ".".join(map(str, version))


def _gpu(row: Sequence[str], capabilities: _Answer, processes: _Answer) -> Gpu:
    index, uuid, _, total, used, name = row
    capability = next((_version(value) for owner, value in capabilities.rows(2) if owner == uuid), ())
    held = [
        Process(number, name, _bytes(mib))
        for owner, pid, mib, name in processes.rows(4)
        if owner == uuid and (number := _number(pid)) is not None
    ]
    whole = (capability[0], capability[1]) if len(capability) == 2 else None
    return Gpu(int(index), name, _bytes(total), _bytes(used), whole, tuple(held))


def _bytes(mib: str) -> int | None:
    """ "81559" is MiB; "[N/A]" and the like are None."""
    number = _number(mib)
    return None if number is None else number * MIB


def _number(text: str) -> int | None:
    """None for what is no number, or longer than any that a driver tells."""
    return int(text) if re.fullmatch(r"\d{1,12}", text, re.ASCII) else None


def _version(text: str | None) -> tuple[int, ...]:
    """ "550.54.14" as numbers; nothing for what is no version."""
    return tuple(map(int, text.split("."))) if text and re.fullmatch(r"\d{1,9}(\.\d{1,9})+", text, re.ASCII) else ()


def _fault(text: str, outcome: str) -> str:
    said = next((line.strip().rstrip(".") for line in text.splitlines() if line.strip()), "nothing")
    advice = next((advice for words, advice in ADVICE.items() if words in text), RUN_IT)
    return f"{PROGRAM} {outcome} and says {said!r}; {advice}."


def _ask(command: Sequence[str], timeout_s: float) -> _Answer:
    """What a command prints. One that hangs is killed with its children, and not waited for: it may never end."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True,
        )
    except OSError as error:
        return _Answer("", f"{PROGRAM} cannot be started ({error.strerror}); {RUN_IT}.")
    try:
        text, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _abandon(process)
        return _Answer("", f"{PROGRAM} gave no answer within {timeout_s:g} s; {RUN_IT}, or restart the machine.")
    fault = _fault(text, f"fails with exit code {process.returncode}") if process.returncode else None
    return _Answer(text, fault)


def _abandon(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        killpg(process.pid, SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
