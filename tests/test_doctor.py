"""What doctor says of machines: with and without a GPU, an engine, torch, models, room."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import exps.run.backends.native
from doctor import examination, examine, show
from doctor.verdicts import NO_BUILDKIT, NOT_YET
from engine.catalogue import DRAFTS, MODELS
from engine.executors.simulated.profiles import model_bytes
from exps.papers.registry import FIGURES
from exps.report import Reporter
from hosting import engines
from hosting.engines import Found
from hosting.storage import IMAGE_BYTES, TENSOR_PARALLEL_SHARED_BYTES
from tests.hosting.smi import A100, MISMATCH, put_smi, smi
from tests.test_house import ROOT

Examine = Callable[..., dict[str, Any]]
DOCKER = Found(engine="docker", version="28.2.2", gpus=True, builds=True)
NOTHING = Found(fault="no container engine was found; install Docker or Podman.")


@pytest.fixture
def on(tmp_path, monkeypatch) -> Examine:
    """Examines a machine with this nvidia-smi and this engine, whose models are in tmp_path/models."""

    def look(body: str | None = None, engine: Found = NOTHING, results: Path = tmp_path / "results") -> dict[str, Any]:
        with monkeypatch.context() as here:
            put_smi(tmp_path / "bin", here, body)
            here.setenv("HF_HUB_CACHE", str(tmp_path / "models"))
            here.setattr(engines, "look", lambda: engine)
            return examine(results)

    return look


def verdict(found: dict[str, Any], backend: str) -> dict[str, Any]:
    """What the figures that have a local model say of a backend, all the same but those of another backend alone; the others
    have no native run."""
    rows = [row for row in found["figures"] if row["backend"] == backend]
    assert [row["figure"] for row in rows] == list(FIGURES)
    local = {figure.id for figure in FIGURES.values() if any(platform.local for platform in figure.platforms)}
    here = [row for row in rows if row["figure"] in local and FIGURES[row["figure"]].backend in (None, backend)]
    assert len(here) >= 3
    assert len({row["reason"] for row in here}) == 1
    if backend == "native":
        assert {row["reason"] for row in rows if row["figure"] not in local} == {NOT_YET}
    return here[0]


def image(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in found["images"] if row["image"] == name)


def test_a_machine_without_gpu_and_engine_simulates_and_runs_the_tiny_pair(on):
    found = on()
    assert found["driver"] is None
    assert found["engine"]["fault"] == NOTHING.fault
    assert verdict(found, "sim")["ok"]
    assert verdict(found, "native")["reason"] == "ready on the CPU, with --model tiny"
    assert {row["image"]: (row["ok"], row["reason"]) for row in found["images"]} == dict.fromkeys(
        IMAGE_BYTES, (False, NOTHING.fault)
    )


def test_an_examination_is_json_and_changes_nothing(on, tmp_path):
    found = on(smi(), DOCKER)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_gpus_are_listed_and_counted_against_the_models(on):
    found = on(smi())
    assert [gpu["name"] for gpu in found["driver"]["gpus"]] == [A100, A100]
    assert found["driver"]["gpus"][0]["processes"] == [
        {"pid": 4242, "name": "/usr/bin/python3, serving", "used_bytes": 10480 * 2**20}
    ]
    assert {row["model"]: row["gpus"] for row in found["models"]} == {"llama": 4, "qwen": 1, "llama-8b": 1}
    assert "others on the GPUs" in verdict(found, "native")["reason"]


@pytest.mark.parametrize(
    ("body", "words"),
    [(MISMATCH, "version mismatch"), (smi("470.182.03", capability=None), "update the driver to 550 or newer")],
)
def test_a_driver_that_cannot_serve_stops_the_cuda_image_alone(on, body, words):
    found = on(body, DOCKER)
    assert words in found["driver"]["fault"]
    assert words in image(found, "cuda")["reason"]
    assert not image(found, "cuda")["ok"]
    assert image(found, "cpu")["ok"]
    assert verdict(found, "sim")["ok"]
    assert {row["gpus"] for row in found["models"]} == {None}


@pytest.mark.parametrize(
    ("engine", "ok", "words"),
    [
        (DOCKER, True, "can be built: cli.py build --target cuda"),
        (Found(engine="docker", gpus=True, images=("cuda",)), True, "cli.py start --target cuda"),
        (Found(engine="docker", gpus=True), False, NO_BUILDKIT),
        (Found(engine="docker", builds=True), False, "nvidia-ctk runtime configure"),
        (Found(engine="podman", images=("cuda",)), False, "nvidia-ctk cdi generate"),
    ],
)
def test_the_cuda_image_needs_builds_and_gpus_of_the_engine(on, engine, ok, words):
    row = image(on(smi(), engine), "cuda")
    assert row["ok"] == ok
    assert words in row["reason"]
    assert row["built"] == ("cuda" in engine.images)


def test_the_cuda_image_is_built_but_not_started_without_a_driver(on):
    row = image(on(None, DOCKER), "cuda")
    assert not row["ok"]
    assert row["reason"].startswith("can be built")
    assert "no NVIDIA driver" in row["reason"]


def test_an_image_needs_room_where_the_engine_keeps_it(on, mount, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    if not mount(root, "size=1m"):
        pytest.skip("no disk may be mounted here")
    full = Found(engine="docker", builds=True, root=root)
    found = on(None, full)
    assert f"needs 2 GB in {root}" in image(found, "cpu")["reason"]
    assert {"place": "images", "folder": str(root), "free_bytes": 2**20} in found["disk"]


def test_without_torch_native_runs_name_make_and_where_there_is_an_engine_the_container(on, monkeypatch):
    monkeypatch.setattr(exps.run.backends.native, "lacking_torch", lambda: ["torch"])
    assert verdict(on(), "native")["reason"] == "needs torch: make tiny installs it"
    row = verdict(on(None, DOCKER), "native")
    assert row["reason"].endswith("or cli.py build and cli.py start, then it runs in the container")
    assert not row["ok"]


def test_what_hinders_every_run_is_the_reason_of_each(on, tmp_path):
    file = tmp_path / "file"
    file.touch()
    found = on(results=file)
    for backend in ("sim", "native"):
        row = verdict(found, backend)
        assert not row["ok"]
        assert "not writable; choose another folder with --results DIR" in row["reason"]


def test_inside_the_container_no_engine_is_asked(on, monkeypatch, tmp_path):
    marker = tmp_path / "servelab"
    marker.touch()
    monkeypatch.setattr(engines, "INSIDE", marker)
    found = on(None, DOCKER)
    assert found["engine"]["inside"]
    assert found["engine"]["engine"] is None
    assert found["images"] == []


MIXED = f"""case "$1" in
    *compute_cap*) echo GPU-a, 8.0; echo GPU-b, 8.6; echo GPU-c, 8.0;;
    --query-gpu*) echo '0, GPU-a, 550.54.14, 81920, 10500, {A100}'; echo '1, GPU-b, 550.54.14, 24564, 0, NVIDIA A10G'
        echo '2, GPU-c, 550.54.14, 81920, 9000, {A100}';;
    --query-compute-apps*) echo 'GPU-a, 4242, 10480, /usr/bin/python3, serving'; echo 'GPU-b, 17, 9, idle';;
    esac"""


@pytest.fixture
def cuda(monkeypatch):
    """torch is one for GPUs, and there is as much shared memory as a rank may want."""
    monkeypatch.setattr("doctor.native.version", lambda name: "2.6.0+cu124")
    monkeypatch.setattr(examination, "shared_memory_bytes", lambda: TENSOR_PARALLEL_SHARED_BYTES)


def native(found: dict[str, Any]) -> dict[str, tuple[str | None, bool, str]]:
    return {row["model"]: (row["device"], row["ok"], row["reason"]) for row in found["native"]}


def test_each_local_model_has_the_device_that_serves_it(on, cuda, capfd):
    found = on(smi())
    rows = native(found)
    held = "GPU 0 is in use by python3, serving (pid 4242)"
    assert rows["tiny"][1:] == (True, "ready")
    assert rows["llama-8b"] == (A100, True, f"ready; {held}")
    assert rows["llama-7b"] == (A100, True, f"ready; {held}; with --weights widened alone")
    assert rows["qwen-32b"] == (f"2 x {A100}", True, f"ready; {held}; tensor parallel, 2 ranks")
    needs = "needs 4 GPUs of this kind for 141 GB of weights, where this machine has 2"
    assert rows["llama-70b"] == (f"2 x {A100}", False, f"{needs}; {held}; tensor parallel, 2 ranks")
    text = shown(found, capfd)
    assert f"llama-8b {A100} yes" in text and f"llama-8b ready; {held}" in text and f"llama-70b {needs}" in text


def test_cards_of_another_kind_are_left_out_and_who_holds_the_others_is_named(on, cuda):
    _, ok, reason = native(on(MIXED))["llama-70b"]
    assert not ok and "where this machine has 2" in reason
    assert "GPU 0 is in use by python3, serving (pid 4242); GPU 2 is in use by another process" in reason
    assert "1 x NVIDIA A10G left out, since ranks share GPUs of one kind" in reason and "pid 17" not in reason


def test_a_card_that_others_fill_does_not_hold_the_model(on, cuda):
    full = smi().replace("81920, 10500", "81920, 75000")
    _, ok, reason = native(on(full))["llama-8b"]
    assert not ok and reason.startswith("needs 16 GB on each GPU, where 7 GB are free on the fullest; GPU 0 is in use")


def test_ranks_say_that_shared_memory_may_be_too_little(on, cuda, monkeypatch):
    monkeypatch.setattr(examination, "shared_memory_bytes", lambda: 2**26)
    rows = native(on(smi()))
    assert rows["llama-70b"][2].endswith("0.1 GiB of /dev/shm may be too little for NCCL: cli.py start --shm 8g")
    assert "/dev/shm" not in rows["llama-8b"][2]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (None, "needs 1 GPU of 80 GB, or 71 GB of memory where 8 GB are"),
        (MISMATCH, "version mismatch"),
        (smi("470.182.03"), "NVIDIA driver 470.182.03 is older than 525.60.13"),
        (smi(), "needs a PyTorch for CUDA, where 2.6.0+cpu is for CPUs"),
    ],
)
def test_what_is_needed_where_nothing_serves_a_model(on, monkeypatch, body, words):
    monkeypatch.setattr("doctor.native.version", lambda name: "2.6.0+cpu")
    monkeypatch.setattr("doctor.native.memory_bytes", lambda: 8 * 10**9)
    rows = native(on(body))
    assert not rows["llama-8b"][1] and words in rows["llama-8b"][2]
    assert rows["tiny"][1]


def test_without_torch_no_model_is_served(on, monkeypatch):
    monkeypatch.setattr(exps.run.backends.native, "lacking_torch", lambda: ["torch"])
    assert {(ok, reason.partition(":")[0]) for _, ok, reason in native(on()).values()} == {(False, "needs torch")}


def test_doctor_loads_no_torch():
    code = "import sys, cli; cli.main(['doctor', '--json']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False).returncode == 0


def put_model(folder: Path, name: str, size: int, whole: bool = True) -> None:
    """A repository in the hub's cache, its weights a hole of this size."""
    snapshot = folder / f"models--{MODELS[name].repository.replace('/', '--')}" / "snapshots" / "revision"
    snapshot.mkdir(parents=True)
    with (snapshot / "model.safetensors").open("wb") as file:
        file.truncate(size)
    if whole:
        (snapshot / "config.json").touch()


