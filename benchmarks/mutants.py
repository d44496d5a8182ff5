"""Seeded mutants of the policies and the metrics: how many the tests notice, and which survive.

    python -m benchmarks.mutants --count 300 --seed 1

Each mutant changes one operator or number of one file in a copy of the checkout and runs those tests of that file's room that
reach the changed line, the quick ones first and for a survivor the rest; a run that hangs counts as noticed. Which tests reach
a line is measured first; a line that runs as its file is imported is left to all tests of the room.
"""

from __future__ import annotations

import argparse
import ast
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from coverage import CoverageData

ROOT = Path(__file__).parent.parent
HANGS_S = 600
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not native and not Native")
Reaching = dict[str, dict[int, set[str]]]
POLICIES = tuple(f"tests/engine/test_{name}.py" for name in ("edges", "giving_way", "core"))
WIDER = ("tests/engine/invariants", *(f"tests/engine/test_{name}.py" for name in ("patience", "contract", "knobs")))
OF_METRICS = ("envelope", "fairness_metrics", "interaction_metrics", "jain", "refusal_metrics", "request_metrics", "response",
              "round_metrics", "service_metrics", "starvation_and_isolation", "table_metrics")
METRICS = ("tests/engine/test_edges.py", *(f"tests/exps/metrics/test_{name}.py" for name in OF_METRICS))
PAPERS = ("tests/exps/papers/vtc", "tests/exps/papers/fairserve", "tests/exps/papers/exfairs")
SERVED = ("run/test_simulation", "run/test_stretches", "commands/test_check_policy")
SERVING = tuple(f"tests/exps/{name}.py" for name in SERVED)
ROOMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "engine/ordering": (("tests/engine/ordering", *POLICIES), (*WIDER, *SERVING, "tests/exps/papers/exfairs")),
    "engine/batching": (("tests/engine/batching", *POLICIES), (*WIDER, *SERVING, "tests/engine/ordering")),
    "engine/speculation": (("tests/engine/speculation", *POLICIES), (*SERVING, "tests/engine/executors")),
    "exps/metrics": (METRICS, PAPERS),
}
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
}
NAMES = {"min": "max", "max": "min"}


@dataclass(frozen=True)
class Mutant:
    """The ``place``-th change that ``file`` allows, in words, and the room whose tests should notice."""

    room: str
    file: str
    place: int
    line: int
    words: str


def mutants(count: int, seed: int) -> list[Mutant]:
    """As many as asked for, or all there are, drawn without repeats."""
    every = [
        Mutant(room, path.relative_to(ROOT).as_posix(), place, line, words)
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        for place, (line, words) in enumerate(changes(ast.parse(path.read_text())))
    ]
    return random.Random(seed).sample(every, min(count, len(every)))


def changes(tree: ast.Module, apply: int | None = None) -> Iterator[tuple[int, str]]:
    """What can be changed, by its line and in words; the one of number ``apply`` is."""
    number = 0
    for node in ast.walk(tree):
        for words, change in _of(node):
            if number == apply:
                change()
            yield getattr(node, "lineno", 0), words
            number += 1


def _of(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    if isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            if other := SWAPS.get(type(op)):
                yield f"{type(op).__name__} to {other.__name__}", _setter(node.ops, place, other())
    elif isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and (other := SWAPS.get(type(node.op))):
        yield f"{type(node.op).__name__} to {other.__name__}", _attribute(node, "op", other())
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        yield f"{node.value} to {node.value + 1}", _attribute(node, "value", node.value + 1)
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield f"{node.id} to {NAMES[node.id]}", _attribute(node, "id", NAMES[node.id])
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not left out", _attribute(node, "op", ast.UAdd())


def _setter(items: list[ast.cmpop], place: int, value: ast.AST) -> Callable[[], None]:
    return lambda: items.__setitem__(place, value)  # type: ignore[call-overload]


def _attribute(node: ast.AST, name: str, value: object) -> Callable[[], None]:
    return lambda: setattr(node, name, value)


def survives(mutant: Mutant, copy: Path, reaching: Reaching) -> bool:
    """Whether the tests of its room pass with the mutant in ``copy``."""
    path = copy / mutant.file
    before = path.read_text()
    tree = ast.parse(before)
    for _ in changes(tree, mutant.place):
        pass
    path.write_text(ast.unparse(ast.fix_missing_locations(tree)))
    try:
        return all(_passes(tests, copy) for tests in _rounds(mutant, reaching))
    finally:
        path.write_text(before)


def measure(copy: Path) -> Reaching:
    """Run the tests of all rooms in ``copy`` once: which of them reach which line of which file."""
    tests = dict.fromkeys(test for quick, wider in ROOMS.values() for test in (*quick, *wider))
    sources = [f"--cov={room}" for room in ROOMS]
    command = [*PYTEST, "-n", "2", "--cov-context=test", "--cov-report=", *sources, *tests]
    subprocess.run(command, cwd=copy, check=True, stdout=subprocess.DEVNULL)
    data = CoverageData(str(copy / ".coverage"))
    data.read()
    return {
        Path(file).relative_to(copy).as_posix(): {
            line: {context.split("|")[0] for context in contexts} for line, contexts in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }


def _rounds(mutant: Mutant, reaching: Reaching) -> Iterator[Sequence[str]]:
    """The tests that may notice, in two rounds; all of the room's for a line that no test or an import reaches."""
    found = reaching.get(mutant.file, {}).get(mutant.line, {""})
    if "" in found:
        yield from ROOMS[mutant.room]
        return
    quick, wider = ROOMS[mutant.room]
    for files in (quick, wider):
        if tests := sorted(test for test in found if test.startswith(files)):
            yield tests


def _passes(tests: Sequence[str], copy: Path) -> bool:
    command = [*PYTEST, "-x", *tests]
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, timeout=HANGS_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip", type=int, default=0, help="So many of them were tried before.")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    drawn, copies = mutants(asked.count, asked.seed)[asked.skip :], SimpleQueue[Path]()
    kept, tried_so_far = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.workers):
            copy = Path(folder) / str(number)
            shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "results", "__pycache__", ".*_cache"))
            copies.put(copy)
        reaching = measure(copy)

        def tried(mutant: Mutant) -> bool:
            copy = copies.get()
            try:
                return survives(mutant, copy, reaching)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(asked.workers) as pool:
            for mutant, lives in zip(drawn, pool.map(tried, drawn), strict=True):
                kept[mutant.room] += lives
                tried_so_far[mutant.room] += 1
                if lives:
                    print(f"survives: {mutant.file}, line {mutant.line}: {mutant.words}", flush=True)
                print(f"{tried_so_far.total()} tried, {kept.total()} survive", end="\r", file=sys.stderr, flush=True)
    for room in ROOMS:
        print(f"{room}: {tried_so_far[room] - kept[room]} of {tried_so_far[room]} noticed")
    print(f"all: {len(drawn) - kept.total()} of {len(drawn)} noticed, seed {asked.seed}")


if __name__ == "__main__":
    main()
