"""TOML tables become dataclasses; what does not fit is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.configuration import from_table, merge_policies, nearest, read_toml
from engine.errors import InputError


@dataclass(frozen=True)
class Kettle:
    litres: float
    settings: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.litres <= 0:
            raise ValueError("a kettle holds water")


def test_keys_become_fields_and_lists_tuples() -> None:
    assert from_table(Kettle, {"litres": 1.5, "settings": [80, 100]}, "here") == Kettle(1.5, (80, 100))


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"litres": 1, "setings": []}, r"kitchen: unknown key 'setings'; did you mean settings\?"),
        ({"litres": 1, "xyz": 1}, "kitchen: unknown key 'xyz'; known: litres, settings"),
        ({}, "kitchen: .*missing 1 required positional argument: 'litres'"),
        ({"litres": 0}, "kitchen: a kettle holds water"),
    ],
)
def test_what_does_not_fit_is_named(table: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        from_table(Kettle, table, "kitchen")


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("a = = 1")
    for name in ("bad.toml", "none.toml"):
        with pytest.raises(InputError, match=rf"{name}: .*; correct the file"):
            read_toml(tmp_path / name)


def test_nearest_names_come_first() -> None:
    assert nearest("vllm-spec", ["vllm-spec-4", "fcfs"]) == "did you mean vllm-spec-4?"
    assert nearest("zzz", ["b", "a"]) == "known: a, b."


def test_policies_merge_parameter_by_parameter_and_later_layers_go_first() -> None:
    server, figure = {"slora": {"reads_per_wait": 1.3, "poll_s": 0.0}}, {"slora": {"poll_s": 0.5}, "rpm": {"limit": 5}}
    assert merge_policies(server, figure) == {"slora": {"reads_per_wait": 1.3, "poll_s": 0.5}, "rpm": {"limit": 5}}
    assert server == {"slora": {"reads_per_wait": 1.3, "poll_s": 0.0}} and merge_policies() == {}
