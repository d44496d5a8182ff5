"""What a person reads when a container command fails on a real engine, what it leaves behind, and that it works afterwards."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import socket
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import cli
from hosting import engines, living
from hosting.engines import LABEL, Engine, connect
from hosting.named import DOCKER
from tests.containers.engine import BASE, certificates, copy_checkout
from tests.containers.engine import cli as type_in
from tests.containers.faults import Daemon, children, read_until, refusal, serving, typed, wait_for
from tests.hosting.smi import put_smi, smi

COMMANDS = ("build", "start", "attach", "status", "stop", "cleanup")
BUILD = ("build", "--target", "cpu", "--base", BASE, "--network", "host", *certificates())
RUN = ("run", "fig8", "--model", "llama", "--system", "adaserve,vllm", "--rps", "2.6:4.8:0.2", "--results", "results/killed")
START = "start it (`sudo systemctl start docker`)"
PREPARED = "RUN sh /run/prepare cpu"


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder of few letters, since names of sockets are limited."""
    with tempfile.TemporaryDirectory(prefix="engine.", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory(prefix="engine.", dir="/tmp") as folder, serving(Path(folder)) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def place(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of these tests' own."""
    folder = copy_checkout(tmp_path_factory.mktemp("faults"))
    shutil.copytree(checkout / "docker" / "wheels", folder / "docker" / "wheels", dirs_exist_ok=True)
    folder.chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def nothing_remembered(place: Path) -> Iterator[None]:
    yield
    (place / ".servelab" / "settings.json").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def image(daemon: Daemon, place: Path) -> None:
    type_in(place, *BUILD)


@pytest.fixture
def stand_in(daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[None]:
    """An empty image with the kit's label for ``request.param``, enough for what is refused before it starts."""
    archive = io.BytesIO()
    tarfile.open(fileobj=archive, mode="w").close()
    api = connect(DOCKER).api.api
    made = api.import_image_from_data(archive.getvalue(), "servelab", request.param, [f"LABEL {LABEL}={request.param}"])
    assert "error" not in made
    yield
    api.remove_image(f"servelab:{request.param}", force=True)


def strangers(engine: Engine) -> Sequence[str]:
    """Containers and images without the kit's label, but for the base image."""
    api = engine.api.api
    rows = [*api.containers(all=True), *(row for row in api.images(all=True) if BASE not in (row["RepoTags"] or ()))]
    return [row["Id"] for row in rows if LABEL not in (row["Labels"] or {})]


def installing(daemon: Daemon) -> bool:
    return any("/run/cpu.lock" in line for line in daemon.inhabitants().values())


def manifests(place: Path) -> dict[Path, int]:
    """The complete points of RUN, and when each was written."""
    return {path: path.stat().st_mtime_ns for path in (place / "results" / "killed").rglob("manifest.json")}


@pytest.mark.parametrize("listening", [None, False, True], ids=["no socket", "nobody listens", "nobody answers"])
def test_without_a_daemon_every_command_says_how_to_start_it(listening, place, short, tmp_path):
    client = tmp_path / "docker"
    client.symlink_to(shutil.which("docker") or "/bin/false")
    address = short / "socket"
    with socket.socket(socket.AF_UNIX) as deaf:
        if listening is not None:
            deaf.bind(str(address))
        if listening:
            deaf.listen()
        for name in ("status",) if listening else COMMANDS:
            sentence = refusal(place, name, DOCKER_HOST=f"unix://{address}", PATH=str(tmp_path))
            assert sentence == f"the docker engine at unix://{address}, which DOCKER_HOST names, does not answer; {START}."


@pytest.mark.parametrize("name", COMMANDS)
def test_without_any_engine_every_command_says_what_to_install(name, place, short, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(engines, "SOCKET", str(short / "socket"))
    monkeypatch.chdir(place)
    for variable, value in {"PATH": str(tmp_path), "DOCKER_CONFIG": str(tmp_path), "DOCKER_HOST": ""}.items():
        monkeypatch.setenv(variable, value)
    assert cli.main([name]) == 2
    (sentence,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("[")]
    assert sentence == "no container engine was found; install Docker or Podman, then look with `cli.py doctor`."


def test_a_user_outside_the_engines_group_is_told_how_to_join(daemon):
    connect(DOCKER)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        said = "was let in"
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            connect(DOCKER)
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    with open(reading) as told:
        said = told.read()
    os.waitpid(child, 0)
    called = f"the docker engine at {daemon.address}, which DOCKER_HOST names; "
    assert said.startswith(f"InputError: this user may not talk to {called}")
    assert "`sudo usermod -aG docker $USER`" in said


def test_start_without_an_image_names_the_build(daemon, place):
    assert refusal(place, "start").startswith("no image of the kit was built; build it with `cli.py build --target ")
    sentence = refusal(place, "start", "--target", "cuda")
    assert sentence == "the image servelab:cuda was not built; build it with `cli.py build --target cuda`."


def test_a_base_that_is_nowhere_is_named(daemon, place):
    sentence = refusal(place, "build", "--target", "cpu", "--base", "local/nothing:1")
    assert sentence.startswith("the base image local/nothing:1 is neither here nor to be had; ")
    assert "--base" in sentence
    assert strangers(connect(DOCKER)) == []


def test_without_a_package_index_the_ways_to_one_are_named(daemon, place, tmp_path):
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nretries = 0\n")
    sentence = refusal(place, *BUILD[:5], "--network", "none", "--pip-conf", settings)
    assert sentence.startswith("the package index cannot be reached; ")
    assert all(words in sentence for words in ("--pip-conf", "docker/wheels"))
    assert strangers(connect(DOCKER)) == []


def test_ctrl_c_ends_a_build_and_the_same_command_goes_on(daemon, place):
    for expected in (PREPARED, f"{PREPARED}  cached"):
        with typed(place, *BUILD) as process:
            assert expected in "".join(read_until(process, PREPARED))
            wait_for(lambda: installing(daemon))
            clients = children(process)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=180)
        assert process.returncode == 130
        assert all(line.startswith("[") for line in said.split("\n") if line)
        assert clients
        assert not [number for number in clients if Path(f"/proc/{number}").exists()]
        wait_for(lambda: not daemon.inhabitants())
        assert strangers(connect(DOCKER)) == []


def test_a_daemon_killed_in_a_build_is_named_and_the_same_command_succeeds(daemon, place):
    with typed(place, *BUILD) as process:
        wait_for(lambda: installing(daemon))
        daemon.kill()
        _, said = process.communicate(timeout=180)
    assert process.returncode == 2
    assert said.splitlines()[-1].startswith(f"the docker engine stopped answering; {START}, ")
    assert "Traceback" not in said
    daemon.start()
    assert strangers(connect(DOCKER)) == []
    assert "Next: cli.py start" in type_in(place, *BUILD).stdout


def test_a_daemon_killed_in_a_run_is_named_and_the_run_keeps_its_points(daemon, image, place, tmp_path):
    type_in(place, "start", "--models", tmp_path)
    with typed(place, *RUN) as process:
        wait_for(lambda: len(manifests(place)) >= 2)
        daemon.kill()
        _, said = process.communicate(timeout=180)
    assert process.returncode == 2
    assert said.splitlines()[-1].startswith(f"the docker engine stopped answering; {START}, ")
    assert "does not answer; start it" in refusal(place, "stop")
    daemon.start()
    wait_for(lambda: not living.is_running(living.find_container(connect(DOCKER), "servelab")))
    kept = manifests(place)
    assert 2 <= len(kept) < 24
    type_in(place, "start", "--models", tmp_path)
    assert re.search(rf"\b24\s+{len(kept)}\s+{24 - len(kept)}\b", type_in(place, *RUN).stdout)
    done = manifests(place)
    assert len(done) == 24
    assert {path: done[path] for path in kept} == kept


def test_a_full_disk_is_named_and_a_failed_build_leaves_nothing(short, mount, tmp_path):
    if not mount(short, "size=320m"):
        pytest.skip("this process may not mount")
    with serving(short):
        sentence = refusal(copy_checkout(tmp_path), *BUILD)
        assert sentence.startswith("the disk of the engine is full; free some, ")
        assert strangers(connect(DOCKER)) == []


def test_a_name_of_anothers_container_is_refused_until_it_is_free(daemon, image, place, tmp_path):
    api = connect(DOCKER).api
    other = api.containers.create(BASE, name="servelab-taken")
    words = ("start", "--name", "servelab-taken", "--models", tmp_path)
    sentence = refusal(place, *words)
    assert sentence == f"the name servelab-taken is taken by a container of {BASE}, not the kit's; choose another with --name."
    other.reload()
    other.remove()
    assert "servelab-taken runs" in type_in(place, *words).stdout


@pytest.mark.parametrize("stand_in", ["cuda"], indirect=True)
@pytest.mark.parametrize(
    ("version", "words"),
    [("470.57.02", "update the driver to 550 or newer"), ("550.54.14", "nvidia-container-toolkit")],
)
def test_gpus_that_containers_cannot_have_are_refused_with_the_way_out(version, words, stand_in, place, tmp_path, monkeypatch):
    put_smi(tmp_path / "bin", monkeypatch, smi(version))
    assert words in refusal(place, "start", "--target", "cuda", "--name", "servelab-gpus", "--models", tmp_path)
    assert living.find_container(connect(DOCKER), "servelab-gpus") is None


def test_what_start_cannot_have_is_refused_and_leaves_no_container(daemon, image, place, tmp_path):
    file = tmp_path / "file"
    file.touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option, value, words in (
            ("--port", str(port), f"port {port} is taken by "),
            ("--models", str(file), f"{file} cannot hold the models (File exists); name another folder with --models."),
            ("--shm", "lots", "lots"),
            ("--memory", "1k", "Minimum memory limit"),
            ("--engine", "dokcer", "did you mean docker"),
            ("--target", "cuad", "did you mean cuda"),
        ):
            assert words in refusal(place, "start", "--name", "servelab-refused", option, value)
    assert living.find_container(connect(DOCKER), "servelab-refused") is None
    type_in(place, "start", "--name", "servelab-refused", "--models", tmp_path)


def test_unknown_engines_and_targets_of_a_build_are_refused(daemon, place):
    assert "did you mean podman" in refusal(place, "build", "--target", "cpu", "--engine", "podmann")
    assert "did you mean cpu" in refusal(place, "build", "--target", "cpuu")


@pytest.mark.parametrize("name", COMMANDS)
def test_settings_that_cannot_be_read_name_the_file_to_delete(name, daemon, place):
    settings = place / ".servelab" / "settings.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text("{")
    sentence = refusal(place, name)
    assert sentence.startswith(f"{settings} cannot be read (")
    assert sentence.endswith("; delete it, then `cli.py start`.")


@pytest.mark.parametrize("stand_in", ["cuda"], indirect=True)
def test_cleanup_where_nobody_can_answer_removes_nothing(stand_in, place):
    assert "add --yes, or look with --dry-run" in refusal(place, "cleanup")
    assert connect(DOCKER).api.images.get("servelab:cuda")
    assert "servelab:cuda" in type_in(place, "cleanup", "--dry-run").stdout
