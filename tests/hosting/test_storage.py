"""Room on disks, and models in the layout of the hub's library."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hosting.storage import Cached, cached, free_bytes, is_writable, models_folder, nearest_existing

REPOSITORY = "org/name"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def test_a_folder_to_come_is_asked_of_the_nearest_that_exists(tmp_path):
    to_come = tmp_path / "a" / "b"
    assert nearest_existing(to_come) == tmp_path
    assert is_writable(to_come)
    assert free_bytes(to_come) == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)


def test_free_bytes_are_those_of_the_disk_below(tmp_path, mount):
    if not mount(tmp_path, "size=1m"):
        pytest.skip("no disk may be mounted here")
    (tmp_path / "data").write_bytes(bytes(2**18))
    assert free_bytes(tmp_path / "to" / "come") == 2**20 - 2**18


def test_a_disk_mounted_read_only_is_not_writable(tmp_path, mount):
    if not mount(tmp_path, "ro"):
        pytest.skip("no disk may be mounted here")
    assert not is_writable(tmp_path / "results")


def test_nothing_is_written_below_a_file(tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert not is_writable(file)
    assert not is_writable(file / "results")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"XDG_CACHE_HOME": "/caches"},
        {"HF_HOME": "~/hub-home", "XDG_CACHE_HOME": "/caches"},
        {"HF_HUB_CACHE": "$HOME/models", "HF_HOME": "/hub-home"},
    ],
)
def test_the_models_folder_is_that_of_the_hubs_library(variables, monkeypatch, tmp_path):
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    code = "from huggingface_hub.constants import HF_HUB_CACHE; print(HF_HUB_CACHE)"
    theirs = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert str(models_folder()) == theirs


@pytest.fixture
def put(tmp_path):
    """Puts a file into the snapshot of REPOSITORY, as a link to its content."""
    home = tmp_path / "models--org--name"

    def write(name: str, content: str) -> Path:
        blob, link = home / "blobs" / f"digest of {name}", home / "snapshots" / "revision" / name
        for path in (blob, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        blob.write_text(content)
        link.symlink_to(os.path.relpath(blob, link.parent))
        return blob

    return write


def test_an_absent_model_has_no_bytes(tmp_path):
    assert cached(REPOSITORY, tmp_path) == Cached(0, whole=False)


def test_a_model_is_whole_with_configuration_and_weights(put, tmp_path):
    put("model.safetensors", "weights")
    assert cached(REPOSITORY, tmp_path) == Cached(7, whole=False)
    put("config.json", "{}")
    assert cached(REPOSITORY, tmp_path) == Cached(9, whole=True)


def test_a_model_of_shards_is_whole_with_the_last_of_them(put, tmp_path):
    put("config.json", "{}")
    put("model.safetensors.index.json", json.dumps({"weight_map": {"a": SHARDS[0], "b": SHARDS[1], "c": SHARDS[0]}}))
    put(SHARDS[0], "weights")
    assert not cached(REPOSITORY, tmp_path).whole
    last = put(SHARDS[1], "weights")
    assert cached(REPOSITORY, tmp_path).whole
    last.unlink()
    assert not cached(REPOSITORY, tmp_path).whole


def test_part_of_a_file_counts_as_bytes(put, tmp_path):
    blob = put("config.json", "{}")
    blob.with_name("digest.incomplete").write_bytes(bytes(1000))
    assert cached(REPOSITORY, tmp_path) == Cached(1002, whole=False)


@pytest.mark.parametrize("index", ["", "[]", '{"weight_map": {}}', '{"weight_map": null}', '{"weight_map": {"a": 1}}'])
def test_an_index_that_cannot_be_read_makes_no_model_whole(put, tmp_path, index):
    put("config.json", "{}")
    put("model.safetensors.index.json", index)
    assert not cached(REPOSITORY, tmp_path).whole
