"""A digest of the code that decides a point's records."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from engine.roles import ROLES
from engine.system import System
from exps.run.backends.base import Backend

ROOT = Path(__file__).parents[2]
ROOTS = ("exps/run/serving.py", "exps/run/recorder.py")
DATA = ("engine/**/*.toml", "engine/**/*.npz")
PRESETS = "engine/system.py"


def code_sha256(backend: Backend, system: System) -> str:
    """Of the engine's core, what ``backend`` runs from, and the policies that ``system`` chooses, with all that these import.

    What only names things counts for nothing, the roles' registries and the presets: a policy more leaves every point as it
    is, and what a preset chooses is in the configuration.
    """
    policies = (role.registry[system.choices[role.name].name] for role in ROLES)
    made_from = (inspect.getsourcefile(inspect.unwrap(make)) for make in policies if make is not None)
    return _digest(backend, tuple(Path(file) for file in made_from if file))


@cache
def _digest(backend: Backend, policies: tuple[Path, ...]) -> str:
    sources = _with_imports([*(ROOT / name for name in (*ROOTS, *backend.roots)), *policies])
    data = (path for pattern in (*DATA, *backend.data) for path in ROOT.glob(pattern))
    digest = hashlib.sha256()
    for path in sorted({*sources, *data}):
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
        digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _with_imports(files: Iterable[Path]) -> set[Path]:
    """The files and what they import of the engine, on and on."""
    registries = {ROOT / "engine" / role.name / "__init__.py" for role in ROLES} | {ROOT / PRESETS}
    found, open_ones = set[Path](), list(files)
    while open_ones:
        path = open_ones.pop()
        if path not in found and path not in registries:
            found.add(path)
            open_ones += _imports(path)
    return found


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    """The engine's files that a file imports, also within functions."""
    return tuple(file for name in _names(ast.parse(path.read_text())) if (file := _file(name)))


def _names(tree: ast.Module) -> Iterator[str]:
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements of a module, however deep; expressions hold none."""
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for statement in getattr(node, block, ()):
            yield statement
            yield from _statements(statement)


def _file(module: str) -> Path | None:
    if module.partition(".")[0] != "engine":
        return None
    place = ROOT.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
