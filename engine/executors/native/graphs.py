"""Forwards replayed as CUDA graphs, over input buffers whose place never changes."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise, product
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.executors.native.forward_input import ForwardInput
from engine.kernels.metadata import AttentionMetadata, tile_size, tiles_of

Ints = NDArray[np.int64]
Wait = Callable[[torch.cuda.Event], None]
NOBODY = -1
MOST_TOKENS, MOST_SEQUENCES = 1024, 512
FINE, FEW = 8, 4
SEQUENCES = (8, 32, 128, MOST_SEQUENCES)
TOKENS = (*range(32, 256, 32), *range(256, 512, 64), *range(512, MOST_TOKENS + 1, 128))


@dataclass(frozen=True, slots=True)
class Bucket:
    """A shape of forwards: room for ``sequences`` with ``tokens`` new tokens in tiles of ``tile`` tokens, whose trees have
    masks of ``words`` words. Logits are wanted after ``wanted`` tokens, or after all where that is None."""

    sequences: int
    tokens: int
    tile: int
    words: int
    wanted: int | None

    @property
    def tiles(self) -> int:
        """The most tiles that so many sequences with so many tokens can have."""
        return min(self.tokens, self.tokens // self.tile + self.sequences)


def packed(buckets: Sequence[Bucket]) -> Ints:
    """A row of numbers for each, to be sent to other ranks."""
    rows = [[*astuple(bucket)[:-1], NOBODY if bucket.wanted is None else bucket.wanted] for bucket in buckets]
    return np.array(rows, np.int64).reshape(len(rows), -1)


def unpacked(rows: Ints) -> list[Bucket]:
    """The inverse of ``packed``."""
    return [Bucket(s, t, tile, words, None if wanted == NOBODY else wanted) for s, t, tile, words, wanted in rows.tolist()]


def bucket_for(step: ForwardInput, group: int) -> Bucket | None:
    """The smallest bucket that holds the step; None for one that is too large."""
    tokens, sequences, longest = len(step.tokens), len(step.context_lens), int(step.query_lens.max())
    if tokens > MOST_TOKENS or sequences > MOST_SEQUENCES:
        return None
    words = step.tree_mask.shape[1]
    if tokens == sequences and not words:
        return _decoding(sequences)
    last_only = len(step.wanted) <= _room(SEQUENCES, sequences) and not words
    return uneven_bucket(sequences, tokens, longest, group, words, last_only)


def uneven_bucket(sequences: int, tokens: int, longest: int, group: int, words: int, last_only: bool) -> Bucket:
    """The smallest for so many sequences with up to ``longest`` of the ``tokens`` each."""
    rows = _room(SEQUENCES, sequences)
    return Bucket(rows, _room(TOKENS, tokens), _tile(longest, group), words, rows if last_only else None)


def decoding_buckets(most: int) -> list[Bucket]:
    """Of decode steps of up to ``most`` sequences, the largest first."""
    sizes = {_decoding(count) for count in range(1, min(most, MOST_SEQUENCES) + 1)}
    return sorted(sizes, key=lambda bucket: -bucket.tokens)


def uneven_buckets(most: int, each: int, group: int, words: int, last_only: bool) -> list[Bucket]:
    """Of steps of up to ``most`` sequences with 1 to ``each`` new tokens, the largest first; ``last_only``: logits are wanted
    after the last of each sequence alone."""
    found, most = list[Bucket](), min(most, MOST_SEQUENCES)
    for fewer, rows in pairwise((0, *SEQUENCES)):
        if fewer >= most:
            break
        largest = _room(TOKENS, min(rows * each, MOST_TOKENS))
        for room, longest in product(TOKENS, {min(each, FEW), each}):
            if fewer < room <= min(largest, _room(TOKENS, min(rows * longest, MOST_TOKENS))):
                found.append(Bucket(rows, room, _tile(longest, group), words, rows if last_only else None))
    return sorted(found, key=lambda bucket: -bucket.tokens)


def _decoding(sequences: int) -> Bucket:
    rows = 1 << (sequences - 1).bit_length() if sequences <= FINE else -(-sequences // FINE) * FINE
    return Bucket(rows, rows, 1, 0, None)


def _tile(longest: int, group: int) -> int:
    return tile_size(FEW if longest <= FEW else MOST_TOKENS, group)


def _room(sizes: Sequence[int], count: int) -> int:
    return sizes[bisect_left(sizes, count)]


class Tables:
    """The block tables of a step, for all buckets: on the device, and in pinned memory twice, as StepBuffers has its own."""

    def __init__(self, sequences: int, most_blocks: int, device: torch.device, wait: Wait):
        self.device = torch.zeros(sequences, most_blocks, dtype=torch.int64, device=device)
        self._layouts = deque(_Layout({"tables": (sequences * most_blocks,)}, device) for _ in range(2))
        self._wait = wait

    def fill(self, tables: Ints) -> None:
        self._layouts.rotate()
        layout, (rows, columns) = self._layouts[0], tables.shape
        layout.wait(self._wait)
        there = layout.memory[: rows * columns].view(rows, columns)
        there.numpy()[:] = tables
        self.device[:rows, :columns].copy_(there, non_blocking=True)
        layout.sent()


class StepBuffers:
    """One step's input on the device; ``tables`` is shared by all buckets.

    A step is laid out in pinned memory, from where one copy brings it over. Two such layouts take turns, since the copy of
    one may still wait for the step before it while the next is filled.
    """

    def __init__(self, bucket: Bucket, tables: Tables, device: torch.device, wait: Wait = torch.cuda.Event.synchronize):
        b, t = bucket.sequences, bucket.tokens
        shapes = {"tokens": (t,), "positions": (t,), "slots": (t,), "starts": (b,), "lens": (3, b),
                  "tiles": (2, bucket.tiles), "mask": (t, bucket.words), "wanted": (bucket.wanted or 0,)}
        self._bucket, self._tables, self._wait = bucket, tables, wait
        self._memory = torch.zeros(sum(map(prod, shapes.values())), dtype=torch.int64, device=device)
        self.device = _views(self._memory, shapes)
        self._layouts = deque(_step_layout(shapes, device) for _ in range(2))
        self._bring(self._layouts[0])

    def fill(self, step: ForwardInput, last_position: int) -> None:
        """Bring a step of at most the bucket's size to the device."""
        self._layouts.rotate()
        layout = self._layouts[0]
        layout.wait(self._wait)
        host, t, b = layout.arrays, len(step.tokens), len(step.context_lens)
        host["tokens"][:t], host["slots"][:t], host["slots"][t:] = step.tokens, step.slot_mapping, NOBODY
        np.minimum(step.positions, last_position, out=host["positions"][:t])
        host["starts"][:b] = np.cumsum(step.query_lens) - step.query_lens
        lens = host["lens"]
        lens[0, :b], lens[1, :b] = step.context_lens, step.context_lens + step.query_lens
        lens[2, :b] = lens[1, :b] - step.tree_lens
        tiles = tiles_of(step.query_lens, self._bucket.tile)
        host["tiles"][:, : tiles.shape[1]], host["tiles"][0, tiles.shape[1] :] = tiles, NOBODY
        host["mask"][:t] = step.tree_mask
        if self._bucket.wanted is not None:
            host["wanted"][: len(step.wanted)] = step.wanted
        self._bring(layout)
        layout.sent()
        self._tables.fill(step.block_tables)

    def _bring(self, layout: _Layout) -> None:
        self._memory.copy_(layout.memory, non_blocking=True)

    def metadata(self) -> AttentionMetadata:
        device = self.device
        return AttentionMetadata(
            slot_mapping=device["slots"], block_tables=self._tables.device[: self._bucket.sequences], tree_mask=device["mask"],
            lens=device["lens"], starts=device["starts"], tiles=device["tiles"], tile_queries=self._bucket.tile,
            lens_cpu=self._layouts[0].arrays["lens"],
        )


