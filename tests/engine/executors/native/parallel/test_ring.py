"""Every reader hears every message, in order and whole, whoever is slow."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.executors.native.forward_input import ForwardInput
from engine.executors.native.parallel.board import Board
from engine.executors.native.parallel.commands import Command, arrays_of, pack, unpack
from engine.executors.native.parallel.ring import Ring

Ints = NDArray[np.int64]
lengths = st.lists(st.integers(1, 23), min_size=1, max_size=40)


def patient(waited_s: float) -> None:
    assert waited_s < 20


@given(lengths, st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_all_hear_all(sizes: list[int], readers: int, slots: int, words: int, data: st.DataObject) -> None:
    messages = [np.arange(size, dtype=np.int64) * 1000 + place for place, size in enumerate(sizes)]
    slow = data.draw(st.sets(st.tuples(st.integers(0, readers), st.integers(0, len(sizes))), max_size=3))
    memory = np.zeros(Ring.size_of(readers, slots, words), np.int64)

    def dawdle(who: int, place: int) -> None:
        if (who, place) in slow:
            time.sleep(0.003)

    def write() -> list[Ints]:
        ring = Ring(memory, readers, slots, words)
        for place, message in enumerate(messages):
            dawdle(readers, place)
            ring.send(message, patient)
        return messages

    def read(reader: int) -> list[Ints]:
        ring, heard = Ring(memory, readers, slots, words), []
        for place in range(len(messages)):
            dawdle(reader, place)
            heard.append(ring.receive(reader, patient))
        return heard

    with ThreadPoolExecutor(readers + 1) as threads:
        ends = [threads.submit(write), *(threads.submit(read, reader) for reader in range(readers))]
        for end in ends:
            assert [message.tolist() for message in end.result()] == [message.tolist() for message in messages]


def test_the_writer_waits_for_the_slowest() -> None:
    memory = np.zeros(Ring.size_of(2, 2, 4), np.int64)
    ring = Ring(memory, 2, 2, 4)

    def give_up(waited_s: float) -> None:
        if waited_s > 0.02:
            raise TimeoutError

    for number in (1, 2):
        ring.send(np.array([number]), give_up)
    assert ring.receive(0, give_up) == [1]
    with pytest.raises(TimeoutError):
        ring.send(np.array([3]), give_up)
    assert ring.receive(1, give_up) == [1]
    ring.send(np.array([3]), give_up)
    assert [int(ring.receive(1, give_up)[0]) for _ in range(2)] == [2, 3]
    with pytest.raises(TimeoutError):
        ring.receive(1, give_up)


@given(st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_step_comes_back_from_its_words(data: st.DataObject) -> None:
    t, b, n, words = (data.draw(st.integers(low, 7)) for low in (1, 1, 0, 0))
    number = iter(range(10_000))
    shapes = [(t,), (t,), (t,), (b, n), (b,), (b,), (b,), (t, words), (data.draw(st.integers(0, t)),)]
    arrays = [np.array([next(number) for _ in range(prod(shape))], np.int64).reshape(shape) for shape in shapes]
    step = ForwardInput(*arrays)
    command, arrays = unpack(pack(Command.FORWARD, arrays_of(step)))
    assert command is Command.FORWARD
    for ours, theirs in zip(arrays_of(ForwardInput(*arrays)), arrays_of(step), strict=True):
        assert ours.shape == theirs.shape and (ours == theirs).all()


def test_a_command_may_carry_nothing() -> None:
    assert unpack(pack(Command.STOP)) == (Command.STOP, [])


def test_a_board_is_one_memory_with_no_name_once_all_have_it() -> None:
    mine = Board(2)
    theirs = Board(2, mine.name)
    mine.unlink()
    mine.ring.send(np.array([7, 8]), patient)
    assert theirs.ring.receive(1, patient).tolist() == [7, 8]
    theirs.pulse(2)
    theirs.finish(2)
    assert mine.silent_s(2) < 5 < mine.silent_s(1)
    assert (mine.finished(1), mine.finished(2)) == (0, 1)
    with pytest.raises(FileNotFoundError):
        Board(2, mine.name)
    theirs.close()
    mine.close()
