"""The simulate command refuses what it would ignore."""

from __future__ import annotations

import cli


def test_a_second_system_is_refused_and_not_run_in_silence(tmp_path, capsys):
    words = ["--system", "vtc", "--system", "fcfs"]
    words += ["--model", "llama-2-7b", "--hardware", "a10g", "--out", str(tmp_path / "o")]
    assert cli.main(["simulate", "trace.csv", *words]) == 2
    assert "one system, not vtc and fcfs" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
