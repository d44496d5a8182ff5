"""Cleanup learns of what setup made, and of nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import InputError
from hub import Download as Downloaded
from hub import downloads, remove
from hub.marker import claim, folder_of, read_marker
from tests.hub.conftest import DRAFT, ROOT, TARGET, Download
from tests.hub.fake import FakeHub


def test_only_folders_that_setup_made_are_listed(hub: FakeHub, download: Download, cache: Path) -> None:
    theirs = folder_of(cache, TARGET) / "blobs"
    theirs.mkdir(parents=True)
    (theirs / "a").write_text("a person's own")
    (cache / "models--someone--else").mkdir()
    (cache / "models--linked--model").symlink_to(folder_of(cache, DRAFT))
    download()
    (found,) = downloads(cache)
    assert (found.path, found.repository) == (folder_of(cache, DRAFT), DRAFT)
    content = hub.repositories[DRAFT]
    wanted = sum(len(content[name]) for name in ("config.json", "tokenizer.json", "model.safetensors"))
    assert wanted < found.bytes < wanted + 2000


def test_what_is_removed_is_gone_and_the_rest_stays(download: Download, cache: Path) -> None:
    download()
    target = next(found for found in downloads(cache) if found.repository == TARGET)
    remove(target)
    assert not target.path.exists()
    assert not (cache / ".locks" / target.path.name).exists()
    assert [found.repository for found in downloads(cache)] == [DRAFT]
    assert download()[0].exists()


def test_what_setup_did_not_make_is_not_removed(cache: Path) -> None:
    theirs = folder_of(cache, TARGET)
    theirs.mkdir(parents=True)
    (theirs / "file").write_text("a person's own")
    claim(theirs, TARGET)
    with pytest.raises(InputError, match=r"was not made by setup, so it stays"):
        remove(Downloaded(theirs, TARGET, 0))
    assert (theirs / "file").exists()


def test_a_claim_is_made_once(cache: Path) -> None:
    folder = folder_of(cache, TARGET)
    first = claim(folder, TARGET)
    (folder / "blobs").mkdir()
    assert first.ours
    assert claim(folder, TARGET) == read_marker(folder) == first


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"repository": 1}', '{"files": {"a": 1}}', '{"files": {}, "x": 1}'])
def test_a_marker_that_cannot_be_read_is_none(content: str, cache: Path) -> None:
    folder = folder_of(cache, TARGET)
    folder.mkdir(parents=True)
    (folder / ".servelab.json").write_text(content)
    assert downloads(cache) == []


def test_an_empty_or_missing_cache_has_no_downloads(cache: Path) -> None:
    assert downloads(cache) == []


def test_cleanup_needs_the_standard_library_alone(download: Download, cache: Path) -> None:
    download()
    code = "import sys; from pathlib import Path; from hub import downloads, remove\n"
    code += "for found in downloads(Path(sys.argv[1])): remove(found); print(found.repository)"
    found = subprocess.run(
        [sys.executable, "-S", "-c", code, str(cache)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == [DRAFT, TARGET]
    assert downloads(cache) == []
