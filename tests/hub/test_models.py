"""Models arrive whole, once; what the hub or the network does wrong is one sentence."""

from __future__ import annotations

import time
from pathlib import Path

import huggingface_hub
import pytest

from engine.errors import InputError
from hub import models_of, needs_token
from tests.hub.conftest import DRAFT, GATED, MEGABYTE, TARGET, WEIGHTS, Download, Recorder, is_whole
from tests.hub.fake import FakeHub, Fault


def test_target_and_draft_arrive_where_the_library_looks(hub: FakeHub, download: Download, cache: Path) -> None:
    target, draft = download()
    assert is_whole(target, hub.repositories[TARGET])
    assert is_whole(draft, hub.repositories[DRAFT])
    assert sorted(path.name for path in target.iterdir()) == ["config.json", WEIGHTS, "tokenizer.json"]
    for repository, folder in ((TARGET, target), (DRAFT, draft)):
        assert huggingface_hub.snapshot_download(repository, cache_dir=cache, local_files_only=True) == str(folder)
    assert not list(cache.rglob("*.incomplete"))


def test_the_library_itself_fetches_nothing_again(hub: FakeHub, download: Download, cache: Path) -> None:
    target, _ = download()
    hub.log.clear()
    wanted = ["config.json", "tokenizer.json", "model*.safetensors"]
    found = huggingface_hub.snapshot_download(TARGET, cache_dir=cache, allow_patterns=wanted, endpoint=hub.url, token=False)
    assert found == str(target)
    assert not hub.fetched_large()


def test_one_bar_moves_within_a_file_up_to_the_total(hub: FakeHub, download: Download) -> None:
    bar = Recorder()
    download(report=bar)
    wanted = ("config.json", "tokenizer.json", WEIGHTS)
    assert bar.total == sum(bar.moves) == sum(len(hub.repositories[name][file]) for name in (TARGET, DRAFT) for file in wanted)
    assert max(bar.moves) <= MEGABYTE


def test_the_second_run_asks_for_nothing_but_the_listing(
    hub: FakeHub, download: Download, capsys: pytest.CaptureFixture[str]
) -> None:
    first = download()
    hub.log.clear()
    assert download() == first
    assert [request.path.partition("?")[0] for request in hub.log] == [f"/api/models/{name}" for name in (TARGET, DRAFT)]
    assert "everything is there" in capsys.readouterr().out


def test_without_the_hub_what_was_verified_will_do(
    hub: FakeHub, download: Download, capsys: pytest.CaptureFixture[str]
) -> None:
    first = download()
    hub.status = 503
    assert download() == first
    hub.stop()
    assert download() == first
    out, err = capsys.readouterr()
    assert "everything is there" in out
    assert f"{DRAFT} is here and was verified earlier" in err
    assert "cannot be reached (answered 503)" in err


def test_without_the_hub_what_is_missing_is_said(hub: FakeHub, download: Download, cache: Path) -> None:
    hub.stop()
    with pytest.raises(InputError, match=r"the hub at .* cannot be reached \(Connect\w+\); .* run the same command again"):
        download()
    assert not cache.exists()


def test_a_gated_model_without_a_token_names_the_page(llama: FakeHub, download: Download, cache: Path) -> None:
    with pytest.raises(
        InputError, match=f"{GATED[0]} is gated; ask for access at {llama.url}/{GATED[0]}, then give your token"
    ):
        download(models=("qwen", "llama"))
    assert not cache.exists()
    assert not any("/resolve/" in request.path for request in llama.log)


def test_a_token_without_access_is_told_where_to_ask(llama: FakeHub, download: Download) -> None:
    with pytest.raises(InputError, match=f"this token has no access to it; ask for access at {llama.url}/{GATED[0]}"):
        download("hf_not_let_in", ("llama",))


