"""What a decision of an ordering policy costs, by clients: python -m benchmarks.ordering [SYSTEM ...] [--rounds 5] [--json].

A decision is all that a policy does for one request: an arrival, who is next, an admission, tokens of a step and the end
of a request, while every client has about two waiting. The systems take turns, round after round, and the median counts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from statistics import median

from engine.ordering import Ordering
from engine.request import FINISHED, Expected, Request
from engine.system import CLIENT_QUEUES, PRESETS

CLIENTS = (10, 100, 1_000, 10_000)
DECISIONS, RUNNING, STEP_S = 20_000, 16, 0.01
SYSTEMS = (*(name for name, system in PRESETS.items() if system.choices["batching"].name == "slora"), *CLIENT_QUEUES)


def measure(name: str, clients: int) -> float:
    """Microseconds a decision."""
    policy = PRESETS[name].build({}).ordering
    for number in range(2 * clients):
        policy.on_arrival(_request(number, number % clients, 0.0), 0.0)
    newcomers = [_request(2 * clients + i, i % clients, i * STEP_S) for i in range(DECISIONS)]
    running: deque[Request] = deque()
    started = time.perf_counter()
    for newcomer in newcomers:
        _decide(policy, running, newcomer, newcomer.arrival_s)
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
        ended.produced, ended.status = ended.output_tokens, FINISHED
        policy.on_finish(ended, now)


def _request(number: int, client: int, arrival_s: float) -> Request:
    request = Request(number, str(client), 200 + number % 57, 100 + number % 31, arrival_s, app="app", interaction=number)
    request.call, request.calls, request.expected = 1, 1, Expected(200, 20, 100)
    return request


def medians(names: list[str], rounds: int) -> dict[str, list[float]]:
    """For each system microseconds a decision by ``CLIENTS``."""
    taken = [{name: [measure(name, clients) for clients in CLIENTS] for name in names} for _ in range(rounds)]
    return {name: [round(median(values), 2) for values in zip(*(one[name] for one in taken), strict=True)] for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"of {', '.join(SYSTEMS)}; all of them unless given")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each, of which the median is printed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.systems).difference(SYSTEMS):
        parser.error(f"unknown systems {', '.join(sorted(unknown))}; choose from {', '.join(SYSTEMS)}")
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, not {options.rounds}")
    rows = medians(options.systems or list(SYSTEMS), options.rounds)
    if options.json:
        print(json.dumps({"clients": CLIENTS, "rounds": options.rounds, "microseconds": rows}, indent=2))
        return
    print("| microseconds a decision | " + " | ".join(f"{clients:,} clients" for clients in CLIENTS) + " |")
    print("|---|" + "---|" * len(CLIENTS))
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in values) + " |")


if __name__ == "__main__":
    main()
