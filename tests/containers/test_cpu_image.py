"""The cpu image on a real engine: built, started, figures run in it, killed and resumed, attached to, cleaned up."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hosting import living
from hosting.storage import TENSOR_PARALLEL_SHARED_BYTES
from hub.downloads import downloads
from tests.containers.engine import cli, command
from tests.containers.terminal import Terminal

TOKEN = "hf_a-token-of-this-test"
HUB = """
import pathlib, time
from tests.hub.fake import running
tiny = pathlib.Path("engine/models/tiny")
files = {name: (tiny / "target" / name).read_bytes() for name in ("config.json", "model.safetensors")}
files["tokenizer.json"] = (tiny / "tokenizer.json").read_bytes()
names = ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.2-1B-Instruct")
with running({name: files for name in names}) as hub:
    hub.gated.update(names)
    hub.tokens["%s"] = True
    pathlib.Path("hub-url").write_text(hub.url)
    time.sleep(120)
""" % TOKEN  # noqa: UP031


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def name():
    return f"servelab-test-{os.getpid()}"


@pytest.fixture
def started(built, checkout, models, name):
    cli(checkout, "start", "--name", name, "--models", models)
    return name


def run_inside(engine, name, *words):
    found = subprocess.run([*engine.program, "exec", name, *words], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def commands_inside(engine, name):
    return living.usage(engine, name)["commands"]


def wait_for(condition, seconds=120.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def manifests(folder):
    return [json.loads(path.read_text()) for path in folder.rglob("manifest.json")]


def test_a_build_tells_its_steps_its_time_and_the_size(built):
    assert re.search(r"RUN sh /run/install --require-hashes .*(cached|\d+\.\d s)", built.stderr)
    assert re.search(r"Built servelab:cpu with docker in .*: \d\.\d\d GB\. Next: cli\.py start", built.stdout)


def test_a_second_build_comes_from_the_cache(built, checkout, base):
    again = cli(checkout, "build", "--target", "cpu", "--base", base, "--network", "host")
    assert "RUN sh /run/install -r /run/torch.txt  cached" in again.stderr


def test_the_image_is_labelled_and_has_a_user_and_a_health_check(built, engine):
    config = engine.api.api.inspect_image("servelab:cpu")["Config"]
    assert config["User"] == "servelab"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["Labels"]["servelab.kit"] == "cpu"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_nothing_of_the_builder_stays_in_the_image(built, engine, checkout):
    image = engine.api.api.inspect_image("servelab:cpu")
    past = json.dumps([image["Config"], engine.api.api.history("servelab:cpu")])
    mine = [str(checkout), *certificates_here()]
    assert not [word for word in mine if word in past]
    assert "PIP_" not in past
    run = [*engine.program, "run", "--rm", "--network", "none", "servelab:cpu"]
    left = subprocess.run([*run, "find", "/run", "/tmp", "/home", "-type", "f"], capture_output=True, text=True, check=False)
    assert left.stdout.split() == ["/home/servelab/.bashrc"]
    assert subprocess.run([*run, "pip", "config", "list"], capture_output=True, text=True, check=True).stdout == ""


def certificates_here():
    return [value for key, value in os.environ.items() if key.endswith(("_CERT", "_BUNDLE")) and value]


def test_start_twice_is_one_container(started, checkout, engine, models):
    before = living.find_container(engine, started)
    again = cli(checkout, "start")
    assert f"{started} runs already" in again.stdout
    assert living.find_container(engine, started)["Id"] == before["Id"]


def test_start_with_other_settings_is_refused_while_it_runs(started, checkout):
    refused = cli(checkout, "start", "--memory", "4g", expect=2)
    assert refused.stderr == f"{started} runs with other settings or an older image; `cli.py stop`, then the same command.\n"


def test_status_tells_what_runs(started, checkout, models):
    (row,) = json.loads(cli(checkout, "status", "--json").stdout)
    assert (row["container"], row["state"], row["image"], row["gpus"]) == (started, "running", "cpu", "none")
    assert (row["checkout"], row["models"]) == (str(checkout), str(models))
    assert row["commands"] == []
    assert row["memory_bytes"] > 0


def test_it_has_shared_memory_for_tensor_parallel(started, engine):
    assert living.find_container(engine, started)["HostConfig"]["ShmSize"] == TENSOR_PARALLEL_SHARED_BYTES
    found = json.loads(run_inside(engine, started, "python", "cli.py", "doctor", "--json"))
    assert found["shared_memory"] == {"bytes": TENSOR_PARALLEL_SHARED_BYTES, "enough": True, "inside": True}


def test_smoke_inside_says_that_it_needs_a_gpu(started, engine):
    words = [*engine.program, "run", "--rm", "--network", "none", "servelab:cpu", "python", "docker/smoke"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("docker/smoke needs an NVIDIA GPU")


def test_figure_8_runs_inside_and_its_results_are_the_callers(started, checkout, engine):
    done = cli(checkout, "run", "fig8", "--quick")
    assert "This runs here" not in done.stderr
    points = manifests(checkout / "results" / "adaserve" / "fig8")
    assert len(points) == 36
    assert {point["versions"]["python"] for point in points} == {run_inside(engine, started, "python", "-V").split()[1]}
    pictures = [Path(line.removeprefix("Picture: ")) for line in done.stdout.splitlines() if line.startswith("Picture: ")]
    assert pictures
    assert all((checkout / picture).stat().st_size > 1000 for picture in pictures)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (checkout / "results").rglob("*")}
    assert owners == {(os.getuid(), os.getgid())}


def test_another_caller_owns_what_they_make(started, checkout, engine, monkeypatch):
    from hosting.sessions import execute

    monkeypatch.setattr(os, "getuid", lambda: 12345)
    monkeypatch.setattr(os, "getgid", lambda: 23456)
    folder = checkout / "of-another"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    assert execute(engine, started, ["python", "-c", "open('of-another/file', 'w').close()"]) == 0
    found = (folder / "file").stat()
    assert (found.st_uid, found.st_gid) == (12345, 23456)


def test_figure_8_runs_inside_with_real_tokens(started, checkout):
    done = cli(checkout, "run", "fig8", "--model", "tiny", "--backend", "native", "--quick", timeout=600)
    assert "NATIVE, real tokens" in done.stdout
    points = manifests(checkout / "results" / "adaserve" / "fig8" / "native-cpu-quick")
    assert {point["configuration"]["system"] for point in points} >= {"adaserve", "vllm"}
    assert all(point["rows"] > 0 and "torch" in point["versions"] for point in points)


def test_bad_input_inside_has_the_same_exit_code_and_sentence(started, checkout):
    refused = cli(checkout, "run", "fig99", expect=2)
    assert refused.stderr.startswith("unknown figure 'fig99'")


def test_here_runs_outside(started, checkout):
    import platform

    cli(checkout, "run", "vtc/fig3", "--quick", "--here", "--results", "results/outside")
    (version,) = {point["versions"]["python"] for point in manifests(checkout / "results" / "outside")}
    assert version == platform.python_version()


def test_a_folder_that_the_container_does_not_see_is_refused(started, checkout, tmp_path):
    refused = cli(checkout, "run", "vtc/fig3", "--quick", "--results", tmp_path, expect=2)
    assert "is outside the checkout" in refused.stderr
    assert "add --here" in refused.stderr


def test_ctrl_c_ends_the_run_inside(started, checkout, engine):
    results = checkout / "results" / "interrupted"
    with subprocess.Popen(
        command("run", "fig8", "--results", "results/interrupted"), cwd=checkout, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:
        wait_for(lambda: len(manifests(results)) >= 2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=180)
    assert process.returncode == 130
    assert "the same command goes on" in said
    wait_for(lambda: commands_inside(engine, started) == [])


def test_a_container_killed_in_a_run_says_so_and_the_run_resumes(started, checkout, engine):
    results = checkout / "results" / "killed"
    words = ("run", "fig8", "--model", "qwen", "--results", "results/killed")
    with subprocess.Popen(
        command(*words), cwd=checkout, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(lambda: len(manifests(results)) >= 2)
        engine.api.api.kill(started)
        _, said = process.communicate(timeout=180)
    assert process.returncode == 2
    assert "stopped under `cli.py run fig8" in said
    kept = len(manifests(results))
    assert 2 <= kept < 60
    cli(checkout, "start")
    resumed = cli(checkout, *words)
    assert re.search(rf"\b60\s+{kept}\s+{60 - kept}\b", resumed.stdout)
    assert len(manifests(results)) == 60


SIZED = 'until [ "$(stty size)" = "%s" ]; do sleep 0.1; done; stty size'
"""The engine tells a terminal its size once the shell runs already."""


def test_attach_has_size_signals_and_exit_code(started, checkout):
    shell, other = Terminal(checkout, "attach"), Terminal(checkout, "attach")
    shell.read_until("servelab:/servelab$ ")
    other.read_until("servelab:/servelab$ ")
    shell.type(f"{SIZED % '41 133'}; id -u\n")
    shell.read_until(f"41 133\r\n{os.getuid()}\r\n")
    shell.resize(50, 99)
    shell.type("sh -c 'echo ready; exec sleep 100'\n")
    shell.read_until("ready\r\n")
    shell.type("\x03")
    shell.read_until("$ ")
    shell.type(f"{SIZED % '50 99'}\n")
    shell.read_until("50 99\r\n")
    other.type("exit 3\n")
    assert other.exit_code() == 3
    shell.type("exit 7\n")
    assert shell.exit_code() == 7


def test_setup_brings_gated_models_into_the_container_without_leaving_the_token(started, checkout, engine, models, tmp_path):
    subprocess.run([*engine.program, "exec", "--detach", started, "python", "-c", HUB], check=True)
    url = checkout / "hub-url"
    wait_for(lambda: url.exists() and url.read_text())
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    refused = cli(checkout, "setup", "--model", "llama-8b", expect=2, HF_ENDPOINT=url.read_text(), HF_TOKEN="")
    assert "is gated" in refused.stderr
    words = ("setup", "--model", "llama-8b", "--token-file", token)
    done = cli(checkout, *words, HF_ENDPOINT=url.read_text())
    assert "downloaded and verified" in done.stdout
    assert [found.repository for found in downloads(models)] == [
        "meta-llama/Llama-3.1-8B-Instruct",
        "meta-llama/Llama-3.2-1B-Instruct",
    ]
    again = cli(checkout, *words, HF_ENDPOINT=url.read_text())
    assert "everything is there and verified" in again.stdout
    seen = json.dumps(living.find_container(engine, started)) + engine.api.api.logs(started).decode()
    seen += done.stdout + done.stderr + again.stderr
    assert TOKEN not in seen
    written = subprocess.run(["grep", "-rlF", TOKEN, checkout, models], capture_output=True, text=True, check=False)
    assert written.stdout == ""
    inside = subprocess.run([*engine.program, "exec", started, "grep", "-rlF", TOKEN, "/tmp", "/home", "/models"],
                            capture_output=True, text=True, check=False)
    assert inside.stdout == ""


def test_stop_and_start_are_the_same_container(started, checkout, engine):
    before = living.find_container(engine, started)["Id"]
    cli(checkout, "stop")
    assert "does not run" in cli(checkout, "stop").stdout
    assert "This runs here" in cli(checkout, "run", "vtc/fig3", "--quick", "--results", "results/outside").stderr
    cli(checkout, "start")
    assert living.find_container(engine, started)["Id"] == before


def test_another_checkout_is_told_whose_the_container_is(started, checkout, tmp_path):
    from tests.containers.engine import copy_checkout

    other = copy_checkout(tmp_path / "other")
    refused = cli(other, "start", "--name", started, expect=2)
    assert f"the container {started} belongs to" in refused.stderr
    assert str(checkout) in refused.stderr


def test_cleanup_removes_what_is_labelled_and_nothing_else(started, checkout, engine, base, models):
    api = engine.api
    api.api.tag(base, "servelab-tests/unrelated", "1")
    volume = api.volumes.create("servelab-tests-unrelated")
    other = api.containers.run("servelab-tests/unrelated:1", ["sleep", "1000"], detach=True, network_mode="none")
    try:
        dry = cli(checkout, "cleanup", "--dry-run", "--models")
        for words in (started, "servelab:cpu", f"{started}-cache", "meta-llama/Llama-3.1-8B-Instruct"):
            assert words in dry.stdout
        assert "unrelated" not in dry.stdout
        assert "is no terminal" in cli(checkout, "cleanup", expect=2).stderr
        terminal = Terminal(checkout, "cleanup")
        terminal.read_until("[y/N] ")
        terminal.type("n\n")
        terminal.read_until("Nothing was removed.")
        assert terminal.exit_code() == 0
        api.api.remove_container(started, force=True)
        kept = cli(checkout, "cleanup", "--yes")
        assert "Left: nothing with the kit's label" in kept.stdout
        assert f"2 downloaded models stay in {models}" in kept.stdout
        done = cli(checkout, "cleanup", "--yes", "--models")
        assert "Left: nothing with the kit's label" in done.stdout
        assert living.things(engine) == []
        assert downloads(models) == []
        other.reload()
        assert other.status == "running"
        assert api.images.get("servelab-tests/unrelated:1")
        assert api.volumes.get(volume.id)
        assert "Nothing here has the kit's label." in cli(checkout, "cleanup", "--yes").stdout
        assert (checkout / "results" / "adaserve").exists()
    finally:
        other.remove(force=True)
        volume.remove()
        api.images.remove("servelab-tests/unrelated:1")
