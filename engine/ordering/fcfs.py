"""First come, first served."""

from engine.ordering.mechanics.one_line import OneLine


class FCFS(OneLine):
    """One line in order of arrival."""
