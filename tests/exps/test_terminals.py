"""What a person sees: names as written, on any terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exps.report import columns_that_fit
from plots.style import RC

ROOT = Path(__file__).parent.parent.parent
TRACE = "arrival_s,client,prompt_tokens,output_tokens\n0,team[a],10,5\n0,team[b],20,5\n1,[/b],10,5\n2,客户,30,9\n3,a$x$b,9,9\n"


def simulate(tmp_path, system="vtc", trace=TRACE, **env):
    path = tmp_path / "trace.csv"
    path.write_text(trace, encoding="utf-8")
    command = [sys.executable, "cli.py", "simulate", str(path), "--system", system, "--model", "llama-2-7b"]
    command += ["--hardware", "a10g", "--out", str(tmp_path / "out")]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, check=False)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_clients_are_shown_as_written_as_well_as_the_terminal_can(tmp_path, encoding):
    done = simulate(tmp_path, PYTHONIOENCODING=encoding)
    out = done.stdout.decode(encoding)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert all(name in out for name in ("team[a]", "team[b]", "[/b]", "a$x$b"))
    assert ("客户" if encoding == "utf-8" else r"\u5ba2\u6237") in out


def test_a_trace_that_lacks_what_the_system_goes_by_is_refused(tmp_path):
    done = simulate(tmp_path, "fairserve")
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    assert b"fairserve goes by expected_input, expected_system, expected_output, which the trace lacks" in done.stderr


def test_a_table_is_parted_rather_than_its_numbers():
    cells = {"client": ["a"], **{f"number_{n}": ["1,234,567.8"] for n in range(9)}}
    parts = columns_that_fit(cells, 80)
    assert len(parts) > 1 and [name for part in parts for name in part[1:]] == list(cells)[1:]
    for part in parts:
        assert part[0] == "client" and sum(2 + max(len(name), len(cells[name][0])) for name in part) <= 80


def test_a_wide_enough_table_stays_whole():
    assert columns_that_fit({"client": ["a"], "n": ["1"]}, 80) == [["client", "n"]]


def test_the_backend_of_a_notebook_is_not_asked_for(tmp_path):
    script = "import plots.style, matplotlib; assert matplotlib.get_backend().lower() == 'agg'"
    env = {**os.environ, "MPLBACKEND": "module://not_installed_here"}
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, check=False).returncode == 0


def test_a_dollar_in_a_name_is_no_formula():
    assert RC["text.parse_math"] is False
