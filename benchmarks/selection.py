"""Microseconds that AdaServe's selection takes on the CPU, and what its beam gives up: python -m benchmarks.selection.

The optimum has every node of the trees to choose from, however deep; the beam has the depth and width of the policy.
"""

from __future__ import annotations

import argparse
import timeit
from heapq import heappop, heappush

import numpy as np

from engine.executors.simulated.acceptance import AcceptanceModel, AcceptanceSampler
from engine.executors.simulated.profiles import load_deployment
from engine.plan import DraftShape
from engine.progress import Progress
from engine.speculation.adaserve import AdaServe
from engine.speculation.mechanics.selection import distinct, select_for_slo, select_for_throughput

REQUESTS, SHAPE, ROOM = 64, DraftShape(8, 3, 512), 448
MODEL = AcceptanceModel(0.84, later_share=0.4)
CHILDREN = 3


def microseconds(repeats: int) -> float:
    """The fastest of several rounds: both steps of the selection for 64 requests of 24 candidates, within 512 tokens."""
    probability = AcceptanceSampler(MODEL, 0).draft(REQUESTS, SHAPE).probability
    need = np.random.default_rng(0).uniform(0, 6, REQUESTS)

    def select() -> None:
        ranks = distinct(probability)
        for_slo = select_for_slo(ranks, need, ROOM, 9)
        select_for_throughput(ranks, for_slo, ROOM - int(np.count_nonzero(for_slo)))

    calls = 200
    return 1e6 * min(timeit.repeat(select, number=calls, repeat=repeats)) / calls


def expected_tokens(requests: int, budget: int, seed: int) -> tuple[float, float]:
    """Tokens that a step of ``budget`` expects: from the policy's beam, and from the best nodes of trees without an end."""
    policies = load_deployment("llama-3.1-70b", "4xa100-80g").policies_under("scaled")
    shape = AdaServe(**{**policies["adaserve"], "budget": budget}).shape(Progress.fresh(requests))
    assert shape is not None
    probability = AcceptanceSampler(MODEL, seed).draft(requests, shape).probability
    beam = np.sort(probability.ravel())[::-1][: budget - requests].sum()
    return requests + float(beam), requests + _best_of_endless(requests, budget - requests, seed)


def _best_of_endless(requests: int, room: int, seed: int) -> float:
    """Best first: the likeliest node of all whose parent was taken, again and again."""
    sampler, total = AcceptanceSampler(MODEL, seed + 1), 0.0
    drawn = iter(sampler.draft(requests + room, DraftShape(1, CHILDREN, 10**6)).probability[:, 0].tolist())
    open_ones = [-chance for _ in range(requests) for chance in next(drawn)]
    open_ones.sort()
    for _ in range(room):
        chance = -heappop(open_ones)
        total += chance
        for child in next(drawn):
            heappush(open_ones, -chance * child)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=50)
    options = parser.parse_args()
    print(f"{REQUESTS} requests of {SHAPE.depth * SHAPE.width} candidates: {microseconds(options.repeats):.0f} us")
    for requests in (8, 16, 32, 64, 96):
        found = np.array([expected_tokens(requests, 512, seed) for seed in range(20)]).mean(axis=0)
        print(f"{requests} requests, 512 tokens: beam {found[0]:.1f} of {found[1]:.1f} tokens, {found[0] / found[1] - 1:+.1%}")


if __name__ == "__main__":
    main()
