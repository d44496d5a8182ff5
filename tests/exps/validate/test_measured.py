"""What was measured on a GPU, simulated again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import cli
from exps.validate.measured import compared

H100 = Path(__file__).parents[3] / "results" / "measured" / "h100"
POINTS = H100 / "adaserve" / "fig8" / "native-h100-80gb-hbm3-widened" / "llama-8b"


@pytest.fixture
def some(tmp_path: Path) -> Path:
    """Two of the points, with the profile that lies beside them."""
    shutil.copytree(H100 / "profiles", tmp_path / "profiles")
    for system in ("adaserve", "vllm"):
        shutil.copytree(POINTS / system / "rps-12.5", tmp_path / "points" / system)
    return tmp_path


def test_the_same_arrivals_are_served_again(some: Path) -> None:
    adaserve, vllm = sorted(compared(some), key=lambda one: one.system)
    assert (adaserve.system, vllm.system, adaserve.x) == ("adaserve", "vllm", 12.5)
    assert adaserve.native["attainment_pct"] == pytest.approx(98.53, abs=0.01)
    assert adaserve.simulated["tokens"] == pytest.approx(adaserve.native["tokens"], abs=0.3)
    assert vllm.native["tokens"] == vllm.simulated["tokens"] == 1
    assert 0 < vllm.simulated["step_ms"] < vllm.native["step_ms"]


def test_the_command_prints_both(some: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "--measured", "--results", str(some)]) == 0
    printed = capsys.readouterr().out
    assert "adaserve/fig8 llama-3.1-8b on h100-80gb-hbm3" in printed and "over 2 points" in " ".join(printed.split())


@pytest.mark.parametrize("broken", ["quick", "unfinished", "nothing"])
def test_without_a_whole_native_point_it_says_what_to_run(
    some: Path, broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import polars as pl

    for path in (some / "points").glob("*/manifest.json"):
        if broken == "quick":
            path.write_text(path.read_text().replace('"quick": false', '"quick": true'))
        elif broken == "unfinished":
            requests = pl.read_parquet(path.with_name("requests.parquet"))
            requests.with_columns(status=pl.lit("unfinished")).write_parquet(path.with_name("requests.parquet"))
        else:
            path.unlink()
    assert cli.main(["validate", "--measured", "--results", str(some)]) == 2
    assert "run a figure with --backend native" in capsys.readouterr().err
