"""Why claims of ExFairS fail in this engine, by the number of the claim, and the figures that show it."""

from __future__ import annotations

CAUSES = {
    "1": "at the published loads nearly all that is here is served at once, or the server is overloaded and nearly all"
    " violate, so that orders differ little; where requests wait and can still be in time (16 at a time, 0.8 of the load)"
    " the order matters, but both terms of the ratio add up, so that whoever consumed most is helped: `cli.py run"
    " exfairs/load-sweep` and `exfairs/ablation`, where 1 - share does better.",
    "2": "every order conserves work, so that an order changes who is served when and not the tokens a second; counting"
    " only what is answered within the artifact's time-out of 30 s shows no gain either, and within the SLO the gain"
    " follows claim 1 (`cli.py run exfairs/ablation`).",
    "3": "the service term helps whoever consumed most, so that short clients violate more than long ones; in dec-1 the"
    " index is the highest with 1 - share (`cli.py run exfairs/ablation`).",
    "4": "the service term alone opens gaps above the threshold: in dec-1, with alpha=1, the SLO alone, the first form"
    " makes no needless exchange, and with 1 - share all still are (`cli.py run exfairs/ablation`).",
    "5": "in dec-1 the service term of the artifact's sign only harms, so that alpha=1 is best, and in early-3 its values"
    " have no order; with 1 - share a middle alpha is best wherever an order matters (`cli.py run exfairs/alpha`).",
    "6": "where there is no benefit none can vanish: see claim 1.",
}


def cause_of(id: str) -> str:
    """The cause of the claim called ``id``, as in "1 early-3"."""
    return CAUSES[id.split()[0]]