def test_models_are_there_partly_there_or_not(on, tmp_path):
    draft = DRAFTS["llama-3.1-8b"]
    needed = model_bytes("llama-3.1-8b") + model_bytes(draft)

    def row(found: dict[str, Any]) -> tuple[int, bool, str]:
        model = next(row for row in found["models"] if row["model"] == "llama-8b")
        assert model["bytes"] == needed
        return model["there_bytes"], model["whole"], model["reason"].partition(" ")[0]

    assert row(on()) == (0, False, "not" if on()["disk"][1]["free_bytes"] > needed else "needs")
    put_model(tmp_path / "models", draft, model_bytes(draft))
    put_model(tmp_path / "models", "llama-3.1-8b", model_bytes("llama-3.1-8b") - 1000, whole=False)
    assert row(on()) == (needed - 1000, False, "partly")
    (tmp_path / "models" / "models--meta-llama--Llama-3.1-8B-Instruct" / "snapshots" / "revision" / "config.json").touch()
    assert row(on()) == (needed - 1000, True, "there")


def test_models_that_do_not_fit_the_disk_say_where_else(on, mount, tmp_path):
    (tmp_path / "models").mkdir()
    if not mount(tmp_path / "models", "size=1m"):
        pytest.skip("no disk may be mounted here")
    for row in on()["models"]:
        assert not row["fits"]
        assert f"needs {row['bytes'] / 1e9:.1f} GB where 0.0 GB are free: set HF_HOME" in row["reason"]


