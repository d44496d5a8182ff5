import json

import polars as pl
import pytest

from engine.errors import InputError
from exps.workload.adaserve_loads import of_rate
from exps.workload.adaserve_traces import find_emission, read_emission

FIRST = {
    "emission_time_ms": 0.0,
    "input_length": 10,
    "output_length": 256,
    "prompt": "Hello [x], {y}",
    "slo_ratio": 1.2,
}
SECOND = {"emission_time_ms": 1500.5, "input_length": 20, "output_length": 256, "prompt": "Hi", "slo_ratio": -50.0}
ENTRIES = [FIRST, SECOND]


def write_json(path, entries):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries, indent=2))
    return path


def write_csv(path, entries):
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"input_length": "input_tokens", "output_length": "output_tokens"}
    pl.DataFrame(entries).drop("prompt").rename(columns).write_csv(path)
    return path


def test_json_and_csv_forms_are_equal(tmp_path):
    frame = read_emission(write_json(tmp_path / "emission.json", ENTRIES))
    assert frame.equals(read_emission(write_csv(tmp_path / "emission.csv", ENTRIES)))
    assert frame["arrival_s"].to_list() == [0.0, 1.5005]
    assert frame["slo_ratio"].to_list() == [1.2, -50.0]


@pytest.mark.parametrize(
    "place",
    [
        "emission_rps2.6_ol256.json",
        "fig8,9/emission_rps2.6_ol256.json",
        "exps/fig8,9/emission_rps2.6_ol256.json",
        "AdaServe-Artifact-Evaluation/exps/fig8,9/emission_rps2.6_ol256.json",
        "fig8_9_rps2.6_ol256.csv",
        "adaserve/fig8_9_rps2.6_ol256.csv.gz",
    ],
)
def test_finds_the_file_where_people_put_it(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert find_emission(tmp_path, of_rate(2.6)) == path


def test_not_found_names_patterns_and_the_command(tmp_path):
    with pytest.raises(InputError) as caught:
        find_emission(tmp_path, of_rate(3.0, 128))
    for part in ("emission_rps3.0_ol128.json", "fig8_9_rps3.0_ol128.csv", "exps/fig8,9", "cli.py setup --traces"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"input_length": None}, "input_length of request 2 is null"),
        ({"input_length": 0}, "input_length of request 2 is 0"),
        ({"input_length": 1.5}, "input_length of request 2 is 1.5"),
        ({"input_length": "20"}, 'input_length of request 2 is "20"'),
        ({"input_length": True}, "input_length of request 2 is true"),
        ({"output_length": -1}, "output_length of request 2 is -1"),
        ({"emission_time_ms": -1.0}, "emission_time_ms of request 2 is -1.0"),
        ({"emission_time_ms": float("nan")}, "emission_time_ms of request 2 is NaN"),
        ({"slo_ratio": 0}, "slo_ratio of request 2 is 0"),
    ],
)
def test_malformed_json_entries_name_file_and_line(tmp_path, change, says):
    path = write_json(tmp_path / "emission.json", [FIRST, SECOND | change])
    with pytest.raises(InputError) as caught:
        read_emission(path)
    assert str(caught.value).startswith(f"{path}, line 9: {says}; ")


def test_time_going_backwards_and_missing_fields(tmp_path):
    backwards = write_json(tmp_path / "backwards.json", [FIRST, SECOND, SECOND | {"emission_time_ms": 3.0}])
    with pytest.raises(InputError, match=r"line 16: emission_time_ms of request 3 is 3\.0; it must be no earlier"):
        read_emission(backwards)
    short = write_json(tmp_path / "short.json", [FIRST, {"emission_time_ms": 1.0}])
    with pytest.raises(InputError, match="line 9: request 2 has no input_length"):
        read_emission(short)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: not JSON"),
        ("[\n{,", "line 2: not JSON"),
        ("{}", "no requests"),
        ("[]", "no requests"),
        ("[" * 10**5, "nested"),
    ],
)
def test_what_is_not_an_emission_file(tmp_path, text, says):
    path = tmp_path / "emission.json"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        read_emission(path)


def test_malformed_csv_form(tmp_path):
    path = write_csv(tmp_path / "emission.csv", [FIRST, SECOND | {"slo_ratio": 0.0}])
    with pytest.raises(InputError, match=r"line 3: slo_ratio is '0\.0'"):
        read_emission(path)
