"""What arrives is compared with what the hub lists, once; what is wrong is mended, what is a person's own stays theirs."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import huggingface_hub
import pytest

from engine.errors import InputError
from hub import downloads
from hub.marker import folder_of, read_marker
from tests.hub.conftest import DRAFT, TARGET, WEIGHTS, Download, Recorder, is_whole
from tests.hub.fake import COMMIT, FakeHub, Fault


@pytest.mark.parametrize("listed", [4, 1000])
def test_another_size_than_listed_is_another_content(listed: int, hub: FakeHub, download: Download) -> None:
    hub.sizes["tokenizer.json"] = listed
    with pytest.raises(InputError, match=r"tokenizer.json of .* arrived twice with another content"):
        download()


def test_what_arrives_corrupt_is_fetched_once_more(hub: FakeHub, download: Download) -> None:
    hub.faults["config.json"] = Fault("corrupt")
    hub.faults[WEIGHTS] = Fault("corrupt")
    bar = Recorder()
    target, draft = download(report=bar)
    assert is_whole(target, hub.repositories[TARGET])
    assert is_whole(draft, hub.repositories[DRAFT])
    assert sum(bar.moves) == bar.total
    assert len(hub.fetched_large()) == 3


def test_what_stays_corrupt_is_named_and_not_kept(hub: FakeHub, download: Download, cache: Path) -> None:
    hub.repositories[DRAFT]["tokenizer_config.json"] = b'{"a": 1}'
    hub.faults["tokenizer_config.json"] = Fault("corrupt", times=99)
    with pytest.raises(InputError, match=f"tokenizer_config.json of {DRAFT} arrived twice with another content"):
        download()
    kept = [path for path in cache.rglob("*") if path.is_file() and path.read_bytes().endswith(b'"a": 1}')]
    assert kept == []
    hub.faults.clear()
    assert download()[1].joinpath("tokenizer_config.json").read_bytes() == b'{"a": 1}'


def test_a_file_that_was_changed_is_found_and_mended(hub: FakeHub, download: Download) -> None:
    target, draft = download()
    weights = (target / WEIGHTS).resolve()
    content = weights.read_bytes()
    weights.write_bytes(b"x" + content[1:])
    (draft / "config.json").unlink()
    hub.log.clear()
    download()
    assert (target / WEIGHTS).read_bytes() == content
    assert len(hub.fetched_large()) == 1
    assert is_whole(draft, hub.repositories[DRAFT])


def test_a_file_that_was_only_touched_is_verified_and_stays(hub: FakeHub, download: Download) -> None:
    target, _ = download()
    os.utime(target / WEIGHTS, (1, 1))
    hub.log.clear()
    download()
    assert not hub.fetched_large()
    hub.stop()
    assert download()[0] == target


def test_a_new_revision_fetches_what_changed(hub: FakeHub, download: Download) -> None:
    old, _ = download()
    hub.log.clear()
    hub.commit = "decade" + COMMIT[6:]
    hub.repositories[TARGET]["config.json"] = b'{"newer": true}'
    new, _ = download()
    assert (new / "config.json").read_bytes() == b'{"newer": true}'
    assert is_whole(new, hub.repositories[TARGET])
    assert not hub.fetched_large()
    assert new.name == hub.commit != old.name


def test_what_a_person_downloaded_before_is_verified_and_stays_theirs(hub: FakeHub, download: Download, cache: Path) -> None:
    place = {"cache_dir": cache, "endpoint": hub.url, "token": False}
    huggingface_hub.hf_hub_download(TARGET, WEIGHTS, **place)
    before = len(hub.fetched_large())
    target, _ = download()
    assert is_whole(target, hub.repositories[TARGET])
    assert len(hub.fetched_large()) == before + 1
    assert [found.repository for found in downloads(cache)] == [DRAFT]
    marker = read_marker(folder_of(cache, TARGET))
    assert marker is not None and marker.complete and not marker.ours


def test_a_disk_without_links_holds_a_model_too(hub: FakeHub, download: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    target, _ = download()
    assert not (target / WEIGHTS).is_symlink()
    assert is_whole(target, hub.repositories[TARGET])
    hub.log.clear()
    download()
    assert not hub.fetched_large()


def test_the_marker_holds_what_was_verified(download: Download, cache: Path) -> None:
    target, _ = download()
    table = json.loads((folder_of(cache, TARGET) / ".servelab.json").read_text())
    assert (table["repository"], table["ours"], table["revision"], table["complete"]) == (TARGET, True, COMMIT, True)
    assert {name: entry["size"] for name, entry in table["files"].items()} == {
        path.name: path.stat().st_size for path in target.iterdir()
    }


def test_files_of_the_same_content_arrive_once_and_stand_under_each_name(hub: FakeHub, download: Download) -> None:
    names = ("generation_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json")
    hub.repositories[TARGET] |= dict.fromkeys(names, b"{}")
    hub.faults = {name: Fault("hold", after=1) for name in names}
    for fault in hub.faults.values():
        threading.Timer(0.3, fault.release.set).start()
    target, _ = download()
    assert all((target / name).read_bytes() == b"{}" for name in names)
    assert len({request.path for name in names for request in hub.fetched(name) if TARGET in request.path}) == 1