def test_a_wrong_token_is_said_and_not_repeated(llama: FakeHub, download: Download) -> None:
    with pytest.raises(InputError, match="the hub does not accept this token; make one at") as caught:
        download("hf_wrong", ("llama",))
    assert "hf_wrong" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_a_good_token_opens_the_gate_and_stays_with_the_hub(llama: FakeHub, download: Download) -> None:
    target, _ = download("hf_let_in", ("llama",))
    assert is_whole(target, llama.repositories[GATED[0]])
    for request in llama.log:
        assert request.authorization == (None if request.at_storage else "Bearer hf_let_in")
        assert "hf_let_in" not in request.path


def test_without_a_token_the_models_own_gate_does_not_close_what_is_here(llama: FakeHub, download: Download) -> None:
    assert download("hf_let_in", ("llama",)) == download(None, ("llama",))


def test_a_missing_repository_is_named(hub: FakeHub, download: Download) -> None:
    del hub.repositories[DRAFT]
    with pytest.raises(InputError, match=f"{hub.url}/{DRAFT} is missing or hidden without a token"):
        download()
    hub.tokens = {"hf_let_in": True}
    with pytest.raises(InputError, match=f"{DRAFT} is missing or hidden from this token"):
        download("hf_let_in")


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_a_repository_without_a_model_is_refused(name: str, hub: FakeHub, download: Download) -> None:
    del hub.repositories[DRAFT][name]
    with pytest.raises(InputError, match=f"{DRAFT} has no "):
        download()


def test_a_cut_connection_goes_on_where_it_broke(hub: FakeHub, download: Download) -> None:
    hub.faults[WEIGHTS] = Fault("cut", after=2 * MEGABYTE)
    del hub.repositories[DRAFT][WEIGHTS]
    hub.repositories[DRAFT]["model-1.safetensors"] = b"small"
    target, _ = download()
    assert is_whole(target, hub.repositories[TARGET])
    first, again, *_ = [request.range for request in hub.fetched(WEIGHTS) if request.at_storage]
    assert first is None
    assert again in (f"bytes={MEGABYTE}-", f"bytes={2 * MEGABYTE}-")


def test_a_hub_in_trouble_is_asked_again(hub: FakeHub, download: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    hub.faults["tokenizer.json"] = Fault("fail", status=500)
    target, _ = download()
    assert is_whole(target, hub.repositories[TARGET])


def test_a_hub_that_stays_in_trouble_is_named(hub: FakeHub, download: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    hub.faults["tokenizer.json"] = Fault("fail", status=500, times=99)
    with pytest.raises(InputError, match=r"cannot be reached \(answered 500\); check the network, then run the same command"):
        download()


def test_a_hub_that_refuses_in_the_middle_is_asked_once(hub: FakeHub, download: Download) -> None:
    del hub.repositories[DRAFT]["tokenizer.json"]
    hub.faults["tokenizer.json"] = Fault("fail", status=403, times=99)
    with pytest.raises(InputError, match=f"the hub refuses {TARGET} \\(it answered 403\\); look at {hub.url}/{TARGET}"):
        download()
    assert len(hub.fetched("tokenizer.json")) == 1


def test_models_go_by_the_names_of_the_figures_and_by_their_own() -> None:
    assert models_of("llama") == ["llama-3.1-70b", "llama-3.2-1b"]
    assert models_of("llama-8b") == models_of("llama-3.1-8b") == ["llama-3.1-8b", "llama-3.2-1b"]
    assert models_of("qwen") == ["qwen2.5-32b", "qwen2.5-0.5b"]
    with pytest.raises(InputError, match=r"no model 'lama' is downloaded; did you mean llama"):
        models_of("lama")


def test_a_token_is_needed_for_what_is_gated_and_not_here(llama: FakeHub, download: Download, cache: Path) -> None:
    assert needs_token(["qwen", "llama"], cache)
    assert not needs_token(["qwen"], cache)
    download("hf_let_in", ("llama",))
    assert not needs_token(["llama"], cache)
