"""`cli.py check-policy`: the package's own policies keep their contract, and a broken one is named."""

from __future__ import annotations

import pytest

import cli
from engine.ordering import ORDERINGS
from engine.ordering.fcfs import FCFS
from exps.check_policy import command
from exps.report import Reporter
from tests.engine.invariants.orders import ORDERS


@pytest.mark.parametrize("order", ORDERS)
def test_every_ordering_keeps_its_contract(order, capsys):
    command(f"order={order}", Reporter(), workloads=9)
    assert "keeps its contract: 9 random workloads" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("spec", ["chain(tokens=3)", "adaserve", "specinfer(branching=2;1)"])
def test_every_speculation_keeps_its_contract(spec, capsys):
    command(f"order=vtc,spec={spec}", Reporter(), workloads=6)
    assert "keeps its contract" in " ".join(capsys.readouterr().out.split())


def test_a_broken_one_is_named_with_its_file_and_exit_1(monkeypatch, capsys):
    class Forgetful(FCFS):
        def requeue(self, request):
            pass

    monkeypatch.setitem(ORDERINGS, "forgetful", Forgetful)
    assert cli.main(["check-policy", "order=forgetful"]) == 1
    said = capsys.readouterr().err
    assert "the ordering policy Forgetful" in said and "test_check_policy.py, line" in said


def test_an_unknown_one_is_exit_2(capsys):
    assert cli.main(["check-policy", "order=vtx"]) == 2
    assert "did you mean vtc" in capsys.readouterr().err
