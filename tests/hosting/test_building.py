"""What a build's output becomes: steps, one sentence, a digest. Scripts print here what the clients of engines print."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InputError
from hosting.building import Recipe, Step, build, choose_target, sources
from hosting.engines import Engine
from hosting.named import DOCKER, PODMAN
from tests.hosting.outputs import CAUSES, NEW_BUILDKIT, OLD_BUILDKIT, PODMAN_LINES
from tests.hosting.smi import put_smi, smi

ROOT = Path(__file__).parents[2]


@pytest.fixture
def client(tmp_path: Path) -> Callable[..., Engine]:
    """An engine whose client prints this and exits with that."""

    def make(text: str, code: int = 0, kind: str = PODMAN) -> Engine:
        (tmp_path / "said").write_text(text)
        script = tmp_path / "client"
        script.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{tmp_path}/asked\ncat {tmp_path}/said\nexit {code}\n")
        script.chmod(0o755)
        no_api: Any = None
        return Engine(kind, no_api, (str(script),), {})

    return make


@pytest.fixture(autouse=True)
def any_client_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hosting.building.builder", lambda engine: engine.program)


def run(engine: Engine, folder: Path, recipe: Recipe | None = None) -> list[Step]:
    steps: list[Step] = []
    wanted = recipe or Recipe("cpu", base="local/nothing:1")
    build(engine, wanted, ROOT, folder / "log", steps.append, lambda line: None)
    return steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (
            OLD_BUILDKIT,
            [
                Step("[cpu-packages 1/4] FROM registry.example/python:3.11-slim-bookworm", True, None),
                Step("[kit 3/5] COPY hosting /hosting", False, 0.0),
                Step("[cpu-packages 2/4] RUN sh /run/prepare cpu", False, 3.0),
            ],
        ),
        (
            NEW_BUILDKIT,
            [
                Step("[cpu-packages 1/4] FROM registry.example/python:3.11@sha256:0123456789abcdef", True, None),
                Step("[cpu-packages 3/4] RUN sh /i -r /run/cpu.lock", False, 3.2),
            ],
        ),
        (
            PODMAN_LINES,
            [
                Step("[2/3] STEP 1/5: FROM registry.example/python:3.11-slim-bookworm AS cpu-packages", False, None),
                Step("[2/3] STEP 2/5: RUN sh /run/prepare cpu", False, None),
                Step("STEP 1/1: LABEL servelab.kit=cpu", False, None),
            ],
        ),
    ],
    ids=["BuildKit of 20.10", "newer BuildKit", "podman"],
)
def test_output_becomes_steps_with_their_time_and_stays_in_the_log(text, steps, client, tmp_path):
    assert run(client(text), tmp_path) == steps
    assert (tmp_path / "log").read_text() == text


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_of_a_failure_has_its_sentence(cause, client, tmp_path):
    text, words = CAUSES[cause]
    with pytest.raises(InputError) as caught:
        run(client(text, 1, DOCKER), tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "type the same command again" in str(caught.value)


def test_an_unknown_failure_quotes_the_error_and_names_the_log(client, tmp_path):
    text = "#7 0.1 fine\n#7 ERROR: the moon is in the wrong house\n------\n > [cpu 1/2] RUN x:\n------\n"
    with pytest.raises(InputError) as caught:
        run(client(text, 1), tmp_path)
    said = "ERROR: the moon is in the wrong house"
    assert str(caught.value) == f"the build of servelab:cpu failed ({said}); {tmp_path}/log has all of it."


def test_a_client_without_a_word_still_gets_a_sentence(client, tmp_path):
    with pytest.raises(InputError, match=r"failed \(no word\)"):
        run(client("", 1), tmp_path)


def test_a_log_on_a_full_disk_is_named(client, tmp_path, mount):
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mount(disk, "size=4k"):
        disk = Path("/dev/full")
    with pytest.raises(InputError, match="cannot be written"):
        run(client("x" * 100_000), disk)


def test_what_is_chosen_reaches_the_client(client, tmp_path):
    conf, bundle = tmp_path / "pip.conf", tmp_path / "ca.crt"
    conf.touch()
    bundle.touch()
    run(client(""), tmp_path, Recipe("cuda", "local/base:1", conf, bundle, "host", fresh=True))
    asked = (tmp_path / "asked").read_text().splitlines()
    pairs = list(pairwise(asked))
    for pair in (
        ("--target", "cuda"),
        ("--tag", "servelab:cuda"),
        ("--label", f"servelab.sources={sources(ROOT)}"),
        ("--build-arg", "CUDA_BASE=local/base:1"),
        ("--secret", f"id=pip,src={conf}"),
        ("--secret", f"id=ca,src={bundle}"),
        ("--network", "host"),
        ("--format", "docker"),
        ("--no-cache", str(ROOT)),
    ):
        assert pair in pairs


def test_a_secret_that_is_no_file_is_named(client, tmp_path):
    with pytest.raises(InputError, match=r"nowhere is no file"):
        run(client(""), tmp_path, Recipe("cpu", ca=tmp_path / "nowhere"))
    assert not (tmp_path / "asked").exists()


def test_a_target_is_what_was_asked_for_or_what_suits_the_machine(tmp_path, monkeypatch):
    put_smi(tmp_path / "none", monkeypatch, None)
    assert choose_target(None) == "cpu"
    put_smi(tmp_path / "one", monkeypatch, smi())
    assert (choose_target(None), choose_target("cpu")) == ("cuda", "cpu")
    with pytest.raises(InputError, match="did you mean cuda"):
        choose_target("cuad")


def test_the_digest_of_the_sources_follows_recipe_and_requirements_but_no_wheels(tmp_path):
    for name in ("docker/Dockerfile", "requirements/cpu.lock", "requirements.txt", "docker/wheels/README.md", "cli.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    before = sources(tmp_path)
    for name in ("docker/wheels/torch.whl", "cli.py"):
        (tmp_path / name).write_text("after")
        assert sources(tmp_path) == before
    for name in ("docker/Dockerfile", "docker/install", "requirements/cpu.lock", "requirements.txt"):
        last = sources(tmp_path)
        (tmp_path / name).write_text("after")
        assert sources(tmp_path) != last
