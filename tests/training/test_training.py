"""The training of the tiny pair, at toy size."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.models.decoder import Decoder
from engine.models.loading import load_decoder
from engine.models.weights import fresh_weights
from training.__main__ import main
from training.chat import pairs
from training.corpus import Document, gather
from training.dense import generate, padded, row_hidden
from training.evaluate import answer_agreements, verifications
from training.optimise import orthogonal, share_of
from training.pages import text_of
from training.prompts import read_prompts
from training.shapes import llama

WORDS = "value name table index queue batch token cache".split()


def source(number: int) -> str:
    """A Python file of a few documented functions."""
    draw = random.Random(number)
    parts = []
    for _ in range(12):
        one, two = draw.choice(WORDS), draw.choice(WORDS)
        parts.append(
            f'def get_{one}_{two}({one}, {two}):\n    """Return the {one} that belongs to the given {two}, or None.\n    """\n'
            f"    for {one} in {two}:\n        if {one} is not None:\n            return {one}\n    return None\n"
        )
    return "\n\n".join(parts)


def page(number: int) -> str:
    draw = random.Random(number)
    lines = [f"The {draw.choice(WORDS)} of a {draw.choice(WORDS)} is kept in the {draw.choice(WORDS)}." for _ in range(60)]
    heading = f"About the {draw.choice(WORDS)}"
    return f"{heading}\n{'=' * len(heading)}\n\n" + "\n\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Corpus, target, draft and evaluation, made through the command line."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield make(tmp_path_factory.mktemp("training"))
    torch.set_num_threads(threads)


def make(root: Path) -> Path:
    for room, suffix, text in (("code", ".py", source), ("doc", ".rst", page)):
        folder = root / "sources" / room / "toy"
        folder.mkdir(parents=True)
        for number in range(100):
            (folder / f"{room}{number}{suffix}").write_text(text(number))
    out, sizes = root / "out", ["--layers", "2", "--heads", "2", "--batch", "512", "--length", "64", "--long", "448"]
    steps = ["--tokens", str(out), "--out", str(out), *sizes, "--warmup", "2", "--rate", "0.01"]
    shape = ["--hidden", "32", "--intermediate", "64"]
    commands = [
        ["corpus", "--sources", str(root / "sources"), "--out", str(out), "--vocabulary", "300", "--prompts", "3"],
        ["train", *steps, *shape, "--steps", "12"],
        ["distill", *steps, *shape, "--steps", "12", "--lessons", "2"],
        ["evaluate", "--models", str(out), "--prompts", "2", "--answer", "8"],
    ]
    assert [main(command) for command in commands] == [0, 0, 0, 0]
    return out


def test_losses_fall_and_the_record_says_so(trained):
    record = json.loads((trained / "training.json").read_text())
    for name in ("target", "draft"):
        log = record[name]["log"]
        assert log[-1]["loss"] < log[0]["loss"] - 0.3
    assert record["target"]["log"][-1]["coding"] < record["target"]["log"][0]["coding"] - 0.3
    assert 1 <= record["draft, answers of 8"]["kinds"]["coding"]["tokens_per_verification"]["4"] <= 5


def test_models_load_and_share_the_vocabulary(trained):
    target, draft = load_decoder(trained / "target"), load_decoder(trained / "draft")
    assert target.config.vocabulary == draft.config.vocabulary == 300
    assert target.config.stop_ids == draft.config.stop_ids == (0,)
    assert target.config.tied_embeddings and target.weights.head is target.weights.embedding


def test_prompts_are_held_out_and_of_every_kind(trained):
    prompts = list(read_prompts(trained / "prompts.jsonl.gz"))
    assert {prompt.kind for prompt in prompts} == {"coding", "chat", "summarization"}
    for prompt in prompts:
        package, _, path = prompt.source.partition("/")
        assert Document(prompt.kind, package, path, "").held_out


def test_the_same_command_gives_the_same_weights(trained, tmp_path):
    sizes = ["--hidden", "32", "--intermediate", "64", "--layers", "1", "--heads", "2", "--batch", "256", "--length", "64"]
    for name in ("a", "b"):
        main(["train", "--tokens", str(trained), "--out", str(tmp_path / name), *sizes, "--long", "64", "--steps", "3"])
    first, second = ((tmp_path / name / "target" / "model.safetensors").read_bytes() for name in ("a", "b"))
    assert first == second


def test_sources_without_folders_are_an_input_error(tmp_path, capsys):
    assert main(["corpus", "--sources", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "code/" in capsys.readouterr().err
    with pytest.raises(InputError, match="neither code/ nor doc/"):
        list(gather(tmp_path))


def decoder() -> Decoder:
    config = llama(64, 32, 2, 4, 48, context=64)
    return Decoder(config, fresh_weights(config, 3, scale=0.3))


def test_generation_with_a_cache_is_generation_without():
    model, draw = decoder(), torch.Generator().manual_seed(1)
    prompts = [torch.randint(64, (length,), generator=draw).tolist() for length in (5, 9, 14)]
    rows = generate(model, *padded(prompts, "cpu"), 30)
    for row, prompt in zip(rows, prompts, strict=True):
        tokens = prompt[:]
        while len(tokens) < 30:
            hidden = row_hidden(model, torch.tensor([tokens]))
            tokens.append(int(model.logits(hidden[-1:]).argmax()))
        assert row.tolist() == tokens


def test_warm_generation_follows_its_seed_and_cold_rows_stay_greedy():
    model = decoder()
    tokens, lengths = padded([[1, 2, 3]] * 4, "cpu")
    heat = torch.tensor([0.0, 0.0, 2.0, 2.0])
    greedy = generate(model, tokens, lengths, 40)
    one, two = (generate(model, tokens, lengths, 40, heat, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(one[:2], greedy[:2]) and not torch.equal(one[2:], greedy[2:])


def speculated(target: Decoder, draft: Decoder, prompt: list[int], tokens: int, chain: int) -> tuple[list[int], int]:
    """A greedy answer by drafting and verifying, and its verifications."""

    def best(model: Decoder, context: list[int]) -> list[int]:
        return model.logits(row_hidden(model, torch.tensor([context]))).argmax(dim=-1).tolist()

    context, count = prompt[:], 0
    while len(context) < len(prompt) + tokens:
        drafted = context[:]
        for _ in range(chain):
            drafted.append(best(draft, drafted)[-1])
        wanted = best(target, drafted)[len(context) - 1 :]
        accepted = 0
        while accepted < chain and drafted[len(context) + accepted] == wanted[accepted]:
            accepted += 1
        context += wanted[: accepted + 1]
        count += 1
    return context[len(prompt) : len(prompt) + tokens], count


@pytest.mark.parametrize("chain", [1, 4])
def test_agreement_counts_what_drafting_and_verifying_takes(trained, chain):
    target, draft = load_decoder(trained / "target"), load_decoder(trained / "draft")
    prompts = [[5, 9, 60, 33], [70, 71, 72], [100, 40, 40, 40, 8]]
    for prompt in prompts:
        tokens, count = speculated(target, draft, prompt, 24, chain)
        ((agreement),) = answer_agreements(target, draft, [prompt], 24)
        if 0 not in tokens:
            assert len(agreement) == 24
            assert verifications(agreement, chain) == count


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 8))
def test_verifications_count_chains_and_bonus_tokens(agreement, chain):
    count = verifications(agreement, chain)
    assert -(-len(agreement) // (chain + 1)) <= count <= len(agreement)
    assert verifications([True] * len(agreement), chain) == -(-len(agreement) // (chain + 1))
    assert verifications([False] * len(agreement), chain) == len(agreement)


def test_orthogonal_has_singular_values_near_one():
    matrix = torch.randn(24, 40, generator=torch.Generator().manual_seed(2))
    for wide in (matrix, matrix.mT):
        values = torch.linalg.svdvals(orthogonal(wide))
        assert 0.5 < values.min() and values.max() < 1.4


@given(st.integers(2, 500), st.integers(1, 50), st.floats(0.1, 1.0))
def test_the_schedule_rises_and_falls_within_bounds(steps, warmup, decay):
    shares = [share_of(step, steps, warmup, decay) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares)
    assert shares[-1] <= max(1 / (steps * decay), shares[0])


def test_pages_lose_their_marks_and_keep_their_code():
    text = text_of("<head>x</head><nav>menu</nav><h1>Title</h1><p>Some <b>bold</b>\n text.<pre>a\n  b</pre>")
    assert text == "Title\n\nSome bold text.\n\n    a\n      b"


def test_chat_pairs_answer_from_docstrings_and_sections():
    code = Document("coding", "toy", "a.py", 'class A:\n    """Keeps the values in the order of arrival."""\n')
    (pair,) = pairs(code)
    assert pair.kind == "chat" and pair.path == "a.py"
    assert pair.text.startswith("Question: ") and pair.text.endswith("\nAnswer: Keeps the values in the order of arrival.\n")
    section = "Why is it slow?\n===============\n\nIt reads every :ref:`file` twice a day.\n"
    topic = Document("summarization", "toy", "a.rst", section)
    (pair,) = pairs(topic)
    assert pair.text == "Question: Why is it slow?\nAnswer: It reads every file twice a day.\n"
