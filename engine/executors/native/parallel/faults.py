"""Which rank is at fault, and how a person is told."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from engine.errors import RankError
from engine.executors.native.memory import Memory
from engine.executors.native.parallel.board import Board
from engine.executors.native.parallel.rank import HERE, Raised

AGAIN = "start the run again"


@dataclass
class Member:
    """A rank as rank 0 knows it: its process, and what came through its pipe."""

    rank: int
    of: int
    process: BaseProcess
    pipe: Connection
    said: set[str] = field(default_factory=set)
    raised: Raised | None = None
    memory: Memory | None = None

    @property
    def name(self) -> str:
        return f"rank {self.rank} of {self.of}"

    def has_said(self, word: str) -> bool:
        self.hear()
        return word in self.said

    def hear(self) -> None:
        """Take what is in the pipe."""
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                if isinstance(message, Raised):
                    self.raised = message
                elif isinstance(message, Memory):
                    self.memory = message
                else:
                    self.said.add(message)
        except (EOFError, OSError):
            return


def fault(members: Sequence[Member], board: Board, patience_s: float) -> RankError | None:
    """What is wrong, None for nothing. A rank that was killed or is silent comes before those that raised, since they may
    have raised because of it; of these the first comes first."""
    for member in members:
        code = member.process.exitcode
        member.hear()
        if code is not None and member.raised is None:
            return RankError(f"{member.name} {_ending(code)}; {AGAIN}.", member.rank)
    for member in members:
        if HERE in member.said and member.raised is None and (silent := board.silent_s(member.rank)) > patience_s:
            return RankError(f"{member.name} gives no sign of life for {silent:.0f} s; {AGAIN}.", member.rank)
    raised = [(member.raised.at, member, member.raised) for member in members if member.raised is not None]
    if not raised:
        return None
    _, member, what = min(raised, key=lambda entry: entry[0])
    return RankError(f"{member.name} raised {what.line}; correct that and {AGAIN}.", member.rank, what.traceback, what.memory)


def late(members: Sequence[Member], board: Board, sent: int, patience_s: float) -> RankError:
    """Of ranks that live: the first that is not through with all that was ``sent``."""
    for member in members:
        if board.finished(member.rank) < sent:
            return RankError(f"{member.name} has not done its part of a step for {patience_s:.0f} s; {AGAIN}.", member.rank)
    return RankError(f"the ranks' GPUs have not done a step for {patience_s:.0f} s; {AGAIN}.")


def unstarted(members: Sequence[Member], word: str, limit_s: float) -> RankError:
    slow = next(member for member in members if word not in member.said)
    return RankError(f"{slow.name} did not start within {limit_s:.0f} s; {AGAIN}.", slow.rank)


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    names = {signal.SIGKILL: "SIGKILL, perhaps for want of memory"}
    return f"was killed by {names.get(signal.Signals(-code), signal.Signals(-code).name)}"
