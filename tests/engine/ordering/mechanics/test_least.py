"""The heap against a plain search, and that those who only had requests dropped are forgotten too."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.ordering.mechanics.least import Least
from engine.ordering.mechanics.lines import Lines
from tests.engine.strategies import make_request

EVENTS = st.lists(
    st.tuples(st.sampled_from(("add", "raise", "lower", "leave", "discard")), st.sampled_from("abcd"), st.integers(0, 9)),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(EVENTS)
def test_first_and_second_are_what_a_plain_search_finds(events: list[tuple[str, str, int]]) -> None:
    counters = dict.fromkeys("abcd", 0)
    members: set[str] = set()
    least = Least(counters, members.__contains__)
    for event, member, amount in events:
        if event == "add":
            members.add(member)
            least.add(member, ord(member))
        elif event == "raise":
            counters[member] += amount
        elif event == "lower":
            counters[member] -= amount
            least.refresh(member)
        else:
            members.discard(member)
            if event == "discard":
                least.discard(member)
        wanted = [*sorted(members, key=lambda one: (counters[one], one)), None, None]
        assert [least.first(), least.second(), least.first()] == [wanted[0], wanted[1], wanted[0]]


def test_a_client_whose_requests_were_all_dropped_is_forgotten() -> None:
    lines = Lines()
    for client in ("stays", "goes"):
        lines.lift(client, 5.0)
        lines.append(make_request(client=client))
    lines.drop(lines.head("goes"))
    assert lines.least() == "stays"
    assert list(lines.counters) == ["stays"]
