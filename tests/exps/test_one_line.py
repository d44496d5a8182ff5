"""What one change touches: a file of its own, here a class, and a line in a registry."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cli
from engine.adapters import ADAPTERS
from engine.adapters.base import Choice
from engine.adapters.unmerged import MultiLoRA
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


def test_an_adapters_policy(monkeypatch):
    class Latest(MultiLoRA):
        """The last that came go first."""

        def choose(self, queue, seats):
            return Choice(queue.first(len(queue))[::-1][:seats])

    monkeypatch.setitem(ADAPTERS, "latest", Latest)
    policies = parse_system("batch=orca,adapters=latest(slots=3)").build({})
    assert isinstance(policies.adapters, Latest) and policies.adapters.residency.slots == 3
    assert parse_system("order=vtc").build({}).adapters is None
    assert cli.main(["check-policy", "batch=orca,adapters=latest"]) == 0


def test_an_adapters_policy_needs_others_that_leave_it_the_choice(capsys):
    for system, advice in (("order=vtc,batch=orca,adapters=credit", "write order=fcfs"),
                           ("adapters=credit", "write batch=orca"),
                           ("batch=orca,spec=chain,adapters=credit", "leave spec= or adapters= out")):
        assert cli.main(["check-policy", system]) == 2
        assert advice in capsys.readouterr().err
