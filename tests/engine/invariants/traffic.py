"""Random requests that every policy can serve: with clients, applications, interactions, expected lengths and SLOs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from hypothesis import strategies as st

from engine.request import Expected, Request
from tests.engine.strategies import make_request

CLIENTS = ("client-1", "client-2", "client-3")
USUAL = {"mail": Expected(input=30, system=5, output=10), "chat": Expected(input=10, system=20, output=20)}


@st.composite
def traffic(
    draw: st.DrawFn,
    clients: Sequence[str] = CLIENTS,
    min_size: int = 1,
    max_size: int = 30,
    max_prompt: int = 40,
    max_output: int = 20,
    max_gap_s: float = 0.03,
    gaps_s: st.SearchStrategy[float] | None = None,
) -> list[Request]:
    """Requests in order of arrival, ``gaps_s`` apart, or about half of them together with the one before.

    A client's requests are the calls of its interactions, one after the other; the last interaction may be cut short.
    """
    if gaps_s is None:
        gaps_s = st.one_of(st.just(0.0), st.floats(0, max_gap_s))
    shape = st.tuples(gaps_s, st.sampled_from(clients), st.integers(1, max_prompt), st.integers(1, max_output))
    rows = draw(st.lists(shape, min_size=min_size, max_size=max_size))
    calls = {client: draw(st.integers(1, 4)) for client in clients}
    slo_s = draw(st.sampled_from((None, 0.05, 0.4)))
    sent: Counter[str] = Counter()
    requests = []
    for id, (arrival_s, (_, client, prompt, output)) in enumerate(zip(accumulate(row[0] for row in rows), rows, strict=True)):
        interaction, before = divmod(sent[client], calls[client])
        sent[client] += 1
        app = sorted(USUAL)[interaction % len(USUAL)]
        requests.append(
            make_request(
                id, client, prompt, output, arrival_s=arrival_s, slo_s=slo_s, category=app, app=app, app_limit=6,
                interaction=interaction, call=before + 1, calls=calls[client], system_tokens=min(5, prompt),
                expected=USUAL[app],
            )
        )
    return requests


def crowd(lengths: Sequence[tuple[str, int, int]], each: int = 1, first: int = 0, arrival_s: float = 0.0) -> list[Request]:
    """``each`` requests of every (client, prompt, output) at one time, numbered from ``first``, one client after the other."""
    rows = [row for row in lengths for _ in range(each)]
    return [
        make_request(
            first + i, client, prompt, output, arrival_s=arrival_s, expected=USUAL["mail"], app="mail", app_limit=1000
        )
        for i, (client, prompt, output) in enumerate(rows)
    ]
