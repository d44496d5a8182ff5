"""What a person sees: names as written, on any terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from exps.report import columns_that_fit
from plots.style import house_style

ROOT = Path(__file__).parents[3]
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
    assert b"fairserve goes by expected_input, expected_system, expected_output, which the workload lacks" in done.stderr


def test_a_table_is_parted_rather_than_its_numbers():
    cells = {"client": ["a"], **{f"number_{n}": ["1,234,567.8"] for n in range(9)}}
    parts = columns_that_fit(cells, 80)
    assert len(parts) > 1 and [name for part in parts for name in part[1:]] == list(cells)[1:]
    for part in parts:
        assert part[0] == "client" and sum(2 + max(len(name), len(cells[name][0])) for name in part) <= 80


def test_a_wide_enough_table_stays_whole():
    assert columns_that_fit({"client": ["a"], "n": ["1"]}, 80) == [["client", "n"]]


def test_the_backend_of_a_notebook_is_not_asked_for(tmp_path):
    command = [sys.executable, "cli.py", "run", "vtc/fig3", "--quick", "--system", "fcfs", "--jobs", "1"]
    env = {**os.environ, "MPLBACKEND": "module://not_installed_here"}
    done = subprocess.run([*command, "--results", str(tmp_path)], cwd=ROOT, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b".png" in done.stdout


def test_a_dollar_in_a_name_is_no_formula(tmp_path):
    """In a picture of vectors the letters stand as they are."""
    with house_style(), rc_context({"svg.fonttype": "none"}):
        figure = Figure()
        figure.text(0.1, 0.1, "team a$x_1$b")
        figure.savefig(tmp_path / "name.svg")
    assert "team a$x_1$b" in (tmp_path / "name.svg").read_text()


def test_without_the_letters_of_a_terminal_lines_are_of_its_own(tmp_path):
    out = simulate(tmp_path, PYTHONIOENCODING="ascii").stdout
    assert b"+---" in out and not any(byte > 127 for byte in out)
