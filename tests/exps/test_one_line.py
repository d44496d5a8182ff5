"""What one change touches: a file of its own, here a class, and a line in a registry."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cli
from engine.adapters import ADAPTERS
from engine.system import parse_system
from exps.papers.registry import FIGURES
from exps.run.backends import BACKENDS
from exps.run.backends.simulated import SimulatedBackend

ONE_POINT = ("--quick", "--system", "fcfs", "--jobs", "1", "--results")


class Twice(SimulatedBackend):
    """A backend of a stranger's."""

    name, label = "twice", "TWICE, the simulator under another name"

    def made_for(self, platform):
        return False


def manifests(folder: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in folder.rglob("manifest.json")]


def test_a_backend(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(BACKENDS, "twice", Twice())
    assert cli.main(["run", "vtc/fig3", "--backend", "twice", *ONE_POINT, str(tmp_path)]) == 0
    assert "TWICE" in capsys.readouterr().out
    assert {found["configuration"]["backend"] for found in manifests(tmp_path)} == {"twice"}
    assert cli.main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["figures"]
    assert [row["backends"] for row in listed if ("sim" in row["backends"]) is not ("twice" in row["backends"])] == []


def test_a_figure(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(FIGURES, "vtc/mine", replace(FIGURES["vtc/fig3"], id="vtc/mine"))
    assert cli.main(["run", "vtc/mine", *ONE_POINT, str(tmp_path)]) == 0
    assert list((tmp_path / "vtc" / "mine").glob("*.png")) and len(manifests(tmp_path / "vtc" / "mine")) == 1
    assert cli.main(["list", "--json"]) == 0 and "vtc/mine" in capsys.readouterr().out


def test_the_first_policy_of_a_role(monkeypatch):
    class Resident:
        def __init__(self, slots: int = 8):
            self.slots = slots

    monkeypatch.setitem(ADAPTERS, "resident", Resident)
    policies = parse_system("order=vtc,adapters=resident(slots=3)").build({})
    assert isinstance(policies.adapters, Resident) and policies.adapters.slots == 3
    assert parse_system("order=vtc").build({}).adapters is None


def test_a_role_that_no_engine_asks_is_refused(monkeypatch, capsys):
    monkeypatch.setitem(ADAPTERS, "resident", object)
    assert cli.main(["check-policy", "order=vtc,adapters=resident"]) == 2
    assert "asks no adapters or placement policy yet" in capsys.readouterr().err
