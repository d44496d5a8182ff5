"""Why claims of ExFairS fail in this engine, by the number of the claim, and the figures that show it."""

from __future__ import annotations

CAUSES = {
    "1": "with the artifact's 128 seats hardly anybody waits for one, so that all orders are alike (`cli.py run"
    " exfairs/seats`). With 16, the fewest that cost FCFS no answers (`cli.py fit --exfairs`), the order decides,"
    " and both terms of the ratio add up, so that whoever consumed most is helped: in dec-1 ExFairS then violates more than"
    " VTC, and with 1 - share less than all in most runs (`cli.py run exfairs/ablation`).",
    "2": "a client that gives up takes with it what was computed for it, so that tokens answered a second follow from how many"
    " are answered in time: with 128 seats that is nobody's choice, with 16 it follows claim 1 (`cli.py run exfairs/seats`).",
    "3": "where the server is overloaded whole clients lose everything (`cli.py run exfairs/early --at 2`); where it bears the"
    " load and requests wait, the index is the highest (`cli.py run exfairs/ablation`).",
    "4": "the service term alone opens gaps above the threshold where violations are alike; the SLO alone, alpha=1, makes no"
    " needless exchange (`cli.py run exfairs/ablation`).",
    "5": "with 128 seats alpha decides nothing; with 16, in dec-1, the service term of the artifact's"
    " sign only harms, so that alpha=1 is best, and with 1 - share a middle alpha is (`cli.py run exfairs/alpha`).",
    "6": "with 128 seats there is no benefit that could vanish; with 16 it vanishes at low load and is still there at 1.2"
    " of the load, beyond which this sweep does not go (`cli.py run exfairs/load-sweep`).",
}


def cause_of(id: str) -> str:
    """The cause of the claim called ``id``, as in "1 early-3"."""
    return CAUSES[id.split()[0]]
