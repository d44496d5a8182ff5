import polars as pl
import pytest

from engine.errors import InputError
from exps.figures.published import read_published

SYSTEMS = {"adaserve", "sarathi", "vllm", "vllm-spec-4", "vllm-spec-6", "vllm-spec-8"}


@pytest.mark.parametrize(("name", "value"), [("fig8", "slo_attainment_pct"), ("fig9", "goodput_tokens_per_s")])
def test_adaserve_has_every_point_once(name, value):
    frame = read_published("adaserve", name)
    assert set(frame["system"]) == SYSTEMS
    assert frame.group_by("model").len().sort("model").rows() == [("llama", 72), ("qwen", 60)]
    assert frame.select("model", "system", "rps").is_unique().all()
    assert frame[value].null_count() == 0


def test_vtc_separates_the_schedulers():
    last = read_published("vtc", "fig3a").filter(time_s=570)
    difference = dict(last.select("system", "service_difference").iter_rows())
    assert difference["fcfs"] == pytest.approx(2.49e5, rel=0.01)
    assert difference["vtc"] < 8.0e3
    rates = read_published("vtc", "fig3b").group_by("client").agg(pl.col("service_per_s").mean())["service_per_s"]
    assert rates[0] == pytest.approx(rates[1], rel=0.02)


def test_unknown_name_says_what_is_there():
    with pytest.raises(InputError, match="there is fig3a, fig3b"):
        read_published("vtc", "fig4")
