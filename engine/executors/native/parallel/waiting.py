"""Waiting for what another process does to shared memory."""

from __future__ import annotations

import time
from collections.abc import Callable

SPIN_S, ATTENTIVE_S = 0.001, 1.0
NAP_S, LONG_NAP_S = 0.00005, 0.001

Watch = Callable[[float], None]


def wait_until(ready: Callable[[], bool], watch: Watch) -> None:
    """Look again and again; after the first millisecond with naps, longer ones once nothing happens for a second.

    ``watch`` hears before each nap for how many seconds it has lasted; what it raises ends the wait.
    """
    began = time.monotonic()
    while not ready():
        waited = time.monotonic() - began
        if waited > SPIN_S:
            watch(waited)
            time.sleep(NAP_S if waited < ATTENTIVE_S else LONG_NAP_S)
