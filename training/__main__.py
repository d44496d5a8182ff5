"""``python -m training``: corpus, target, draft, evaluation."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from engine.errors import InputError
from engine.models.decoder import Decoder
from engine.models.loading import load_decoder
from training import corpus as documents
from training import prompts as held_prompts
from training import store, tokens
from training.chat import pairs
from training.distill import Teaching, distil, write_lessons
from training.evaluate import evaluate
from training.shapes import lessons, llama
from training.train import Settings, moved, train_target

PROMPTS, TOKENIZER = "prompts.jsonl.gz", "tokenizer.json"
SAMPLED = {"coding": 50, "chat": 256, "summarization": 100}
TINY = Path(__file__).parents[1] / "engine" / "models" / "tiny"


def corpus(options: argparse.Namespace) -> None:
    """Tokenizer, token streams and held-out prompts from folders of sources."""
    found = []
    for document in documents.gather(options.sources):
        found += [document, *pairs(document)]
    sample = [d.text for d in found if not d.held_out and documents.digest(d.text)[2] < SAMPLED[d.kind]]
    tokenizer = tokens.train_tokenizer(sample, options.vocabulary)
    sizes = tokens.write_streams(found, tokenizer, options.out)
    tokenizer.save(str(options.out / TOKENIZER))
    held_prompts.write_prompts(options.out / PROMPTS, held_prompts.make_prompts(found, tokenizer, options.prompts, 1))
    store.record(options.out, "corpus", {"documents": len(found), "tokens": sizes, "vocabulary": options.vocabulary})


def train(options: argparse.Namespace) -> None:
    """The target, from the token streams."""
    tokenizer = Tokenizer.from_file(str(options.tokens / TOKENIZER))
    config = llama(
        tokenizer.get_vocab_size(), options.hidden, options.layers, options.heads, options.intermediate, options.long
    )
    settings = settings_of(options)
    streams = tokens.read_streams(options.tokens, "train", options.device)
    held = tokens.read_streams(options.tokens, "held", options.device)
    began = time.monotonic()
    weights, log = train_target(config, streams, held, settings)
    store.save(options.out / "target", config, weights)
    store.record(options.out, "target", facts(settings, config.parameters, log, began))


def distill(options: argparse.Namespace) -> None:
    """The draft, from the token streams and the target."""
    tokenizer = Tokenizer.from_file(str(options.tokens / TOKENIZER))
    settings = settings_of(options)
    target = load_decoder(options.out / "target")
    target = Decoder(target.config, moved(target.weights, options.device))
    context = target.config.context
    config = llama(target.config.vocabulary, options.hidden, options.layers, options.heads, options.intermediate, context)
    streams = tokens.read_streams(options.tokens, "train", options.device)
    answer = tokenizer.encode("\nAnswer:").ids
    began, teaching = time.monotonic(), Teaching()
    writer = load_decoder(options.out / "target", torch.float32 if options.device == "cpu" else torch.bfloat16, options.device)
    written = []
    for number in range(options.rounds):
        written += write_lessons(writer, streams, lessons(options.lessons, context), answer, teaching, settings.seed + number)
    print(f"lessons {sum(w.tokens.numel() for w in written)} tokens {time.monotonic() - began:.0f} s", flush=True)
    weights, log = distil(config, target, streams, written, settings, teaching)
    store.save(options.out / options.name, config, weights)
    wrote = {"lessons": options.lessons, "rounds": options.rounds, "teaching": asdict(teaching)}
    wrote["lesson_tokens"] = sum(lesson.tokens.numel() for lesson in written)
    store.record(options.out, options.name, {**facts(settings, config.parameters, log, began), **wrote})


def measure(options: argparse.Namespace) -> None:
    """Tokens a verification on held-out prompts, in float32 arithmetic."""
    tokenizer = Tokenizer.from_file(str(options.models / TOKENIZER))
    found = list(held_prompts.read_prompts(options.models / PROMPTS))
    target, draft = (load_decoder(options.models / name, device=options.device) for name in ("target", options.name))
    report = evaluate(target, draft, tokenizer, found, options.prompts, options.answer)
    report = {"draft": options.name, **store.machine(options.device), "answer_tokens_at_most": options.answer, "kinds": report}
    for kind, row in report["kinds"].items():
        print(f"{kind:14} {row['agreement']:.3f} {row['tokens_per_verification']} {row['tokens_per_answer']}")
    store.record(options.models, f"{options.name}, answers of {options.answer}", report)


def settings_of(options: argparse.Namespace) -> Settings:
    settings = Settings(options.steps, compiled=options.device != "cpu", device=options.device, long=options.long)
    changed = {name: getattr(options, name) for name in ("batch", "length", "rate", "seed", "warmup")}
    batch = changed.pop("batch")
    return replace(settings, tokens=batch, **changed)


def facts(settings: Settings, parameters: int, log: list[dict[str, float]], began: float) -> dict[str, object]:
    minutes = round((time.monotonic() - began) / 60, 2)
    seen = settings.steps * settings.tokens
    made_on = store.machine(settings.device)
    return {"parameters": parameters, "minutes": minutes, "tokens_seen": seen, **made_on, **asdict(settings), "log": log}


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m training", description="Train the tiny pair.")
    commands = root.add_subparsers(required=True, metavar="corpus | train | distill | evaluate")
    gather = commands.add_parser("corpus", help=corpus.__doc__)
    gather.add_argument("--sources", type=Path, required=True, help="a folder with code/NAME/ and doc/NAME/")
    gather.add_argument("--out", type=Path, required=True)
    gather.add_argument("--vocabulary", type=int, default=4096)
    gather.add_argument("--prompts", type=int, default=150, help="held-out prompts of each kind")
    gather.set_defaults(run=corpus)
    for name, run, shape in (("train", train, (384, 6, 8, 960)), ("distill", distill, (128, 2, 4, 384))):
        command = commands.add_parser(name, help=run.__doc__)
        command.add_argument("--tokens", type=Path, required=True, help="what `corpus` wrote")
        command.add_argument("--out", type=Path, required=True)
        command.add_argument("--steps", type=int, required=True)
        for size, default in zip(("hidden", "layers", "heads", "intermediate"), shape, strict=True):
            command.add_argument(f"--{size}", type=int, default=default)
        command.add_argument("--batch", type=int, default=131_072, help="tokens a step")
        command.add_argument("--length", type=int, default=1024, help="tokens a row")
        command.add_argument("--long", type=int, default=2048, help="the longest context")
        command.add_argument("--rate", type=float, default=4e-3)
        command.add_argument("--warmup", type=int, default=100)
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--device", default="cpu")
        command.add_argument("--lessons", type=int, default=12_000, help="rows for each length of code that the target writes")
        command.add_argument("--rounds", type=int, default=1, help="of such lessons, from other prompts each")
        command.add_argument("--name", default="draft")
        command.set_defaults(run=run)
    check = commands.add_parser("evaluate", help=measure.__doc__)
    check.add_argument("--models", type=Path, default=TINY)
    check.add_argument("--prompts", type=int, default=50, help="of each kind")
    check.add_argument("--answer", type=int, default=256)
    check.add_argument("--device", default="cpu")
    check.add_argument("--name", default="draft")
    check.set_defaults(run=measure)
    return root


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
