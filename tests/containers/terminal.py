"""A command of the kit in a pseudo-terminal, as a person types at it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path


class Terminal:
    """Starts ``cli.py ARGUMENTS`` in a checkout; reads until words appear; types; changes its size."""

    def __init__(self, checkout: Path, *arguments: str, rows: int = 41, columns: int = 133):
        self._text = ""
        self._pid, self._file = pty.fork()
        if self._pid == 0:
            os.chdir(checkout)
            os.execv(sys.executable, [sys.executable, "cli.py", *arguments])
        self.resize(rows, columns)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self._pid, signal.SIGWINCH)

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def read_until(self, words: str, seconds: float = 120) -> str:
        """What appeared up to ``words``, which must appear."""
        until = time.monotonic() + seconds
        while words not in self._text:
            assert time.monotonic() < until, f"{words!r} did not appear in {self._text!r}"
            if select.select([self._file], [], [], 0.1)[0]:
                try:
                    self._text += os.read(self._file, 4096).decode(errors="replace")
                except OSError as error:
                    raise AssertionError(f"the command ended after {self._text!r}") from error
        seen, _, self._text = self._text.partition(words)
        return seen + words

    def exit_code(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        os.close(self._file)
        return os.waitstatus_to_exitcode(status)
