"""What a container is started with."""

from __future__ import annotations

from inspect import signature
from unittest.mock import Mock

import pytest
from docker.utils import parse_bytes

import cli_containers
from hosting.engines import LABEL
from hosting.named import DOCKER
from hosting.starting import Wish, create
from hosting.storage import TENSOR_PARALLEL_SHARED_BYTES


@pytest.mark.parametrize(("wish", "shared"), [(Wish(), "8g"), (Wish(shm="16g"), "16g")])
def test_it_has_the_shared_memory_that_ranks_exchange_through(wish, shared, tmp_path):
    engine = Mock(kind=DOCKER, rootless=False)
    create(engine, wish, {"Id": "an-image", "Labels": {LABEL: "cpu"}}, tmp_path, tmp_path / "models", "kit")
    assert engine.api.containers.create.call_args.kwargs["shm_size"] == shared


def test_what_start_gives_unasked_is_what_doctor_calls_enough():
    unasked = signature(cli_containers.start).parameters["shm"].default
    assert parse_bytes(unasked) == parse_bytes(Wish().shm) == TENSOR_PARALLEL_SHARED_BYTES
