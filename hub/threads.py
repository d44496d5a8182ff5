"""Work in a few threads that an interrupt does not wait for."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
GRACE_S, HEARD_S = 0.5, 0.2


def in_threads(work: Callable[[T, Event], R], items: Sequence[T], threads: int) -> Generator[tuple[T, R], None, None]:
    """``work`` on each item; results as they come, the first error raised. ``work`` is to end when the event is set.

    Threads are daemons: one that waits for a stalled connection does not hold up the end of the process.
    """
    todo: SimpleQueue[T] = SimpleQueue()
    done: SimpleQueue[tuple[T, R] | Exception] = SimpleQueue()
    stop = Event()
    for item in items:
        todo.put(item)
    crew = [Thread(target=_work, args=(work, todo, done, stop), daemon=True) for _ in range(min(threads, len(items)))]
    try:
        for thread in crew:
            thread.start()
        for _ in items:
            outcome = _next(done)
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome
    finally:
        stop.set()
        for thread in crew:
            thread.join(GRACE_S)


def _next(done: SimpleQueue[T]) -> T:
    """A wait without end may miss an interrupt that another thread was running for; one with a timeout hears it."""
    while True:
        try:
            return done.get(timeout=HEARD_S)
        except Empty:
            continue


def _work(
    work: Callable[[T, Event], R], todo: SimpleQueue[T], done: SimpleQueue[tuple[T, R] | Exception], stop: Event
) -> None:
    while not stop.is_set():
        try:
            item = todo.get_nowait()
        except Empty:
            return
        try:
            done.put((item, work(item, stop)))
        except Exception as error:
            done.put(error)
