"""Checkpoints come back as they were saved; what is broken is named in one sentence."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from engine.errors import InputError
from engine.models.config import DecoderConfig, RopeScaling, from_huggingface, to_huggingface
from engine.models.decoder import Weights
from engine.models.loading import CONFIG, INDEX, WHOLE, load_decoder, save_decoder
from engine.models.weights import expected_shapes
from tests.engine.models.dense import fresh, logits, prompt

LLAMA = DecoderConfig(50, 32, 2, 4, 2, 8, 40, context=64, stop_ids=(1,))
QWEN = replace(LLAMA, qkv_bias=True, tied_embeddings=True, norm_eps=1e-6, stop_ids=(1, 2))
DOWN = "model.layers.1.mlp.down_proj.weight"
EMBEDDING = "model.embed_tokens.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_decoder(tmp_path / "model", LLAMA, fresh(LLAMA).weights, torch.float32)
    return tmp_path / "model"


def edit_config(folder: Path, **changes: object) -> None:
    table = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(table | changes))


def edit_tensors(folder: Path, add: dict[str, torch.Tensor], drop: str | None = None) -> None:
    state = load_file(folder / WHOLE) | add
    state.pop(drop, None)
    save_file(state, folder / WHOLE)


def shard(folder: Path) -> dict[str, str]:
    """Splits model.safetensors into two shards with an index."""
    state = load_file(folder / WHOLE)
    names = sorted(state)
    places = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{number:05}-of-00002.safetensors"
        save_file({name: state[name] for name in part}, folder / file)
        places |= dict.fromkeys(part, file)
    (folder / WHOLE).unlink()
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return places


def assert_weights_equal(one: Weights, other: Weights) -> None:
    pairs = list(zip(one.tensors(), other.tensors(), strict=True))
    assert pairs
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("config", [LLAMA, QWEN, replace(LLAMA, rope_scaling=RopeScaling(8.0, 1.0, 4.0, 32))])
def test_what_is_saved_comes_back(config: DecoderConfig, tmp_path: Path) -> None:
    decoder = fresh(config)
    save_decoder(tmp_path, config, decoder.weights, torch.float32)
    again = load_decoder(str(tmp_path))
    assert again.config == config
    assert_weights_equal(again.weights, decoder.weights)
    assert (again.weights.head is again.weights.embedding) == config.tied_embeddings


@given(
    kv=st.integers(1, 4), group=st.integers(1, 4), head=st.sampled_from([8, 64]), bias=st.booleans(), tied=st.booleans(),
    stops=st.lists(st.integers(0, 99), max_size=3), scaling=st.booleans(),
)
@settings(max_examples=50, derandomize=True)
def test_config_json_keeps_every_size(
    kv: int, group: int, head: int, bias: bool, tied: bool, stops: list[int], scaling: bool
) -> None:
    rope = RopeScaling(4.0, 1.0, 2.0, 128) if scaling else None
    config = DecoderConfig(100, 24, 3, kv * group, kv, head, 70, 512, 5e5, rope, 1e-6, bias, tied, tuple(stops))
    assert from_huggingface(json.loads(json.dumps(to_huggingface(config, "bfloat16"))), "here") == config


def test_saved_files_are_those_of_transformers_and_always_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_decoder(tmp_path / name, LLAMA, fresh(LLAMA).weights, torch.bfloat16)
    assert (tmp_path / "one" / WHOLE).read_bytes() == (tmp_path / "two" / WHOLE).read_bytes()
    with safe_open(tmp_path / "one" / WHOLE, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()} == expected_shapes(LLAMA)
        assert file.get_tensor(DOWN).dtype == torch.bfloat16
    assert json.loads((tmp_path / "one" / CONFIG).read_text())["torch_dtype"] == "bfloat16"


def test_dtype_is_the_one_asked_for(tmp_path: Path) -> None:
    decoder = fresh(LLAMA)
    save_decoder(tmp_path, LLAMA, decoder.weights, torch.bfloat16)
    assert {tensor.dtype for tensor in load_decoder(tmp_path, torch.bfloat16).weights.tensors()} == {torch.bfloat16}
    wide = load_decoder(tmp_path).weights
    assert torch.equal(wide.embedding, decoder.weights.embedding.to(torch.bfloat16).float())


def test_any_layout_in_memory_is_saved(tmp_path: Path) -> None:
    weights = fresh(QWEN).weights
    weights.layers[0].down = weights.layers[0].down.t().contiguous().t().requires_grad_()
    weights.embedding = weights.head = torch.cat([weights.embedding, weights.embedding])[: QWEN.vocabulary]
    save_decoder(tmp_path, QWEN, weights, torch.float32)
    assert_weights_equal(load_decoder(tmp_path).weights, weights)
    assert (tmp_path / WHOLE).stat().st_size < 4 * QWEN.parameters + 10_000


def test_masked_weights_are_not_saved_silently(tmp_path: Path) -> None:
    weights = replace(fresh(LLAMA).weights, masked=torch.zeros(LLAMA.vocabulary, dtype=torch.bool))
    with pytest.raises(ValueError, match="masked"):
        save_decoder(tmp_path, LLAMA, weights, torch.float32)


def test_shards_are_one_model(folder: Path) -> None:
    whole = load_decoder(folder)
    shard(folder)
    assert_weights_equal(load_decoder(folder).weights, whole.weights)


def test_tensors_nobody_needs_are_ignored(folder: Path) -> None:
    whole = load_decoder(folder)
    edit_tensors(folder, {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4, dtype=torch.int8)})
    assert_weights_equal(load_decoder(folder).weights, whole.weights)


def test_loaded_weights_outlive_their_file(folder: Path) -> None:
    decoder = load_decoder(folder)
    before = logits(decoder, prompt(LLAMA, 10))
    (folder / WHOLE).write_bytes(bytes((folder / WHOLE).stat().st_size))
    assert torch.equal(logits(decoder, prompt(LLAMA, 10)), before)


def cut(folder: Path) -> None:
    data = (folder / WHOLE).read_bytes()
    (folder / WHOLE).write_bytes(data[: len(data) // 2])


def pickle_only(folder: Path) -> None:
    torch.save(load_file(folder / WHOLE), folder / "pytorch_model.bin")
    (folder / WHOLE).unlink()


def shard_and(folder: Path, change: str) -> None:
    places = shard(folder)
    if change == "lose":
        (folder / places[DOWN]).unlink()
    elif change == "cut":
        (folder / places[DOWN]).write_bytes((folder / places[DOWN]).read_bytes()[:-4])
    else:
        table: Any = {
            "forget": {"weight_map": {name: file for name, file in places.items() if name != DOWN}},
            "swap": {"weight_map": places | {DOWN: next(file for file in places.values() if file != places[DOWN])}},
            "escape": {"weight_map": places | {DOWN: "../other.safetensors"}},
            "empty": {},
        }[change]
        (folder / INDEX).write_text(json.dumps(table))


BROKEN = {
    "no config": (lambda f: (f / CONFIG).unlink(), "model has no config.json"),
    "config not JSON": (lambda f: (f / CONFIG).write_text("{"), r"config\.json cannot be read as JSON"),
    "config not text": (lambda f: (f / CONFIG).write_bytes(b"\xff\xfe"), r"config\.json cannot be read as JSON"),
    "config no object": (lambda f: (f / CONFIG).write_text("[1]"), r"config\.json is no JSON object"),
    "family": (lambda f: edit_config(f, architectures=["MambaForCausalLM"]), "is a MambaForCausalLM"),
    "size lacks": (lambda f: (f / CONFIG).write_text('{"architectures": ["LlamaForCausalLM"]}'), "does not say vocab_size"),
    "size no number": (lambda f: edit_config(f, hidden_size="wide"), r"config\.json does not describe a decoder.*wide"),
    "heads": (lambda f: edit_config(f, num_key_value_heads=3), r"config\.json does not describe a decoder.*4 heads"),
    "activation": (lambda f: edit_config(f, hidden_act="gelu"), "not built"),
    "attention bias": (lambda f: edit_config(f, attention_bias=True), "attention biases"),
    "yarn": (lambda f: edit_config(f, rope_scaling={"rope_type": "yarn"}), "'yarn'; only llama3"),
    "llama3 lacks": (lambda f: edit_config(f, rope_scaling={"rope_type": "llama3"}), "does not describe.*'factor'"),
    "no weights": (lambda f: (f / WHOLE).unlink(), rf"neither {WHOLE} nor {INDEX}"),
    "pickled": (pickle_only, r"pickled weights \(pytorch_model\.bin\)"),
    "truncated": (cut, rf"{WHOLE} is no whole safetensors file"),
    "empty": (lambda f: (f / WHOLE).write_bytes(b""), rf"{WHOLE} is no whole safetensors file"),
    "other bytes": (lambda f: (f / WHOLE).write_bytes(b"PK\3\4" + bytes(99)), rf"{WHOLE} is no whole safetensors file"),
    "tensor lacks": (lambda f: edit_tensors(f, {}, drop=DOWN), rf"{WHOLE} lacks the tensor {DOWN}"),
    "tensor shape": (lambda f: edit_tensors(f, {DOWN: torch.ones(32, 41)}), rf"{DOWN} as \[32, 41\] .* \[32, 40\]"),
    "config shape": (lambda f: edit_config(f, vocab_size=60), rf"{EMBEDDING} as \[50, 32\] .* \[60, 32\]"),
    "tensor dtype": (lambda f: edit_tensors(f, {DOWN: torch.ones(32, 40, dtype=torch.int8)}), rf"{DOWN} in I8; name a model"),
    "shard lacks": (lambda f: shard_and(f, "lose"), r"model-0000\d-of-00002\.safetensors is missing"),
    "shard cut": (lambda f: shard_and(f, "cut"), r"model-0000\d-of-00002\.safetensors is no whole safetensors file"),
    "index lacks": (lambda f: shard_and(f, "forget"), rf"index\.json lacks the tensor {DOWN}"),
    "index swaps": (lambda f: shard_and(f, "swap"), rf"model-0000\d-of-00002\.safetensors lacks the tensor {DOWN}"),
    "index escapes": (lambda f: shard_and(f, "escape"), rf"{DOWN} into '\.\./other\.safetensors', which is no file name"),
    "index empty": (lambda f: shard_and(f, "empty"), r"index\.json has no weight_map"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named_in_one_sentence(case: str, folder: Path) -> None:
    break_it, words = BROKEN[case]
    break_it(folder)
    with pytest.raises(InputError, match=words) as caught:
        load_decoder(folder)
    sentence = str(caught.value)
    assert str(folder) in sentence
    assert re.search(r"[;,] [^;]+\.$", sentence)
    assert "\n" not in sentence


@given(data=st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_damaged_header_is_never_a_traceback(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    save_decoder(folder, LLAMA, fresh(LLAMA).weights, torch.float32)
    content = bytearray((folder / WHOLE).read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    place = data.draw(st.integers(0, header - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (folder / WHOLE).write_bytes(content)
    try:
        load_decoder(folder)
    except InputError as error:
        assert WHOLE in str(error)


def test_sources_that_are_nothing(folder: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json is a file; name the folder"):
        load_decoder(folder / CONFIG)
    for source in ("model", "a/b/c", "../none", folder / "none", Path("org/name")):
        with pytest.raises(InputError, match="is neither a folder nor a hub name"):
            load_decoder(source)


def test_a_hub_name_is_downloaded_without_pickles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[str]]] = []

    def download(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert load_decoder("meta-llama/Llama-3.2-1B").config == LLAMA
    ((name, patterns),) = asked
    assert name == "meta-llama/Llama-3.2-1B"
    files = ["config.json", "tokenizer.json", INDEX, WHOLE, "model-00001-of-00002.safetensors",
             "pytorch_model.bin", "original/consolidated.00.pth", "README.md", "onnx/model.onnx"]
    assert list(huggingface_hub.utils.filter_repo_objects(files, allow_patterns=patterns)) == files[:5]


def refusal(kind: type[Exception]) -> Exception:
    """A hub error without the answer that it usually comes with."""
    return kind.__new__(kind)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refusal(GatedRepoError), "gated.*HF_TOKEN"),
        (refusal(RepositoryNotFoundError), "no model that the hub shows you; correct the name"),
        (LocalEntryNotFoundError("not cached"), "cannot be reached; go online"),
        (OfflineModeIsEnabled("offline"), "cannot be reached; go online"),
        (OSError(28, "No space left on device"), "No space left on device.*run the same command again"),
        (RuntimeError("peer closed\nthe connection"), r"\(peer closed\); run the same command again"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(error: Exception, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str, allow_patterns: list[str]) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(InputError, match=rf"^org/name .*{words}") as caught:
        load_decoder("org/name")
    assert "\n" not in str(caught.value)


def test_offline_the_real_hub_client_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"org/name is not whole on this machine .* go online"):
        load_decoder("org/name")
