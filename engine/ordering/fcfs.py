"""First come, first served."""

from engine.ordering.mechanics.one_line import OneLine
from engine.request import Request


class FCFS(OneLine):
    """One line in order of arrival."""

    def fixed_place(self, request: Request) -> tuple[float, ...]:
        return request.arrival_s, request.id
