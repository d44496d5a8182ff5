"""No import circle, neither of files nor of rooms, imports within functions counted."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("doctor", "engine", "exps", "hosting", "hub", "plots", "training")
Graph = Mapping[str, set[str]]


def modules() -> dict[str, Path]:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def that_run(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only annotations need."""
    yield node
    annotates = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    for child in node.orelse if annotates else ast.iter_child_nodes(node):
        yield from that_run(child)


def imported(tree: ast.Module, known: Mapping[str, Path]) -> Iterator[str]:
    """What a file imports when it runs."""
    for node in that_run(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in names if name in known or node.module in known)


def graph() -> Graph:
    known = modules()
    return {name: set(imported(ast.parse(path.read_text()), known)) - {name} for name, path in known.items()}


def room(module: str) -> str:
    """A folder of engine or exps, or a loose file there; the other packages are a room each."""
    package, *inner = module.split(".")
    return f"{package}.{inner[0]}" if package in ("engine", "exps") and inner else package


def rooms(files: Graph) -> Graph:
    found: dict[str, set[str]] = {}
    for name, imports in files.items():
        found.setdefault(room(name), set()).update(room(other) for other in imports if room(other) != room(name))
    return found


def circle(found: Graph) -> list[str]:
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("of", [lambda files: files, rooms], ids=["files", "rooms"])
def test_there_is_no_import_circle(of):
    assert circle(of(graph())) == []


def test_a_lazy_import_counts_and_an_annotation_does_not():
    known = {"engine.a": ROOT, "engine.b": ROOT, "engine.c": ROOT}
    lazy = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import engine.c\ndef f():\n    from engine import b\n"
    assert set(imported(ast.parse(lazy), known)) == {"engine.b"}
    assert circle({"a": {"b"}, "b": {"a"}, "c": set()}) and not circle({"a": {"b"}, "b": {"c"}, "c": set()})
