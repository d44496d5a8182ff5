"""The corpus as tokens: the tokenizer's training, one compressed stream for each kind and split, rows drawn from it."""

from __future__ import annotations

import lzma
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from engine.errors import InputError
from training.corpus import KINDS, Document

END = "<|endoftext|>"
END_ID = 0
SPLITS = ("train", "held")
PACKING = [{"id": lzma.FILTER_LZMA2, "preset": 5, "lc": 3, "lp": 1, "pb": 1}]
BATCH = 256


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE of ``vocabulary`` tokens; token 0 ends a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write_streams(documents: list[Document], tokenizer: Tokenizer, folder: Path) -> dict[str, int]:
    """One file of uint16 tokens for each kind and split, every document closed by the end token; tokens written."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {}
    for kind in KINDS:
        for split in SPLITS:
            chosen = [d.text for d in documents if d.kind == kind and d.held_out == (split == "held")]
            stream = encode(chosen, tokenizer)
            packed = lzma.compress(stream.tobytes(), lzma.FORMAT_XZ, filters=PACKING)
            (folder / f"{kind}-{split}.xz").write_bytes(packed)
            sizes[f"{kind}-{split}"] = len(stream)
    return sizes


def encode(texts: list[str], tokenizer: Tokenizer) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
    """All texts in one stream, each closed by the end token."""
    parts: list[list[int]] = [[]]
    for start in range(0, len(texts), BATCH):
        for encoding in tokenizer.encode_batch(texts[start : start + BATCH]):
            parts.append([*encoding.ids, END_ID])
    return np.fromiter((token for part in parts for token in part), dtype="<u2", count=sum(map(len, parts)))


@dataclass(frozen=True)
class Stream:
    """Tokens [n] (int32) of one kind and split, and the offsets at which documents begin."""

    tokens: Tensor
    starts: Tensor

    def rows(self, count: int, length: int, generator: torch.Generator, aligned: float = 0.5) -> Tensor:
        """``count`` rows of ``length`` tokens, a share ``aligned`` of them from where a document begins. The draws come
        from ``generator``, on the CPU."""
        last = len(self.tokens) - length
        anywhere = torch.randint(last, (count,), generator=generator)
        begun = self.starts[torch.randint(len(self.starts), (count,), generator=generator)].clamp(max=last)
        first = torch.where(torch.rand(count, generator=generator) < aligned, begun, anywhere)
        index = first.to(self.tokens.device)[:, None] + torch.arange(length, device=self.tokens.device)
        return self.tokens[index].long()


def stream_of(tokens: np.ndarray[tuple[int], np.dtype[np.uint16]], device: str = "cpu") -> Stream:
    starts = np.concatenate([[0], np.flatnonzero(tokens[:-1] == END_ID) + 1])
    return Stream(torch.from_numpy(tokens.astype(np.int32)).to(device), torch.from_numpy(starts))


def read_streams(folder: Path, split: str, device: str = "cpu") -> dict[str, Stream]:
    """The streams of a split by kind."""

    def read(kind: str) -> Stream:
        path = folder / f"{kind}-{split}.xz"
        if not path.is_file():
            raise InputError(f"{path} is missing; make it with `python -m training corpus`.")
        return stream_of(np.frombuffer(lzma.decompress(path.read_bytes()), dtype="<u2"), device)

    with ThreadPoolExecutor(len(KINDS)) as pool:
        return dict(zip(KINDS, pool.map(read, KINDS), strict=True))


def mixed_rows(
    streams: dict[str, Stream], shares: dict[str, float], count: int, length: int, generator: torch.Generator
) -> Tensor:
    """``count`` rows of ``length`` tokens, kinds by their shares, the same number of each kind every time."""
    counts = {kind: round(count * shares[kind]) for kind in list(streams)[1:]}
    counts[next(iter(streams))] = count - sum(counts.values())
    return torch.cat([streams[kind].rows(number, length, generator) for kind, number in counts.items() if number])
