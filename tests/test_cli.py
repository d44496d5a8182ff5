"""Exit codes, sentences and output of the command line."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

import cli
from exps.figures.claims import FAILS, HOLDS

ROOT = Path(__file__).parents[1]


@pytest.fixture
def call(capfd):
    """Runs a command in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.main([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return run


@pytest.fixture(scope="module")
def overload(tmp_path_factory):
    """A results folder with VTC's Figure 3 in it."""
    results = tmp_path_factory.mktemp("results")
    assert cli.main(["run", "vtc/fig3", "--results", str(results), "--jobs", "1"]) == 0
    return results


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "trace.csv"
    rows = [f"{i},{'ab'[i % 2]},100,{20 + i},0.05" for i in range(20)]
    path.write_text("\n".join(["arrival_s,client,prompt_tokens,output_tokens,slo_tpot_s", *rows, "20,c,90000,10,0.05"]))
    return path


SIMULATE = ("--system", "vtc", "--model", "llama-2-7b", "--hardware", "a10g")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "fig88"], "did you mean fig8"),
        (["run", "fig8", "--model", "lama"], "did you mean llama"),
        (["run", "fig8", "--system", "vtcc"], "did you mean vtc"),
        (["run", "fig8", "--sistem", "vtc"], "did you mean --system"),
        (["rum", "fig8"], "did you mean run"),
        (["run", "fig8", "--backend", "nativ"], "did you mean native or auto?"),
        (["run", "fig8", "--model", "llama", "--backend", "native"], "in float32 and this machine has"),
        (["run", "fig8", "--model", "llama,tiny"], "a command of its own"),
        *(
            (["run", "vtc/fig3", option, ""], f"{option} names nothing")
            for option in ("--model", "--system", "--with", "--setting", "--at", "--rps")
        ),
        (["run", "vtc/fig3", "--system", ","], "--system names nothing"),
        (["run", "fig8", "--rps", "3:4:-1"], "is no range of rates above 0"),
        (["check", "fig8", "--json", "--markdown"], "--json and --markdown exclude each other"),
        (["run", "fig8", "--weights", "widend"], "own or widened"),
        (["run", "fig8", "--acceptance", "x"], "measured"),
        (["check", "fig8", "--model", "tiny", "--results", "nowhere"], "cli.py profile --model tiny"),
        (["profile", "--model", "tny"], "did you mean tiny"),
        (["validate"], "--native"),
        (["run", "fig8", "--backend", "http"], "unknown backend 'http'"),
        (["run", "fig8", "--backend", "sym"], "did you mean sim"),
        (["run", "fig8", "--calibration", "scaledd"], "did you mean scaled"),
        (["run", "fig8", "--seed", "x"], "--seed"),
        (["run", "fig8", "--jobs", "0"], "--jobs"),
        (["run", "fig8", "--traces", "nowhere"], "nowhere"),
        (["run"], "FIGURE"),
        (["check", "fig8", "--results", "nowhere"], "cli.py run adaserve/fig8"),
        (["simulate", "nowhere.csv", *SIMULATE, "--out", "unused"], "nowhere.csv"),
        (["simulate", "nowhere.csv", "--system", "vtc"], "--model"),
        (["setup"], "--traces"),
    ],
)
def test_what_is_typed_wrong_is_one_sentence_and_2(call, arguments, words):
    code, out, errors = call(*arguments)
    assert code == 2
    assert words in errors
    assert len(errors.strip().splitlines()) == 1
    assert out == ""
    assert not Path("unused").exists()


def test_help_loads_nothing_heavy_and_names_every_command():
    heavy = "{'polars', 'numpy', 'scipy', 'matplotlib', 'torch', 'joblib', 'docker', 'rich'}"
    script = f"import sys, cli; cli.main(['--help']); assert not {heavy} & set(sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    for command in ("list", "run", "plot", "check", "check-policy", "simulate", "validate", "fit", "setup", "doctor"):
        assert f"  {command} " in shown.stdout


def test_help_loads_no_heavy_package():
    code = "import sys, cli; cli.main(['--help']); print([m for m in ('numpy', 'polars', 'rich') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["run", "plot", "check"])
def test_help_names_the_backends_that_there_are(call, command, monkeypatch):
    from exps.run.backends import BACKENDS

    mine = Mock(label="MINE, and no other's")
    monkeypatch.setitem(BACKENDS, "mine", mine)
    shown = " ".join(call(command, "--help")[1].split())
    for name, backend in BACKENDS.items():
        assert f"{name} ({backend.label})" in shown


def test_every_option_has_a_help_text():
    from typer.main import get_command

    commands = get_command(cli.app).commands.values()
    options = [(command.name, option) for command in commands for option in command.params if option.opts[0][0] == "-"]
    silent = [(command, option.name) for command, option in options if not option.help]
    assert silent == []
    assert all("Example" in (command.help or "") for command in commands)


def test_list(call):
    code, out, _ = call("list", "--json")
    figures = {row["figure"]: row for row in json.loads(out)["figures"]}
    assert code == 0
    assert figures["adaserve/fig8"]["points"] == 132
    assert figures["adaserve/fig9"]["points_of"] == "adaserve/fig8"
    code, out, _ = call("list")
    assert code == 0
    assert "vtc/fig3" in out


