"""The service-difference metric: by hand, and against the paper's tables on its own recorded runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from exps.metrics.tables import service_differences
from exps.recorded.recordings import read_recordings

SHARED = Path(__file__).parents[4] / "shared" / "reference" / "vtc"
# Tables 2 and 5: largest, mean, variance, tokens a second.
PAPER = {
    "fcfs_real": (759.97, 433.53, 32112.00, 777),
    "vtc_real": (368.40, 251.66, 6549.16, 779),
    "rpm10_real": (217.65, 128.24, 2767.44, 532),
    "vtc_overload": (192.88, 103.77, 6981.24, 893),
    "vtc_oracle_overload": (5.87, 0.51, 1.71, 895),
}


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded runs are not part of the repository")
@pytest.mark.parametrize("name", PAPER)
def test_on_the_recorded_runs_it_is_what_the_paper_prints(name):
    run = next(run for run in read_recordings(SHARED) if run.name == name)
    found = service_differences(run.records(), run.total_s)
    largest, mean, variance, tokens = PAPER[name]
    assert (found.largest, found.mean) == pytest.approx((largest, mean), abs=0.01)
    assert found.variance == pytest.approx(variance, rel=1e-4, abs=0.01)
    assert found.tokens_per_s == pytest.approx(tokens, abs=0.5)


def test_a_client_lacks_the_smaller_of_its_gap_and_its_unmet_demand(make_requests):
    """Over [0, 600] a is served 10 a second; b asks for 4 and gets 3, so it lacks 1, not 7."""
    spread = {"first_token_s": 0.0, "finished_s": 600.0, "output_tokens": 0}
    rows = [{"client": "a", "prompt_tokens": 6000, "arrival_s": 0.0, **spread}]
    rows += [{"client": "b", "prompt_tokens": 1800, "arrival_s": 0.0, **spread}]
    late = {"client": "b", "prompt_tokens": 4, "output_tokens": 0, "first_token_s": 9998.0, "finished_s": 9999.0}
    rows += [{**late, "arrival_s": float(second)} for second in range(1, 600)]
    found = service_differences(make_requests(*rows), 10_000.0)
    assert (found.largest, found.mean) == pytest.approx((1.0, 1.0), abs=0.1)
    assert found.tokens_per_s == pytest.approx((6000 + 1800 + 4 * 599) / 10_000)


def test_throughput_counts_both_kinds_of_tokens(make_requests):
    rows = [{"client": "a", "prompt_tokens": 300, "output_tokens": 200, "arrival_s": 0.0, "first_token_s": 1.0,
             "finished_s": 9.0}]
    assert service_differences(make_requests(*rows), 100.0).tokens_per_s == 5.0
