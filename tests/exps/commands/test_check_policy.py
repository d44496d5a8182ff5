"""`cli.py check-policy`: the package's own policies keep their contract, and a broken one is named."""

from __future__ import annotations

import pytest

import cli
from engine.ordering import ORDERINGS
from engine.ordering.fcfs import FCFS
from exps.commands.check_policy import check_policy
from exps.report import Reporter
from tests.engine.invariants.orders import ORDERS


@pytest.mark.parametrize("order", ORDERS)
def test_every_ordering_keeps_its_contract(order, capsys):
    check_policy(f"order={order}", Reporter(), workloads=9)
    assert "keeps its contract: 9 random workloads" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("spec", ["chain(tokens=3)", "adaserve", "specinfer(branching=2;1)"])
def test_every_speculation_keeps_its_contract(spec, capsys):
    check_policy(f"order=vtc,spec={spec}", Reporter(), workloads=6)
    assert "keeps its contract" in " ".join(capsys.readouterr().out.split())


def test_a_broken_one_is_named_with_its_file_and_exit_1(monkeypatch, capsys):
    class Forgetful(FCFS):
        def requeue(self, request):
            pass

    monkeypatch.setitem(ORDERINGS, "forgetful", Forgetful)
    assert cli.main(["check-policy", "order=forgetful"]) == 1
    said = capsys.readouterr().err
    assert "the ordering policy Forgetful" in said and "test_check_policy.py, line" in said


class Rejects(FCFS):
    def on_arrival(self, request, now):
        return "not today"


class Leaves(FCFS):
    def next(self, now):
        raise SystemExit(0)


class RaisesAtTheRefused(FCFS):
    def on_refused(self, request):
        raise KeyError(request.client)


class NeedsNonsense(FCFS):
    needs = ("nonsense",)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Rejects, "served nobody: it rejected or dropped every request of 60 random workloads"),
        (Leaves, "the ordering policy Leaves raised SystemExit: 0 in next"),
        (RaisesAtTheRefused, "the ordering policy RaisesAtTheRefused raised KeyError"),
        (NeedsNonsense, "NeedsNonsense answered ('nonsense',), which are no columns of a timetable, in needs"),
    ],
)
def test_what_errs_seldom_or_quietly_is_named_too(policy, words, monkeypatch, capsys):
    monkeypatch.setitem(ORDERINGS, "odd", policy)
    assert cli.main(["check-policy", "order=odd"]) == 1
    assert words in capsys.readouterr().err


def test_needs_that_are_no_columns_end_a_run_before_it_begins(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(ORDERINGS, "odd", NeedsNonsense)
    assert cli.main(["run", "vtc/fig3", "--quick", "--with", "order=odd", "--results", str(tmp_path)]) == 2
    assert "which are no columns of a timetable, in needs" in capsys.readouterr().err


def test_an_unknown_one_is_exit_2(capsys):
    assert cli.main(["check-policy", "order=vtx"]) == 2
    assert "did you mean vtc" in capsys.readouterr().err
