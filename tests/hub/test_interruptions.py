"""A download that is killed, interrupted or run out of disk goes on where it was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.errors import InputError
from tests.hub.conftest import DRAFT, MEGABYTE, ROOT, TARGET, WEIGHTS, Download, Drive
from tests.hub.fake import FakeHub, Fault, digest

HELD = 2 * MEGABYTE + 1000
Mount = Callable[[Path, str], bool]


@pytest.fixture
def held(hub: FakeHub) -> Fault:
    """The target's weights stop after 2 MiB and a bit; the draft has others."""
    hub.repositories[DRAFT]["model-1.safetensors"] = hub.repositories[DRAFT].pop(WEIGHTS)
    hub.faults[WEIGHTS] = Fault("hold", after=HELD)
    return hub.faults[WEIGHTS]


def partial_of(hub: FakeHub, cache: Path) -> Path:
    name = digest(WEIGHTS, hub.repositories[TARGET][WEIGHTS])
    return cache / f"models--{TARGET.replace('/', '--')}" / "blobs" / f"{name}.incomplete"


def wait_until(path: Path, size: int) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < deadline, f"{path} did not grow to {size} bytes"
        time.sleep(0.02)


def test_a_killed_download_goes_on_and_fetches_nothing_twice(
    hub: FakeHub, held: Fault, cache: Path, drive: Drive, download: Download
) -> None:
    process = drive("qwen")
    partial = partial_of(hub, cache)
    wait_until(partial, 2 * MEGABYTE)
    process.kill()
    process.wait()
    held.release.set()
    before = partial.stat().st_size
    hub.log.clear()
    target, _ = download()
    assert (target / WEIGHTS).read_bytes() == hub.repositories[TARGET][WEIGHTS]
    assert [request.range for request in hub.fetched(WEIGHTS)] == [f"bytes={before}-"] * 2
    assert before >= 2 * MEGABYTE
    assert not partial.exists()


def test_an_interrupt_is_heard_at_once_and_says_that_all_is_kept(
    hub: FakeHub, held: Fault, cache: Path, drive: Drive, download: Download
) -> None:
    process = drive("qwen")
    wait_until(partial_of(hub, cache), 2 * MEGABYTE)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert not held.release.is_set()
    assert process.returncode == 130, err
    assert "Interrupted: what arrived is kept; the same command goes on." in err
    assert "Traceback" not in err
    hub.log.clear()
    download()
    assert [request.range for request in hub.fetched(WEIGHTS)] == [f"bytes={2 * MEGABYTE}-"] * 2


def test_two_setups_at_once_do_not_write_the_same_file(
    hub: FakeHub, held: Fault, cache: Path, drive: Drive, download: Download
) -> None:
    process = drive("qwen")
    wait_until(partial_of(hub, cache), 2 * MEGABYTE)
    with pytest.raises(InputError, match=f"another setup is downloading {TARGET} into .*; wait until it is done"):
        download()
    held.release.set()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "downloaded and verified" in out


def test_too_little_disk_is_said_before_the_first_byte(hub: FakeHub, download: Download, cache: Path) -> None:
    hub.sizes[WEIGHTS] = 10**18
    with pytest.raises(InputError, match=r"has .* GB free and the models need 2,000,000,000.0 GB more; .* start --models DIR"):
        download()
    assert not cache.exists()
    assert not any("/resolve/" in request.path for request in hub.log)


def test_a_disk_that_fills_up_in_the_middle_keeps_what_arrived(
    hub: FakeHub, cache: Path, download: Download, mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir()
    if not mount(cache, "size=2m"):
        pytest.skip("needs a disk of its own")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**10))
        with pytest.raises(InputError, match=f"the disk of {cache} is full and the models need 0.0 GB more; free that much"):
            download()
    before = partial_of(hub, cache).stat().st_size
    assert before > MEGABYTE
    subprocess.run(["mount", "-o", "remount,size=8m", str(cache)], check=True)
    hub.log.clear()
    target, _ = download()
    assert (target / WEIGHTS).read_bytes() == hub.repositories[TARGET][WEIGHTS]
    assert hub.fetched(WEIGHTS)[0].range == f"bytes={before}-"


def test_a_cache_that_cannot_be_written_is_named(download: Download, cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\); make .* writable, or start with"):
        download()


def test_the_engine_finds_the_model_offline(hub: FakeHub, cache: Path, download: Download) -> None:
    pytest.importorskip("torch")
    tiny = ROOT / "engine" / "models" / "tiny"
    hub.repositories[TARGET] = {path.name: path.read_bytes() for path in (tiny / "target").iterdir()}
    hub.repositories[TARGET]["tokenizer.json"] = (tiny / "tokenizer.json").read_bytes()
    target, _ = download()
    code = f"from engine.models.loading import load_decoder, locate; print(locate({TARGET!r})); load_decoder({TARGET!r})"
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=ROOT, env=offline, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == str(target)


def test_what_is_whole_needs_no_disk_to_write_to(
    hub: FakeHub, cache: Path, download: Download, mount: Mount, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.mkdir()
    if not mount(cache, "size=8m"):
        pytest.skip("needs a disk of its own")
    first = download()
    subprocess.run(["mount", "-o", "remount,ro", str(cache)], check=True)
    assert download() == first
    assert "everything is there" in capsys.readouterr().out
    hub.repositories[TARGET]["generation_config.json"] = b"{}"
    with pytest.raises(InputError, match=r"cannot be written \(Read-only file system\)"):
        download()