class _Layout:
    """Named arrays in pinned memory."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], device: torch.device):
        pinned = device.type == "cuda"
        self.memory = torch.zeros(sum(map(prod, shapes.values())), dtype=torch.int64, pin_memory=pinned)
        self.arrays: dict[str, Ints] = {name: view.numpy() for name, view in _views(self.memory, shapes).items()}
        self._sent = torch.cuda.Event() if pinned else None  # type: ignore[no-untyped-call]

    def wait(self, wait: Wait) -> None:
        """Until it was copied."""
        if self._sent is not None:
            wait(self._sent)

    def sent(self) -> None:
        if self._sent is not None:
            self._sent.record()


def _step_layout(shapes: Mapping[str, tuple[int, ...]], device: torch.device) -> _Layout:
    """A step of nobody: no tile, and no token that is kept."""
    layout = _Layout(shapes, device)
    layout.arrays["slots"].fill(NOBODY)
    layout.arrays["tiles"].fill(NOBODY)
    return layout


def _views(memory: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The named arrays, one after another in ``memory``."""
    parts: Sequence[Tensor] = torch.split(memory, [prod(shape) for shape in shapes.values()])
    return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


Forward = Callable[[Tensor, Tensor, AttentionMetadata, Tensor | None], Tensor]


class Graphs:
    """Captures ``forward`` (tokens, positions, metadata, wanted -> logits) once a bucket, and replays it.

    Once some were captured ahead of time no other is, since that would hold up a step. On a CPU, where nothing can be
    captured, forwards are computed over the same buffers.
    ``wait``: until the device is past an event.
    """

    def __init__(
        self, forward: Forward, group: int, last_position: int, most_blocks: int, device: torch.device,
        wait: Wait = torch.cuda.Event.synchronize,
    ):
        self._forward, self._group, self._last_position, self._wait = forward, group, last_position, wait
        self._device, self._tables = device, Tables(MOST_SEQUENCES, most_blocks, device, wait)
        self._captured: dict[Bucket, tuple[StepBuffers, Callable[[], Tensor]]] = {}
        self._complete = False
        self._logits: Tensor | None = None
        self._pool = self._stream = None
        if device.type == "cuda":
            self._pool, self._stream = torch.cuda.graph_pool_handle(), torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def run(self, step: ForwardInput, tokens: Tensor | None = None, tree_mask: Tensor | None = None) -> Tensor | None:
        """Logits [wanted, vocabulary] until the next run, or None for a step that no bucket holds."""
        bucket = bucket_for(step, self._group)
        if bucket is None or step.block_tables.shape[1] > self._tables.device.shape[1]:
            return None
        if bucket not in self._captured:
            if self._complete:
                return None
            self._captured[bucket] = self._capture(bucket)
        buffers, replay = self._captured[bucket]
        buffers.fill(step, self._last_position)
        if tokens is not None:
            buffers.device["tokens"][: len(tokens)].copy_(tokens)
        if tree_mask is not None and bucket.words:
            buffers.device["mask"][: len(tree_mask)].copy_(tree_mask)
        logits = replay()
        if bucket.wanted is None and len(step.wanted) < len(step.tokens):
            return logits.index_select(0, torch.from_numpy(step.wanted).to(logits.device))
        return logits[: len(step.wanted)]

    def has(self, bucket: Bucket) -> bool:
        """Whether it was captured, or can be."""
        return bucket in self._captured or not self._complete

    def run_on_device(self, bucket: Bucket, block_tables: Ints, fill: Callable[[dict[str, Tensor], Tensor], None]) -> Tensor:
        """Logits [tokens, vocabulary] of a step that ``fill`` writes where the bucket reads it: its input by name, and the
        block tables, which are there by then."""
        if bucket not in self._captured:
            self._captured[bucket] = self._capture(bucket)
        buffers, replay = self._captured[bucket]
        self._tables.fill(block_tables)
        fill(buffers.device, self._tables.device)
        return replay()

    def capture(self, buckets: Iterable[Bucket], done: Callable[[], None]) -> None:
        """Capture these ahead of time, and no others later; ``done`` hears of each."""
        for bucket in buckets:
            if bucket not in self._captured:
                self._captured[bucket] = self._capture(bucket)
            done()
        self._complete = True

    def _capture(self, bucket: Bucket) -> tuple[StepBuffers, Callable[[], Tensor]]:
        buffers = StepBuffers(bucket, self._tables, self._device, self._wait)

        def compute() -> Tensor:
            there = buffers.device
            wanted = None if bucket.wanted is None else there["wanted"]
            return self._forward(there["tokens"], there["positions"], buffers.metadata(), wanted)

        if self._stream is None:
            return buffers, compute
        stream = self._stream
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            logits = self._kept(compute())
        torch.cuda.current_stream().wait_stream(stream)
        computed = torch.cuda.Event()  # type: ignore[no-untyped-call]
        computed.record(stream)
        self._wait(computed)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            self._kept(compute())

        def replay() -> Tensor:
            graph.replay()
            return logits

        return buffers, replay

    def _kept(self, logits: Tensor) -> Tensor:
        """The logits in memory that all graphs share, so that none holds its own."""
        if self._logits is None:
            self._logits = logits.new_empty(MOST_TOKENS, logits.shape[1])
        return self._logits[: len(logits)].copy_(logits)