def test_list_shows_pairs_that_simulate_takes_and_one_that_it_can_compute(call, trace, tmp_path):
    found = json.loads(call("list", "--json")[1])
    pairs = {(row["model"], row["hardware"]): row for row in found["simulated"]}
    assert {("llama-2-7b", "a10g"), ("llama-3.1-70b", "4xa100-80g")} <= set(pairs) and "h200" in found["hardware"]
    for number, (model, hardware) in enumerate([*pairs, (found["models"][-1], "2xh200")]):
        row = pairs.get((model, hardware), {"calibrations": ["first-principles"], "draft": False})
        system = "vllm-spec-4" if row["draft"] else "vllm"
        where = ("--model", model, "--hardware", hardware, "--calibration", row["calibrations"][-1])
        code, _, errors = call("simulate", trace, "--system", system, *where, "--out", tmp_path / f"{number}")
        assert code == 0, errors
    shown = call("list")[1]
    assert all(re.search(rf"{model} +{hardware} ", shown) for model, hardware in pairs)


def test_doctor_changes_nothing(call, tmp_path):
    code, out, _ = call("doctor", "--json", "--results", tmp_path / "results")
    found = json.loads(out)
    assert code == 0
    assert {(row["figure"], row["backend"]): row["ok"] for row in found["figures"]}["vtc/fig3", "sim"]
    assert list(tmp_path.iterdir()) == []


def test_run_shows_plan_claims_source_and_picture(call, overload):
    code, out, _ = call("run", "vtc/fig3", "--results", overload)
    assert code == 0
    for words in ("Every point is complete", "3a bound", "SIMULATION", "a10g", "calibration", "fig3a-sim"):
        assert words in out


def test_check_exits_with_1_only_when_a_claim_fails(call, overload):
    code, out, _ = call("check", "vtc/fig3", "--results", overload, "--json")
    verdicts = {row["claim"]: row["verdict"] for row in json.loads(out)[0]["claims"]}
    assert code == (1 if FAILS in verdicts.values() else 0)
    assert verdicts["3a bound"] == HOLDS


def test_a_failing_claim_is_1(call, overload, monkeypatch):
    from exps.commands import findings
    from exps.figures.claims import Judgement

    row = Judgement("C", "llama", "", "s", "p", "t", "o", FAILS, "", "why", held=0, judged=1)
    monkeypatch.setattr(findings, "judge", lambda *_: [row])
    assert call("check", "vtc/fig3", "--results", overload)[0] == 1
    assert call("run", "vtc/fig3", "--results", overload)[0] == 0


def test_plot_draws_again(call, overload):
    for picture in (overload / "vtc" / "fig3").glob("*.pdf"):
        picture.unlink()
    code, out, _ = call("plot", "vtc/fig3", "--results", overload)
    assert code == 0
    assert (overload / "vtc" / "fig3" / "fig3a-sim-session-2024.pdf").exists()
    assert "Picture" in out


def test_compositions_run_in_any_figure(call, tmp_path):
    composition = ("--system", "vllm", "--system", "order=vtc,spec=adaserve")
    code, _, _ = call("run", "fig8", "--model", "llama", "--rps", "3", "--quick", *composition, "--results", tmp_path)
    assert code == 0
    assert {path.parent.name for path in tmp_path.rglob("rps-3")} == {"vllm", "order=vtc,spec=adaserve"}


def test_simulate_writes_records_and_counts_the_rejected(call, trace, tmp_path):
    code, out, _ = call("simulate", trace, *SIMULATE, "--out", tmp_path / "out")
    assert code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"requests.parquet", "summary.json", "manifest.json"}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["submitted"], summary["rejected"]) == (21, 1)
    assert "Not served: 1 requests" in out
    assert "By client" in out


def test_simulate_never_replaces_other_peoples_files(call, trace, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    code, _, errors = call("simulate", trace, *SIMULATE, "--out", tmp_path / "mine")
    assert code == 2
    assert "thesis.txt" in errors
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_read_only_results_folder_stops_before_any_work(call, tmp_path, mount, monkeypatch):
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
    elif not mount(tmp_path, "ro"):
        refusal = OSError(errno.EROFS, os.strerror(errno.EROFS))
        monkeypatch.setattr("exps.run.records._write_flushed", Mock(side_effect=refusal))
    code, out, errors = call("run", "vtc/fig3", "--quick", "--results", tmp_path)
    assert code == 2
    assert "read-only" in errors
    assert out == ""


@pytest.mark.parametrize(("text", "words"), [
    ("class Mine(Ordering):\n    pass\n", "line 1: NameError"),
    ("def (\n", "line 1: SyntaxError"),
    ("\nfrom engine.ordering.mechanics.rankd import Ranked\n", "line 2: ModuleNotFoundError"),
])
def test_a_policy_that_cannot_be_imported_is_named(tmp_path, text, words):
    for name in ("doctor", "engine", "exps", "hosting", "hub", "plots"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "tiny"))
    for name in ("cli.py", "cli_containers.py", "cli_options.py", "containers.py"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "engine" / "ordering" / "mine.py").write_text(text)
    registry = tmp_path / "engine" / "ordering" / "__init__.py"
    registry.write_text(f"{registry.read_text()}\nimport engine.ordering.mine\n")
    found = subprocess.run([sys.executable, "cli.py", "list"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith(f"engine/ordering/mine.py, {words}") and found.stderr.count("\n") == 1


def test_a_figure_without_a_model_of_the_backend_is_one_sentence(capsys):
    assert cli.main(["run", "vtc/fig4", "--backend", "native"]) == 2
    assert "has no model that --backend native serves" in capsys.readouterr().err
