"""The draft: taught on the corpus first, then on what the target wrote from prompts of the training text.

Greedy verification accepts a draft token where it equals the target's argmax, in a context that the target itself wrote;
that is what the second part trains on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.models.config import DecoderConfig
from engine.models.decoder import Decoder, Weights
from engine.models.weights import fresh_weights
from training.dense import generate, row_hidden
from training.optimise import Optimiser, share_of
from training.tokens import END_ID, Stream, mixed_rows
from training.train import SHARES, Settings, moved


@dataclass(frozen=True)
class Lesson:
    """What the target writes: ``rows`` rows of ``kind`` from prompts of ``prompt`` tokens, ``written`` tokens each."""

    kind: str
    prompt: int
    written: int
    rows: int


@dataclass(frozen=True)
class Written:
    """Rows [n, length] of training text (int16) and what the target made of it from token ``prompt`` on."""

    kind: str
    prompt: int
    tokens: Tensor


@dataclass(frozen=True)
class Teaching:
    """The mix: a share of the steps on the corpus, of the rows at ``temperature``; ``hard`` weighs the target's argmax
    against its full distribution, ``given`` the tokens of prompts against those that the target wrote."""

    corpus_share: float = 0.25
    warm_share: float = 0.25
    temperature: float = 0.6
    hard: float = 0.5
    given: float = 0.2


def write_lessons(
    target: Decoder, streams: dict[str, Stream], lessons: list[Lesson], answer: list[int], teaching: Teaching, seed: int
) -> list[Written]:
    """What ``target`` writes for each lesson; chat prompts end with the tokens ``answer``."""
    drawn = torch.Generator().manual_seed(seed)
    noise = torch.Generator(target.device).manual_seed(seed)
    written = []
    for lesson in lessons:
        chat = lesson.kind == "chat"
        prompts = streams[lesson.kind].rows(lesson.rows, lesson.prompt, drawn, aligned=1.0 if chat else 0.3)
        lengths = asked(prompts, answer) if chat else torch.full_like(prompts[:, 0], lesson.prompt)
        warm = (torch.arange(lesson.rows, device=target.device) % 64) < 64 * teaching.warm_share
        tokens = generate(target, prompts, lengths, lesson.prompt + lesson.written, warm * teaching.temperature, noise)
        written.append(Written(lesson.kind, int(lengths.min()), tokens.short()))
    return written


def asked(rows: Tensor, answer: list[int]) -> Tensor:
    """Tokens [rows] up to and with the first ``answer`` of each row; the whole row where there is none."""
    width = len(answer)
    if rows.shape[1] < width:
        return torch.full_like(rows[:, 0], rows.shape[1])
    windows = rows.unfold(1, width, 1) == torch.tensor(answer, device=rows.device)
    found = windows.all(dim=-1)
    ends = found.int().argmax(dim=-1) + width
    return torch.where(found.any(dim=-1), ends, rows.shape[1])


def lesson_loss(draft: Decoder, rows: Tensor, logits: Tensor, weight: Tensor, hard: float) -> tuple[Tensor, Tensor]:
    """Loss of the draft on ``rows`` against the target's ``logits``, tokens weighed; and the share of equal argmaxes."""
    guess = draft.logits(row_hidden(draft, rows)).float().log_softmax(dim=-1)
    wanted = logits.float().softmax(dim=-1)
    best = logits.argmax(dim=-1)
    soft = -(wanted * guess).sum(dim=-1)
    nll = -guess.gather(1, best[:, None])[:, 0]
    weight = weight.flatten()
    loss = (((1 - hard) * soft + hard * nll) * weight).sum() / weight.sum()
    agree = ((guess.argmax(dim=-1) == best) * weight).sum() / weight.sum()
    return loss, agree.detach()


def target_logits(target: Decoder, rows: Tensor) -> Tensor:
    with torch.no_grad():
        return target.logits(row_hidden(target, rows))


def weights_of(rows: Tensor, prompt: int, given: float) -> Tensor:
    """1 for positions whose next token the target wrote, ``given`` before, 0 once an answer has ended."""
    weight = torch.full(rows.shape, given, device=rows.device)
    weight[:, prompt - 1 :] = 1.0
    ended = (rows[:, prompt:] == END_ID).cumsum(dim=1) > 0
    weight[:, prompt:][ended] = 0.0
    return weight


def distil(
    config: DecoderConfig,
    target: Decoder,
    streams: dict[str, Stream],
    written: list[Written],
    settings: Settings,
    teaching: Teaching,
) -> tuple[Weights, list[dict[str, float]]]:
    """A trained draft, and the log: step, loss, share of equal argmaxes."""
    generator = torch.Generator().manual_seed(settings.seed)
    draft = Decoder(config, moved(fresh_weights(config, settings.seed), settings.device))
    optimiser = Optimiser(draft.weights, settings.rate, settings.weight_decay)
    teach, learn = target_logits, lesson_loss
    if settings.compiled:
        teach, learn = torch.compile(target_logits, dynamic=True), torch.compile(lesson_loss, dynamic=True)
    log: list[dict[str, float]] = []
    began, every = time.monotonic(), max(1, settings.steps // 12)
    for step in range(settings.steps):
        if step < teaching.corpus_share * settings.steps:
            rows = mixed_rows(streams, SHARES, settings.tokens // settings.length, settings.length, generator)
            weight = torch.ones(rows.shape, device=rows.device)
        else:
            rows, weight = drawn_rows(written, settings.tokens, teaching.given, generator)
        with settings.autocast():
            loss, agree = learn(draft, rows, teach(target, rows), weight, teaching.hard)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step(share_of(step, settings.steps, settings.warmup, settings.decay))
        if (step + 1) % every == 0 or step == 0:
            log.append({"step": step + 1, "loss": round(loss.item(), 4), "agreement": round(agree.item(), 4)})
            print(f"draft {log[-1]} {time.monotonic() - began:.0f} s", flush=True)
    return moved(draft.weights, "cpu"), log


def drawn_rows(written: list[Written], tokens: int, given: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """About ``tokens`` tokens of one lesson, lessons by what was written in each, and their weights."""
    shares = torch.tensor([float(len(lesson.tokens) * (lesson.tokens.shape[1] - lesson.prompt)) for lesson in written])
    lesson = written[int(torch.multinomial(shares, 1, generator=generator))]
    count = min(len(lesson.tokens), max(1, tokens // lesson.tokens.shape[1]))
    chosen = torch.randint(len(lesson.tokens), (count,), generator=generator).to(lesson.tokens.device)
    rows = lesson.tokens[chosen].long()
    return rows, weights_of(rows, lesson.prompt, given)
