"""Which code a point's records depend on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.system import parse_system
from exps.run import code
from exps.run.backends import NATIVE, SIMULATED

ROOT = Path(__file__).parents[3]


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A copy of the sources, which digests are of; policies are looked up there too."""
    for room in ("engine", "exps"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    real = code.inspect.getsourcefile
    monkeypatch.setattr(code, "ROOT", tmp_path)
    monkeypatch.setattr(code.inspect, "getsourcefile", lambda made: str(tmp_path / Path(real(made)).relative_to(ROOT)))
    return tmp_path


def digest(system="vtc", backend=SIMULATED):
    code._digest.cache_clear()
    code._imports.cache_clear()
    return code.code_sha256(backend, parse_system(system))


def touch(path: Path) -> None:
    path.write_text(f"{path.read_text()}\nTOUCHED = True\n")


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("engine/ordering/vtc/policy.py", {"vtc", "vtc-predict"}),
        ("engine/ordering/mechanics/least.py", {"vtc", "vtc-predict"}),
        ("engine/batching/slora.py", {"vtc", "vtc-predict"}),
        ("engine/speculation/adaserve.py", {"adaserve"}),
        ("engine/core.py", {"vtc", "vtc-predict", "adaserve", "exfairs"}),
        ("engine/executors/simulated/cost.py", {"vtc", "vtc-predict", "adaserve", "exfairs"}),
        ("exps/run/recorder.py", {"vtc", "vtc-predict", "adaserve", "exfairs"}),
        ("engine/executors/native/executor.py", set()),
        ("engine/system.py", set()),
        ("engine/ordering/__init__.py", set()),
        ("exps/report.py", set()),
    ],
)
def test_a_change_makes_stale_what_runs_it(sources, file, changed):
    systems = ("vtc", "vtc-predict", "adaserve", "exfairs")
    before = {system: digest(system) for system in systems}
    touch(sources / file)
    assert {system for system in systems if digest(system) != before[system]} == changed


def test_a_policy_more_leaves_every_point_as_it_is(sources):
    before = digest()
    (sources / "engine" / "ordering" / "mine.py").write_text("class Mine: ...\n")
    registry = sources / "engine" / "ordering" / "__init__.py"
    registry.write_text(f"from engine.ordering.mine import Mine\n{registry.read_text()}")
    assert digest() == before


def test_a_native_point_runs_other_code(sources):
    before = digest(backend=NATIVE)
    touch(sources / "engine" / "kernels" / "reference.py")
    assert digest(backend=NATIVE) != before != digest()