def test_ports_are_free_or_taken_by_a_process(on, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(examination, "PORTS", (port,))
        assert f"(pid {os.getpid()})" in on()["ports"][0]["owner"]
    assert on()["ports"] == [{"port": port, "owner": None}]


@pytest.mark.parametrize(("size", "enough"), [(TENSOR_PARALLEL_SHARED_BYTES, True), (2**26, False), (None, False)])
def test_shared_memory_is_enough_from_what_the_artifact_takes(on, monkeypatch, size, enough, capfd):
    monkeypatch.setattr(examination, "shared_memory_bytes", lambda: size)
    found = on()
    assert found["shared_memory"] == {"bytes": size, "enough": enough, "inside": False}
    assert ("cli.py start --shm 8g" in shown(found, capfd)) != enough


def shown(found: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> str:
    """The tables, blanks and line ends taken together."""
    show(Reporter(), found, as_json=False)
    return " ".join(capfd.readouterr().out.split())


def test_the_tables_tell_what_was_found(on, capfd):
    text = shown(on(smi("535.104.05"), Found(**{**vars(DOCKER), "container": "kit", "images": ("cpu",)})), capfd)
    for words in (
        "NVIDIA 535.104.05; serves CUDA up to 12.4; older than CUDA 12.4's own driver, 550",
        "docker 28.2.2; gives GPUs to containers; builds with BuildKit; the container kit runs",
        f"0 {A100} 10.3 of 80.0 GiB python3, serving (pid 4242, 10.2 GiB) 8.0 usable",
        f"1 {A100} ? of 80.0 GiB -",
        "needs 4",
        "1 of 2",
        "built; cli.py start --target cpu starts it",
        "adaserve/baselines, vtc/fig3",
        "native yes ready",
        "adaserve/fig15 sim NO is what a real engine's time goes to",
    ):
        assert words in text


def test_the_tables_of_a_bare_machine_have_no_gpus(on, capfd):
    text = shown(on(), capfd)
    assert "no NVIDIA driver" in text
    assert NOTHING.fault is not None and NOTHING.fault in text
    assert "cpu, cuda NO" in text
    assert "GPU used" not in text
