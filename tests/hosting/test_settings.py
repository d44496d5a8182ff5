"""What the commands of a checkout remember, and files that hold something else."""

from __future__ import annotations

import pytest

from engine.errors import InputError
from hosting.settings import Settings, read_settings, write_settings

DELETE = "delete it, then `cli.py start`."


@pytest.fixture
def file(tmp_path):
    path = tmp_path / ".servelab" / "settings.json"
    path.parent.mkdir()
    return path


@pytest.mark.parametrize("settings", [Settings(), Settings("podman", "mine", "/data/models")])
def test_what_is_written_is_read(settings, tmp_path):
    write_settings(tmp_path, Settings("docker", "before", "/before"))
    write_settings(tmp_path, settings)
    assert read_settings(tmp_path) == settings
    assert [path.name for path in (tmp_path / ".servelab").iterdir()] == ["settings.json"]


def test_nothing_is_remembered_before_the_first_start(tmp_path):
    assert read_settings(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_key_names_the_nearest_and_the_file(file, tmp_path):
    file.write_text('{"nam": "x"}')
    with pytest.raises(InputError) as caught:
        read_settings(tmp_path)
    assert str(caught.value) == f"{file}: unknown key 'nam'; did you mean name?"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"servelab"', '{"name": 5}', '{"models": ["/models"]}', "\x00"])
def test_a_file_that_holds_no_settings_is_to_be_deleted(text, file, tmp_path):
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read_settings(tmp_path)
    assert str(caught.value).startswith(str(file))
    assert str(caught.value).endswith(DELETE)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_to_be_deleted(file, tmp_path):
    file.write_bytes(b"\xff\xfe{}")
    with pytest.raises(InputError, match=r"cannot be read .*delete it"):
        read_settings(tmp_path)


def test_a_folder_in_the_place_of_the_file_is_named(file, tmp_path):
    file.mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_settings(tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        write_settings(tmp_path, Settings())
