"""Hand-made records, and a plan of two quick points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from exps.figures.figure import Options, Selection
from exps.papers.registry import expand, find_figure
from exps.run.plan import Plan, make_plan

MakeRequests = Callable[..., pl.DataFrame]
MakePlan = Callable[..., Plan]


@pytest.fixture
def make_requests() -> MakeRequests:
    """Records from one dict a request; a request is finished unless it says otherwise."""
    defaults: dict[str, Any] = {
        "client": "a", "status": "finished", "prompt_tokens": 10, "output_tokens": 5, "arrival_s": 0.0,
        "first_token_s": 1.0, "finished_s": 2.0, "slo_tpot_s": None, "steps": 4, "drafted_tokens": 0,
        "accepted_tokens": 0, "preemptions": 0,
    }
    floats = {name: pl.Float64 for name in ("arrival_s", "first_token_s", "finished_s", "slo_tpot_s")}

    def make(*rows: dict[str, Any]) -> pl.DataFrame:
        return pl.DataFrame([{**defaults, **row} for row in rows], schema_overrides=floats, infer_schema_length=None)

    return make


@pytest.fixture
def quick_plan(tmp_path: Path) -> MakePlan:
    """The plan of vllm and sarathi at one rate of a quick Figure 8 in a fresh results folder."""

    def make(**changes: Any) -> Plan:
        figure = find_figure("fig8")
        asked = Options(**{"quick": True, **changes})
        points, options = expand(figure, Selection(("llama",), ("vllm", "sarathi"), (2.6,)), asked)
        return make_plan(figure, points, options, tmp_path / "results")

    return make
