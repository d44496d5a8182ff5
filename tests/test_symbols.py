"""docs/symbols.md names what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = [
    [part.strip() for part in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "symbols.md").read_text(encoding="utf-8").splitlines()
    if re.search(r"`[\w/]+\.py` \|$", line)
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_every_name_stands_in_the_files_of_its_row(row):
    _, here, where = row
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in re.findall(r"`([\w/]+\.py)`", where))
    names = [word for code in re.findall(r"`([^`]+)`", here) for word in re.findall(r"[A-Za-z_]\w+", code)]
    assert [name for name in names if not re.search(rf"\b{re.escape(name)}\b", text)] == []
