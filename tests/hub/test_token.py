"""The token comes from where a person put it and goes nowhere but to the hub."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import sys
from pathlib import Path

import pytest

from engine.errors import InputError
from hub import read_token
from tests.hub.conftest import Drive
from tests.hub.fake import FakeHub

TOKEN = "hf_let_in"


@pytest.fixture(autouse=True)
def no_token_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def files_with_the_token(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_a_file_goes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "hf_old")
    assert read_token(None) == "hf_old"
    monkeypatch.setenv("HF_TOKEN", " hf_new\n")
    assert read_token(None) == "hf_new"
    assert read_token(tmp_path / "token") == TOKEN


def test_a_dash_is_the_first_line_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{TOKEN}\nmore\n"))
    assert read_token(Path("-")) == TOKEN


def test_nobody_is_asked_where_nobody_sits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{TOKEN}\n"))
    assert read_token(None, ask=True) is None


@pytest.mark.parametrize("content", [b"", b"\n", b"hf_a hf_b", b"hf_a\nhf_b\n", b"hf_\xc3\xa9", b"hf_\xff", b"hf_\x00"])
def test_what_is_no_token_is_refused_without_being_shown(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(f"{file} holds no token")) as caught:
        read_token(file)
    assert "hf_" not in str(caught.value)


def test_an_environment_with_two_words_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_a hf_b")
    with pytest.raises(InputError, match="HF_TOKEN holds no token"):
        read_token(None)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent cannot be read \(No such file or directory\); .* --token-file"):
        read_token(tmp_path / "absent")


def test_the_token_is_neither_printed_nor_written(llama: FakeHub, tmp_path: Path, drive: Drive) -> None:
    process = drive("llama", HF_TOKEN=TOKEN)
    printed = "".join(process.communicate(timeout=120))
    assert process.returncode == 0, printed
    assert TOKEN not in printed
    assert files_with_the_token(tmp_path) == []
    assert {request.authorization for request in llama.log} == {f"Bearer {TOKEN}", None}
    assert all(request.at_storage for request in llama.log if request.authorization is None)
    assert not any(TOKEN in request.path for request in llama.log)


def test_a_refused_token_is_not_printed_either(llama: FakeHub, tmp_path: Path, drive: Drive) -> None:
    llama.tokens = {}
    process = drive("llama", HF_TOKEN=TOKEN)
    printed = "".join(process.communicate(timeout=120))
    assert process.returncode == 2
    assert "the hub does not accept this token" in printed
    assert TOKEN not in printed
    assert "Traceback" not in printed
    assert files_with_the_token(tmp_path) == []


def test_at_a_terminal_the_token_is_asked_for_and_not_shown(llama: FakeHub, tmp_path: Path, drive: Drive) -> None:
    person, terminal = pty.openpty()
    process = drive("llama", stdin=terminal)
    assert process.stderr is not None
    prompt = process.stderr.read(len("Token of the hub"))
    os.write(person, f"{TOKEN}\n".encode())
    out, err = process.communicate(timeout=120)
    echoed = os.read(person, 1000).decode() if select.select([person], [], [], 0)[0] else ""
    os.close(terminal)
    os.close(person)
    assert (prompt, process.returncode) == ("Token of the hub", 0), err
    assert TOKEN not in out + err + echoed
    assert files_with_the_token(tmp_path) == []


def test_nobody_is_asked_for_open_models(hub: FakeHub, drive: Drive) -> None:
    person, terminal = pty.openpty()
    process = drive("qwen", stdin=terminal)
    out, err = process.communicate(timeout=120)
    os.close(terminal)
    os.close(person)
    assert process.returncode == 0, err
    assert "Token of the hub" not in out + err
