"""What a decision of an ordering policy costs, by clients: python -m benchmarks.ordering [--json].

A decision is all that a policy does for one request: an arrival, who is next, an admission, tokens of a step and the end
of a request, while every client has about two waiting.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque

from engine.ordering import Ordering
from engine.request import Expected, Request
from engine.system import PRESETS

CLIENTS = (10, 100, 1_000, 10_000)
DECISIONS, RUNNING = 20_000, 16


def measure(name: str, clients: int) -> float:
    """Microseconds a decision."""
    policy, _, _ = PRESETS[name].build({})
    for number in range(2 * clients):
        policy.on_arrival(_request(number, number % clients), 0.0)
    newcomers = [_request(2 * clients + number, number % clients) for number in range(DECISIONS)]
    running: deque[Request] = deque()
    started = time.perf_counter()
    for number, newcomer in enumerate(newcomers):
        _decide(policy, running, newcomer, now=0.01 * number)
    return 1e6 * (time.perf_counter() - started) / DECISIONS


def _decide(policy: Ordering, running: deque[Request], newcomer: Request, now: float) -> None:
    policy.on_arrival(newcomer, now)
    policy.on_pass(now)
    request = policy.next(now)
    if request is None:
        return
    policy.on_admit(request, now)
    running.append(request)
    if policy.by_request:
        policy.on_request_tokens([(request, 0, 1)], False, 0)
    else:
        policy.on_tokens({request.client: 1}, False, 0)
    if len(running) > RUNNING:
        ended = running.popleft()
        ended.generated = ended.output_tokens
        policy.on_finish(ended, now)


def _request(number: int, client: int) -> Request:
    request = Request(number, str(client), 200 + number % 57, 100 + number % 31, 0.0, app="app", interaction=number)
    request.call, request.calls, request.expected = 1, 1, Expected(200, 20, 100)
    return request


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    names = [name for name, system in PRESETS.items() if system.batching.name == "slora"]
    rows = {name: [round(measure(name, clients), 2) for clients in CLIENTS] for name in names}
    if as_json:
        print(json.dumps({"clients": CLIENTS, "microseconds": rows}, indent=2))
        return
    print("| microseconds a decision | " + " | ".join(f"{clients:,} clients" for clients in CLIENTS) + " |")
    print("|---|" + "---|" * len(CLIENTS))
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in values) + " |")


if __name__ == "__main__":
    main()
