"""Completeness, atomicity, and disks that refuse."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from engine.errors import InputError
from exps.run import records
from exps.run.execute import execute
from exps.run.plan import Job
from exps.run.records import check_writable, is_complete, parquet_bytes, read_record, remove_stale, storage, write_record


@pytest.fixture
def job(quick_plan) -> Job:
    """A recorded point."""
    plan = quick_plan()
    execute(plan.jobs[:1], plan.root, 1, lambda job, product: None)
    assert is_complete(plan.jobs[0].folder, plan.jobs[0].configuration)
    return plan.jobs[0]


def spoil(path: Path, change: str) -> None:
    content = path.read_bytes()
    if change == "truncate":
        path.write_bytes(content[:-7])
    elif change == "edit":
        path.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    else:
        path.unlink()


@pytest.mark.parametrize("name", ["requests.parquet", "summary.json", "manifest.json"])
@pytest.mark.parametrize("change", ["truncate", "edit", "delete"])
def test_a_spoilt_file_is_noticed(job, name, change):
    spoil(job.folder / name, change)
    assert not is_complete(job.folder, job.configuration)


@pytest.mark.parametrize(
    "change",
    [{"status": "running"}, {"rows": 1}, {"files": {}}, {"files": None}, {"configuration": {}}, {"commit": "another"}],
)
def test_an_edited_manifest_is_noticed(job, change):
    path = job.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert not is_complete(job.folder, job.configuration)


@pytest.mark.parametrize("change", [{"rows": 1}, {"rows": None}, {"configuration": {}}])
def test_a_manifest_that_was_written_so_is_no_better(job, change):
    files = {name: (job.folder / name).read_bytes() for name in ("requests.parquet", "summary.json")}
    write_record(job.folder, files, {**json.loads((job.folder / "manifest.json").read_text()), **change})
    assert not is_complete(job.folder, job.configuration)


def test_fewer_rows_than_requests_are_noticed_even_with_matching_hashes(job):
    shorter = parquet_bytes(pl.read_parquet(job.folder / "requests.parquet").head(5))
    manifest = json.loads((job.folder / "manifest.json").read_text())
    summary = (job.folder / "summary.json").read_bytes()
    write_record(job.folder, {"requests.parquet": shorter, "summary.json": summary}, manifest)
    assert not is_complete(job.folder, job.configuration)


@pytest.mark.parametrize("change", [{"seed": 1}, {"calibration": "first-principles"}, {"code": "other"}, {"workload": {}}])
def test_another_configuration_is_another_point(job, change):
    assert not is_complete(job.folder, {**job.configuration, **change})


def test_the_manifest_tells_where_numbers_come_from(job):
    manifest = read_record(job.folder, job.point).manifest
    asked = manifest["configuration"]
    assert (asked["seed"], asked["calibration"], asked["hardware"]) == (0, "scaled", "4xa100-80g")
    assert asked["workload"]["source"] == "the traces' statistics"
    assert manifest["rows"] == asked["workload"]["requests"] == job.timetable.height
    assert {"python", "numpy", "polars"} <= set(manifest["versions"])
    assert manifest["machine"]["cores"] >= 1
    assert manifest["wall_s"] > 0
    assert str(job.folder) not in json.dumps(manifest)


def test_an_old_result_is_replaced_whole(job):
    files = {name: (job.folder / name).read_bytes() for name in ("requests.parquet", "summary.json")}
    (job.folder / "steps.parquet").write_bytes(b"left over")
    write_record(job.folder, files, json.loads((job.folder / "manifest.json").read_text()))
    assert is_complete(job.folder, job.configuration)
    assert {path.name for path in job.folder.iterdir()} == {*files, "manifest.json"}
    assert [path.name for path in job.folder.parent.iterdir()] == [job.folder.name]


def test_a_write_that_fails_leaves_the_old_result_and_no_temporary(job, monkeypatch):
    def full(path: Path, content: bytes) -> None:
        if path.name == "summary.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path.write_bytes(content)

    monkeypatch.setattr(records, "_write_flushed", full)
    with pytest.raises(OSError, match="space"):
        write_record(job.folder, {"requests.parquet": b"x", "summary.json": b"y"}, {})
    assert is_complete(job.folder, job.configuration)
    assert [path.name for path in job.folder.parent.iterdir()] == [job.folder.name]


def test_temporaries_of_dead_runs_go_and_those_of_living_ones_stay(tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    pid, host = int(dead.stdout), socket.gethostname()
    folder = tmp_path / "adaserve" / "fig8"
    stale = [f".tmp-{pid}-0a-{host}", ".tmp-x"]
    living = [f".tmp-{os.getpid()}-0b-{host}", ".tmp-1-0c-elsewhere"]
    for name in stale + living:
        (folder / name).mkdir(parents=True)
        (folder / name / "requests.parquet").write_bytes(b"half")
    remove_stale(tmp_path)
    assert {path.name for path in folder.iterdir()} == set(living)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_read_only_folder_is_one_sentence(tmp_path, monkeypatch, code):
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(records, "_write_flushed", refuse)
    with pytest.raises(InputError, match=r"read-only.*--results DIR"):
        check_writable(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_one_sentence(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(InputError, match="--results DIR"):
        check_writable(tmp_path / "results")


def test_checking_leaves_nothing_behind(tmp_path):
    check_writable(tmp_path / "results")
    assert list((tmp_path / "results").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path, monkeypatch, mount):
    """A results folder with room for a few points: real where mounting is allowed, else pretended."""
    root = tmp_path / "results"
    root.mkdir()
    if mount(root, "size=256k"):
        return root
    write, written = records._write_flushed, 0

    def limited(path: Path, content: bytes) -> None:
        nonlocal written
        written += len(content)
        if written > 256 * 1024:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content)

    monkeypatch.setattr(records, "_write_flushed", limited)
    return root


def test_a_full_disk_stops_cleanly_and_keeps_complete_points(small_disk, quick_plan):
    plan = quick_plan()
    place = small_disk / "adaserve"
    jobs = [replace(job, folder=place / f"{job.point.system}-{i}") for i in range(20) for job in plan.jobs]
    done: list[Job] = []
    with pytest.raises(InputError, match="no space is left; complete points are kept"):
        execute(jobs, small_disk, 1, lambda job, product: done.append(job))
    assert 0 < len(done) < len(jobs)
    assert all(is_complete(job.folder, job.configuration) for job in done)
    assert {path.parent for path in small_disk.rglob("*.json")} == {job.folder for job in done}
    assert not list(small_disk.rglob(".tmp-*"))


def test_other_disk_errors_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"cannot write to .*: .*--results DIR"), storage(tmp_path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
