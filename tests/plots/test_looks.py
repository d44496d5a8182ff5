"""Looks: no two systems of a picture alike, however many; legends that fit."""

from __future__ import annotations

from exps.papers.exfairs.pictures import system_strokes
from plots.style import OTHERS, SYSTEMS, legend_columns, looks_of


def test_no_two_looks_are_alike():
    names = ["vtc", "fcfs", *(f"order=mine({number})" for number in range(60))]
    looks = looks_of(names).values()
    assert len({(look.colour, look.marker, look.line) for look in looks}) == len(names)


def test_the_first_looks_are_solid_and_of_free_colours():
    mine = looks_of(["vtc", "fcfs", "a", "b"])
    taken = {SYSTEMS["vtc"].colour, SYSTEMS["fcfs"].colour}
    expected = [look for look in OTHERS if look[0] not in taken][:2]
    assert [(mine[name].colour, mine[name].marker) for name in "ab"] == expected


def test_unknown_strategies_differ_in_exfairs_pictures():
    strokes = system_strokes(["exfairs", "order=a", "order=b", "order=c"]).values()
    assert len({(stroke.colour, stroke.marker, stroke.line) for stroke in strokes}) == 4


def test_long_labels_take_fewer_columns():
    assert legend_columns(["VTC"] * 9, 7.0, 4) == 4
    assert legend_columns(["order=vtc,batch=sarathi,spec=adaserve(depth=4)"] * 9, 7.0, 4) < 3


def test_two_systems_of_one_look_do_not_share_it_in_one_picture():
    looks = looks_of(["vtc", "fs-fair-odt-wsc-limit"])
    assert looks["vtc"] == SYSTEMS["vtc"] and looks["fs-fair-odt-wsc-limit"].label == "FS (W+O)"
    assert len({(look.colour, look.marker) for look in looks.values()}) == 2
