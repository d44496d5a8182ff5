"""The rules of the house: import directions, README commands, and what make says when it cannot start."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"<!-- test -->\s*```bash\n(.*?)```", re.DOTALL)
BLOCKS = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))


def test_imports_go_one_way():
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_the_command_line_is_imported_by_nothing_and_asks_only_exps():
    lines = re.findall(r"^\s*(?:from|import) (engine\S*|plots\S*)", (ROOT / "cli.py").read_text(), re.MULTILINE)
    assert set(lines) <= {"engine.errors"}


@pytest.fixture
def fresh(tmp_path):
    """A copy of the sources with this interpreter in the place of the one that make installs."""
    for name in ("doctor", "engine", "exps", "hosting", "hub", "plots", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("cli.py", "cli_containers.py", "cli_options.py", "containers.py", "Makefile"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return tmp_path


def test_readme_has_commands_to_test():
    assert BLOCKS


@pytest.mark.parametrize("block", BLOCKS)
def test_readme_commands_run(block, fresh):
    found = subprocess.run(["bash", "-euc", block], cwd=fresh, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (None, "was not found"),
        ('case "$*" in *version_info*) exit 1;; esac', "older than 3.10"),
        ('case "$*" in *ensurepip*) exit 1;; esac', "no venv module"),
    ],
)
def test_make_says_what_python_lacks(tmp_path, script, words):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    python = tmp_path / "python-here"
    if script is not None:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    found = subprocess.run(["make", "fig8", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode != 0
    assert words in found.stderr
    assert not (tmp_path / ".venv").exists()
