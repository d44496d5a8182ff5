"""The documents name what is there, and the policy that README shows works as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import cli
from exps.papers.registry import FIGURES
from tests.test_house import ROOT, fresh

__all__ = ["fresh"]

DOCUMENTS = sorted((*ROOT.glob("docs/*.md"), ROOT / "README.md"))
LONGEST_README = 130
COUNTS = ("one", "two", "three", "four", "five", "six", "seven", "eight")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_links_is_there(document: Path):
    links = re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


def test_the_papers_are_counted_and_cited():
    """Those that have figures: in README's table, among the references of CITATION.cff, and in each description."""
    papers = len({name.partition("/")[0] for name in FIGURES})
    describing = ("README.md", "CITATION.cff", "pyproject.toml", "cli.py", "docker/Dockerfile")
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in describing}
    told = {name: set(re.findall(r"(\w+) papers\b", text)) & set(COUNTS) for name, text in texts.items()}
    assert told == {name: {COUNTS[papers - 1]} for name in describing}
    rows = re.findall(r"^\| .* \| `cli\.py run .*", texts["README.md"], re.MULTILINE)
    assert len(rows) == len(re.findall(r"^  - type:", texts["CITATION.cff"], re.MULTILINE)) == papers


def test_every_room_is_there():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:\w+/)+(?:\w+\.py)?|\w+\.py)`", text)
    assert len(named) > 40 and [name for name in named if name != "__init__.py" and not (ROOT / name).exists()] == []


def test_no_room_is_left_out():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [path for top in ("engine", "exps") for path in (ROOT / top).iterdir() if (path / "__init__.py").exists()]
    assert [path.name for path in rooms if f"`{path.relative_to(ROOT)}/`" not in text] == []


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LONGEST_README


def test_readme_shows_what_its_own_trace_gives(tmp_path, monkeypatch, capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (made,) = re.findall(r"^awk .*?> trace\.csv$", text, re.MULTILINE | re.DOTALL)
    subprocess.run(["bash", "-euc", made], check=True)
    rows = re.findall(r"^\| (\w+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    assert [system for system, *_ in rows] == ["fcfs", "vtc"]
    for system, jain, isolation, wait in rows:
        (command,) = re.findall(rf"cli\.py (simulate trace\.csv --system {system} .*)", text)
        assert cli.main(command.split()) == 0
        shown = capsys.readouterr().out
        assert re.search(rf"jain_service +{jain} ", shown) and re.search(rf"isolation +{isolation} ", shown)
        columns = re.search(r"client +(submitted.*)", shown).group(1).split()
        assert re.search(r"^ +bob +(.*)", shown, re.MULTILINE).group(1).split()[columns.index("mean_ttft_s")] == wait


def test_a_policy_is_the_file_that_readme_shows_and_a_line(fresh):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (fresh / "engine" / "ordering" / "shortest.py").write_text(code)
    registry = fresh / "engine" / "ordering" / "__init__.py"
    line = '    "shortest": ShortestPrompt,\n'
    text = registry.read_text().replace('    "fcfs": FCFS,\n', f'    "fcfs": FCFS,\n{line}')
    registry.write_text(text.replace("\n\nORDERINGS", "\nfrom engine.ordering.shortest import ShortestPrompt\n\nORDERINGS"))
    for words in (["check-policy", "order=shortest"], ["run", "vtc/fig3", "--quick", "--with", "order=shortest(aging=100)"]):
        found = subprocess.run([sys.executable, "cli.py", *words], cwd=fresh, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
