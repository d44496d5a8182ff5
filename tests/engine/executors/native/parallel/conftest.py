"""One pair of ranks for all tests of a file, since processes take seconds to start."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from engine.executors.native.parallel.ranks import Ranks
from tests.engine.executors.native.parallel.parts import part_of


@pytest.fixture(scope="module")
def ranks() -> Iterator[Ranks]:
    with Ranks(2, partial(part_of, kv_heads=2)) as started:
        yield started
