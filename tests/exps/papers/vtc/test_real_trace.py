"""VTC's real workload: drawn with the recorded statistics, and read from recorded runs."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.errors import InputError
from exps.papers.vtc.real_trace import drawn_real, recorded_real
from exps.workload.arrivals import index_of_dispersion

SHARED = Path(__file__).parents[5] / "shared" / "reference" / "vtc"
COUNTS = [1, 2, 2, 3, 7, 11, 12, 19, 19, 22, 22, 23, 25, 26, 31, 36, 40, 43, 44, 46, 56, 66, 67, 120, 199, 262, 296]
HEADER = "client,prompt_tokens,output_tokens,send_time_s,first_token_latency_s,request_latency_s\n"


def counts(frame: pl.DataFrame) -> list[int]:
    return sorted(frame["client"].value_counts()["count"].to_list())


def dispersion(frame: pl.DataFrame, bin_s: float) -> float:
    return index_of_dispersion(frame["arrival_s"].to_numpy(), bin_s, 600.0)


def test_a_draw_has_the_recorded_counts_lengths_and_span() -> None:
    frame = drawn_real(5)
    assert counts(frame) == COUNTS
    assert frame.filter(client="client-27").height == 296
    assert frame["prompt_tokens"].mean() == pytest.approx(136 + 2, rel=0.1)
    assert frame["output_tokens"].mean() == pytest.approx(256, rel=0.1)
    assert frame["prompt_tokens"].is_between(2 + 2, 1021 + 2).all() and frame["output_tokens"].is_between(2, 977).all()
    assert frame["arrival_s"].is_between(0, 600).all()


def test_draws_are_as_bursty_as_recorded_in_all_and_by_client() -> None:
    frames = [drawn_real(seed) for seed in range(10)]
    assert np.mean([dispersion(frame, 20.0) for frame in frames]) == pytest.approx(3.4, rel=0.25)
    bursty, steady = (
        np.mean([dispersion(frame.filter(client=f"client-{rank}"), 60.0) for frame in frames]) for rank in (26, 27)
    )
    assert bursty > 8 > 5 > steady


def test_the_seed_decides_the_draw() -> None:
    assert drawn_real(1).equals(drawn_real(1)) and not drawn_real(1).equals(drawn_real(2))


def test_a_folder_of_recorded_runs_gives_its_requests(tmp_path: Path) -> None:
    (tmp_path / "fcfs_real.csv.gz").write_bytes(gzip.compress((HEADER + "7,10,5,0.5,0.1,0.4\n3,20,6,0.25,-1,-1\n").encode()))
    frame = recorded_real(tmp_path)
    assert frame.select("arrival_s", "client", "prompt_tokens", "output_tokens").rows() == [
        (0.25, "3", 22, 6),
        (0.5, "7", 12, 5),
    ]


def test_a_folder_without_the_real_runs_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"No vtc_real.csv.gz or fcfs_real.csv.gz in {tmp_path}; .*--traces"):
        recorded_real(tmp_path)


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded runs are not part of the repository")
def test_the_recorded_requests_have_the_statistics_that_draws_are_made_with() -> None:
    frame = recorded_real(SHARED)
    assert counts(frame) == COUNTS == counts(drawn_real(0))
    assert (frame["prompt_tokens"].mean(), frame["output_tokens"].mean()) == pytest.approx((138.3, 256.2), abs=0.05)
    assert dispersion(frame, 20.0) == pytest.approx(3.4, abs=0.05)
