"""Why claims of FairServe fail here, in words, and the commands that show it."""

from __future__ import annotations


def _shown_by(figure: str) -> str:
    return f"cli.py run fairserve/{figure} --traces DIR shows it."


SENDERS = (
    "The server sees that the largest application is over its limit, which the recorded one never saw, and drops interactions"
    " of all its clients; without limits of applications only clients over their own are hit: the heaviest at limit 50, at 10"
    f" also light ones that send 10 within the burst. {_shown_by('causes-limits')}"
)
LIKE_VTC = (
    "Seen as they are sent, the heaviest client's requests exceed 500 a minute and the largest application's its limit; at a"
    f" limit of 2,000 and without those of applications nothing is aborted. {_shown_by('causes-limits')}"
)
HEAVY = (
    "The largest application's limit hits light clients too: without it throttled clients send about twice as much; the rest"
    f" is that many light clients send 10 within the burst. {_shown_by('causes-limits')}"
)
ALWAYS = (
    "The ablation was recorded with one application for all requests, by a scheduler whose drops ended the pass; with both the"
    f" published counts are met, with either alone not. {_shown_by('causes-always')}"
)
UNSERVED = (
    "VTC sees all that wait and has served every client by then, which the recorded one, like the paced one, did not;"
    " FairServe leaves most out since it charges only what has ended and prefers interactions under way; without the"
    f" two it leaves out hardly anybody. {_shown_by('causes-order')}"
)
EARLIER = (
    "FairServe charges only what has ended and prefers interactions under way, which in the trace puts long answers into the"
    " first minute, from where they are missing later; with answers of equal length, or without the two, it has VTC's rate."
    f" {_shown_by('causes-order')}"
)
PREFERRED = (
    "Client 1 is always in the middle of an interaction, and such clients go first whatever they were charged; without that"
    " preference the clients are served alike, as the next claim shows."
)
