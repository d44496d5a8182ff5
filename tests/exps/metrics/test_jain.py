"""Jain's index, by hand and by its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exps.metrics.jain import jain, min_max_jain

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("values", "index"),
    [([3.0], 1.0), ([2.0, 2.0, 2.0], 1.0), ([5.0, 0.0, 0.0, 0.0], 0.25), ([1.0, 3.0], 0.8)],
)
def test_the_plain_index_by_hand(values, index):
    assert jain(values) == pytest.approx(index)


@pytest.mark.parametrize(
    ("values", "index"),
    [([], 0.0), ([3.0], 1.0), ([7.0, 7.0], 1.0), ([0.0, 0.5, 1.0], 0.6), ([0.0, 0.01], 0.5), ([1.0, 100.0], 0.5)],
)
def test_the_index_of_the_artifact_by_hand(values, index):
    assert min_max_jain(values) == pytest.approx(index)
    assert min_max_jain(values, smaller_is_better=True) == pytest.approx(index)


def test_the_direction_matters_where_values_are_skewed():
    """Places 0, 0, 1 give 1/3, and turned round 1, 1, 0 give 2/3."""
    assert min_max_jain([2.0, 2.0, 5.0]) == pytest.approx(1 / 3)
    assert min_max_jain([2.0, 2.0, 5.0], smaller_is_better=True) == pytest.approx(2 / 3)


@pytest.mark.parametrize("values", [[], [0.0], [0.0, 0.0, 0.0]])
def test_where_nothing_is_shared_there_is_no_index(values):
    assert jain(values) is None


@given(VALUES.filter(any), st.floats(0.01, 100))
def test_the_plain_index_lies_between_one_nth_and_one_and_knows_no_unit(values, scale):
    index = jain(values)
    assert 1 / len(values) - 1e-9 <= index <= 1 + 1e-9
    if max(values) > 1e-300:
        assert jain([scale * value for value in values]) == pytest.approx(index)


@given(VALUES, st.floats(1, 1000))
def test_the_artifacts_index_does_not_see_how_far_apart_values_are(values, offset):
    whole = [float(round(value)) for value in values]
    assert min_max_jain([value + round(offset) for value in whole]) == pytest.approx(min_max_jain(whole))


def test_the_artifacts_index_of_nobody_is_0():
    assert min_max_jain([]) == 0.0
