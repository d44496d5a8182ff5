import polars as pl
import pytest

from plots.axes import Axis, Bound, Panels
from plots.curves import curves
from plots.style import SYSTEMS, looks_of

RPS, ATTAINMENT = Axis("rps", "Request rate (requests/s)"), Axis("attainment", "SLO attainment (%)", (0, 100))


def sweep(systems=("adaserve", "vllm"), models=("llama", "qwen")):
    rows = [(model, system, rps, 90.0 - 5 * rps) for model in models for system in systems for rps in (2.6, 3.0, 3.4)]
    return pl.DataFrame(rows, schema=["model", "system", "rps", "attainment"], orient="row")


def draw(path, ours, published=None, **more):
    panels = Panels("model", {"llama": "Llama-3.1-70B", "qwen": "Qwen2.5-32B"})
    return curves(ours, published, x=RPS, y=ATTAINMENT, path=path, panels=panels, **more)


def png_width(path):
    return int.from_bytes(path.read_bytes()[16:20], "big")


def test_writes_pdf_with_fonts_and_png(tmp_path):
    pdf, png = draw(tmp_path / "new" / "fig8.llama", sweep(), sweep(), footer="simulated")
    assert (pdf.name, png.name) == ("fig8.llama.pdf", "fig8.llama.png")
    assert b"FontFile2" in pdf.read_bytes()
    assert b"CreationDate" not in pdf.read_bytes()
    assert png.read_bytes().startswith(b"\x89PNG")


def test_same_frames_same_bytes(tmp_path):
    first = draw(tmp_path / "a", sweep(), sweep(), footer="simulated")
    second = draw(tmp_path / "b", sweep(), sweep(), footer="simulated")
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_published_curves_and_footer_are_drawn(tmp_path):
    plain = draw(tmp_path / "a", sweep())
    for i, more in enumerate(({"published": sweep()}, {"footer": "simulated"})):
        assert draw(tmp_path / str(i), sweep(), **more)[1].read_bytes() != plain[1].read_bytes()


def test_one_model_takes_a_column_two_take_the_page(tmp_path):
    one = draw(tmp_path / "a", sweep(models=["llama"]), sweep())
    two = draw(tmp_path / "b", sweep(), sweep())
    assert (png_width(one[1]), png_width(two[1])) == (666, 1400)


def test_published_series_that_ours_lacks_are_left_out(tmp_path):
    few = draw(tmp_path / "a", sweep(["adaserve"]), sweep(["adaserve"]))
    many = draw(tmp_path / "b", sweep(["adaserve"]), sweep(["adaserve", "sarathi"]))
    assert few[0].read_bytes() == many[0].read_bytes()


def test_curves_skip_gaps_and_draw_the_bound(tmp_path):
    frame = pl.DataFrame(
        {"system": ["vtc", "fcfs"] * 4, "t": [0, 0, 1, 1, 2, 2, 3, 3], "d": [0, 0, 1, 9, None, 19, 2, 30_000]}
    )
    time, difference = Axis("t", "Time (s)", (0, 3)), Axis("d", "Service difference (tokens)", (0, None))
    files = [
        curves(frame, frame, x=time, y=difference, series="system", bounds=bounds, path=tmp_path / name)
        for name, bounds in (("a", []), ("b", [Bound(40.0, "2U")]))
    ]
    assert files[0][1].read_bytes() != files[1][1].read_bytes()


def test_systems_keep_their_looks_and_strangers_get_distinct_ones():
    looks = looks_of(["a", "vllm", "b", "order=vtc,spec=adaserve"])
    assert looks["vllm"] == SYSTEMS["vllm"] == looks_of(["vllm"])["vllm"]
    strangers = [(looks[name].colour, looks[name].marker) for name in ("a", "b", "order=vtc,spec=adaserve")]
    assert len(set(strangers)) == 3


@pytest.mark.parametrize(
    "group", [["adaserve", "sarathi", "vllm", "vllm-spec-4", "vllm-spec-6", "vllm-spec-8"], ["vtc", "fcfs"]]
)
def test_systems_of_one_figure_differ_in_colour_and_marker(group):
    for part in ("colour", "marker"):
        assert len({getattr(SYSTEMS[name], part) for name in group}) == len(group)


def test_no_two_of_a_few_series_look_alike():
    names = ["vtc", "vtc-pred-50", "vtc-oracle", "order=mine", "fcfs"]
    looks = looks_of(names)
    assert list(looks) == names
    assert len({look.colour for look in looks.values()}) == len(names)
