import gzip

import pytest

from engine.errors import InputError
from exps.workload.clock import from_first_arrival
from exps.workload.timetable import SCHEMA
from exps.workload.trace_csv import read_trace_csv

HEADER = "arrival_s,client,prompt_tokens,output_tokens"
CALLS = "interaction,call,calls"
EXPECTED = "expected_input,expected_system,expected_output"


def write(folder, text):
    path = folder / "trace.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_reads_plain_and_gzip_alike(tmp_path):
    text = f"slo_tpot_s,category,{HEADER}\n0.05,chat,0.5,a,3,4\n,,0.5, b ,5.0,6\r\n\n"
    plain = write(tmp_path, text)
    packed = tmp_path / "trace.csv.gz"
    packed.write_bytes(gzip.compress(text.encode(), mtime=0))
    frame = read_trace_csv(plain)
    assert frame.schema == SCHEMA
    assert frame.equals(read_trace_csv(packed))
    assert frame["client"].to_list() == ["a", "b"]
    assert frame["prompt_tokens"].to_list() == [3, 5]
    assert frame["slo_tpot_s"].to_list() == [0.05, None]
    assert frame["category"].to_list() == ["chat", None]


def test_a_trace_may_tell_interactions_and_expectations(tmp_path):
    rows = ["0,a,2,3,1,1,2,4,1,9,r1", "1,b,2,3,,,,,,,r2", "2,a,2,3,1,2,2,4,1,9,r3"]
    frame = read_trace_csv(write(tmp_path, "\n".join([f"{HEADER},{CALLS},{EXPECTED},request", *rows])))
    assert frame.schema == SCHEMA
    assert frame["call"].to_list() == [1, None, 2] and frame["calls"].to_list() == [2, None, 2]
    assert frame["expected_output"].to_list() == [9.0, None, 9.0]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "the file is empty"),
        (HEADER, 2, "no requests"),
        ("arrival_s,client,prompt_tokens\n1,a,2", 1, "column output_tokens is missing"),
        (f"{HEADER},user\n1,a,2,3,u", 1, "unknown column 'user'"),
        (f"{HEADER}\n1,a,2,3\n2,a,-5,3", 3, "prompt_tokens is '-5'"),
        (f"{HEADER}\n1,a,0,3", 2, "prompt_tokens is '0'"),
        (f"{HEADER}\n1,a,NaN,3", 2, "prompt_tokens is 'NaN'"),
        (f"{HEADER}\n1,a,many,3", 2, "prompt_tokens is 'many'"),
        (f"{HEADER}\n1,a,2,2.5", 2, "output_tokens is '2.5'"),
        (f"{HEADER}\n1,a,2,inf", 2, "output_tokens is 'inf'"),
        (f"{HEADER}\n1,a,2", 2, "output_tokens is empty"),
        (f"{HEADER}\n1,a,1000000000000000000,3", 2, "it must be a whole number from 1 to 1,000,000,000"),
        (f"{HEADER}\n1900000000000000000,a,2,3", 2, "arrival_s looks like nanoseconds since 1970: divide by 1e9"),
        (f"{HEADER}\n1900000000000000,a,2,3", 2, "arrival_s looks like microseconds since 1970: divide by 1e6"),
        (f"{HEADER}\n1900000000000,a,2,3", 2, "arrival_s looks like milliseconds since 1970: divide by 1e3"),
        (HEADER.replace(",", ";"), 1, "the fields are separated by semicolons; separate them with commas"),
        (HEADER.replace(",", "\t"), 1, "the fields are separated by tabs"),
        ("when,who\n1,a", 1, "column arrival_s is missing; found when, who; expected arrival_s, client"),
        (f"{HEADER}, client", 1, "column client is there twice"),
        ('{"arrival_s": 0}', 1, "this is JSON; write a CSV"),
        (f"{HEADER}\n1,a,2,3\n1,a,2,3,4", 3, "5 fields"),
        (f"{HEADER}\n1,,2,3", 2, "client is empty"),
        (f"{HEADER}\nnan,a,2,3", 2, "arrival_s is 'nan'"),
        (f"{HEADER}\n-0.1,a,2,3", 2, "arrival_s is '-0.1'"),
        (f"{HEADER}\n1,a,2,3\n\n2,a,2,3", 3, "arrival_s is empty"),
        (f"{HEADER}\n2,a,2,3\n1,a,2,3", 3, "no earlier than in the row above"),
        (f'{HEADER}\n1,"a\nb",2,3\n2,a,2,0', 4, "output_tokens is '0'"),
        (f"{HEADER}\n2,a,2,0\n1,a,2,3", 2, "output_tokens is '0'"),
        (f"{HEADER},slo_tpot_s\n1,a,2,3,soon", 2, "slo_tpot_s is 'soon'"),
        (f"{HEADER},slo_s\n1,a,2,3,-1", 2, "slo_s is '-1'"),
        (f"{HEADER},request\n1,a,2,3,x\n2,b,2,3,x", 3, "request is 'x'; it must be an id that no row above has"),
        (f"{HEADER},request\n1,a,2,3,", 2, "request is empty"),
        (f"{HEADER},app_limit\n1,a,2,3,-5", 2, "app_limit is '-5'"),
        (f"{HEADER},expected_input\n1,a,2,3,4", 1, "column expected_system is missing; expected_input"),
        (f"{HEADER},{EXPECTED}\n1,a,2,3,4,0,4", 2, "expected_system is '0'"),
        (f"{HEADER},interaction\n1,a,2,3,4", 1, "column call is missing"),
        (f"{HEADER},{CALLS}\n1,a,2,3,7,3,2", 2, "call is '3'; it must be a whole number from 1 to calls"),
        (f"{HEADER},{CALLS}\n1,a,2,3,7,1,2\n1,a,2,3,7,1,2", 2, "some are missing, or another client's"),
        (f"{HEADER},{CALLS}\n1,a,2,3,7,1,1\n1,a,2,3,7,1,1", 3, "in no row above"),
        (f"{HEADER},{CALLS}\n1,a,2,3,7,1,3\n1,b,2,3,7,2,3\n1,a,2,3,7,3,3", 2, "some are missing, or another client's"),
    ],
)
def test_malformed_is_one_sentence_with_file_and_line(tmp_path, text, line, says):
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_trace_csv(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line {line}: ")
    assert says in message
    assert "\n" not in message


def test_spaces_after_commas_are_no_part_of_names_or_values(tmp_path):
    text = f"{HEADER}\n0,a,2,3\n1,b,2,3"
    spaced, plain = (read_trace_csv(write(tmp_path, text.replace(",", comma))) for comma in (", ", ","))
    assert spaced.equals(plain)


def test_times_that_span_years_cannot_be_seconds(tmp_path):
    """A minute in microseconds from 0 on: by its size alone it may be seconds, by its span it is not."""
    with pytest.raises(InputError, match=r"arrival_s spans 1\.9 years as seconds; it looks like .*: divide by"):
        read_trace_csv(write(tmp_path, f"{HEADER}\n0,a,2,3\n60000000,a,2,3"))


def test_the_clock_starts_at_the_first_arrival(tmp_path):
    read = read_trace_csv(write(tmp_path, f"{HEADER}\n1900000000,a,2,3\n1900000000.5,b,2,3"))
    moved, start_s = from_first_arrival(read)
    assert start_s == 1.9e9 and moved["arrival_s"].to_list() == [0.0, 0.5]
    assert moved.drop("arrival_s").equals(read.drop("arrival_s"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (HEADER.encode() + b"\n1,a\xff,2,3\n", "line 2: the text is not UTF-8"),
        (gzip.compress(HEADER.encode(), mtime=0)[:-6], "cannot be read"),
        (f"{HEADER},client\n1,a,2,3,a\n".encode(), "the column 'client' is there twice; keep one"),
        (None, "does not exist"),
    ],
)
def test_unreadable_files(tmp_path, content, says):
    path = tmp_path / "trace.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_trace_csv(path)
