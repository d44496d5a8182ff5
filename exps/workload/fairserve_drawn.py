"""Requests with the statistics of FairServe's production trace, for where the trace itself is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from exps.workload.fairserve import APP_LIMIT
from exps.workload.timetable import timetable

REQUESTS = 9241
SECONDS = 72
FIRST_SECOND = 230 / REQUESTS
HEAVIEST = (0.183, 0.062)
LONGEST = 2000
APPLICATIONS = Path(__file__).parent / "data" / "fairserve_applications.csv"
CALLS = np.array([1, 2, 3, 4, 5, 6, 8, 12, 20, 40])
HEAVIEST_INTERACTIONS = np.array([0.99, 0.01, 0, 0, 0, 0, 0, 0, 0, 0])
INTERACTIONS = np.array([0.50, 0.11, 0.145, 0.195, 0.023, 0.009, 0.007, 0.006, 0.003, 0.002])
OF_A_CLIENT = np.array([0.480, 0.300, 0.150, 0.035, 0.015, 0.010])
TAIL = (7, 110)


@dataclass(frozen=True)
class Interaction:
    """``calls`` calls of a client to an application."""

    client: int
    app: int
    calls: int


def drawn_timetable(seed: int, requests: int = REQUESTS, app_limit: int = APP_LIMIT) -> pl.DataFrame:
    """``requests`` requests within 72 whole seconds, sent at once in each.

    As in the trace: the heaviest client sends 18 % and the next 6 %, the median 4 requests; 23 applications, the largest
    with just under half of all requests; 34 % of requests are interactions of their own, 26 % belong to one of four calls;
    prompts of 525 and answers of 12 tokens on average, and expectations that were not divided by 8 as they were.
    """
    counts, clients, kinds, lengths, arrivals = (
        np.random.default_rng(sequence) for sequence in np.random.SeedSequence(seed).spawn(5)
    )
    interactions = list(_interactions(requests, counts, clients, kinds))
    calls = np.array([interaction.calls for interaction in interactions])
    number = np.repeat(np.arange(calls.size), calls)
    call = np.arange(number.size) - np.repeat(np.cumsum(calls) - calls, calls) + 1
    app = np.array([interaction.app for interaction in interactions])[number]
    table = pl.read_csv(APPLICATIONS)
    prompt, output = _lengths(table, app, lengths)
    frame = pl.DataFrame(
        {
            "arrival_s": _arrivals(calls, arrivals),
            "client": [f"client-{interactions[i].client}" for i in number],
            "app": [f"app-{table['app'][place]}" for place in app.tolist()],
            "prompt_tokens": prompt,
            "output_tokens": output,
            "interaction": number,
            "call": call,
            "calls": calls[number],
            "system_tokens": 0,
            "app_limit": app_limit,
            "expected_input": table["expected_input"].to_numpy()[app],
            "expected_system": 1.0,
            "expected_output": table["expected_output"].to_numpy()[app],
        }
    )
    return timetable(frame.to_dict())


def _interactions(
    requests: int, counts: np.random.Generator, clients: np.random.Generator, kinds: np.random.Generator
) -> Iterator[Interaction]:
    """Interactions of one client after the other, until there are ``requests`` calls."""
    table = pl.read_csv(APPLICATIONS)
    apps = [table[name].to_numpy() / table[name].sum() for name in ("heaviest_client", "others")]
    heaviest, client = [round(share * requests) for share in HEAVIEST], 0
    while requests:
        left = heaviest[client] if client < len(heaviest) else requests
        many = left if client < len(heaviest) else _of_a_client(clients)
        usual = int(kinds.choice(table.height, p=apps[1]))
        for _ in range(many):
            drawn = int(counts.choice(CALLS, p=HEAVIEST_INTERACTIONS if client == 0 else INTERACTIONS))
            calls = min(drawn, left)
            if not calls:
                break
            switched = client == 0 or kinds.random() < 0.1
            app = int(kinds.choice(table.height, p=apps[min(client, 1)])) if switched else usual
            yield Interaction(client, app, calls)
            left, requests = left - calls, requests - calls
        client += 1


def _of_a_client(rng: np.random.Generator) -> int:
    """Interactions of a client: rarely more than six, and then anything up to the end of the tail, log-uniformly."""
    few = int(np.searchsorted(np.cumsum(OF_A_CLIENT), rng.random())) + 1
    return few if few <= OF_A_CLIENT.size else int(np.exp(rng.uniform(*np.log(TAIL))))


def _lengths(
    table: pl.DataFrame, app: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Log-normal about each application's mean, together below ``LONGEST`` tokens."""
    drawn = []
    for name, sigma in (("prompt_tokens", 0.6), ("output_tokens", 0.8)):
        mean = table[name].to_numpy()[app]
        drawn.append(rng.lognormal(np.log(mean) - sigma**2 / 2, sigma))
    output = np.clip(np.rint(drawn[1]), 1, 313).astype(np.int64)
    prompt = np.clip(np.rint(drawn[0]), 1, LONGEST - 1 - output).astype(np.int64)
    return prompt, output


def _arrivals(calls: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Whole seconds: an interaction starts at any time, more often in the first second, and its calls follow in order."""
    number = np.repeat(np.arange(calls.size), calls)
    first = np.cumsum(calls) - calls
    gaps = rng.geometric(0.35, number.size) - 1
    gaps[first] = 0
    after = np.cumsum(gaps)
    after -= np.repeat(after[first], calls)
    last = np.minimum(after[first + calls - 1], SECONDS - 1)
    start = np.floor(rng.random(calls.size) * (SECONDS - last))
    start[rng.random(calls.size) < FIRST_SECOND] = 0
    return np.minimum(start[number] + after, SECONDS - 1).astype(np.float64)
