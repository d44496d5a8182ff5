"""The cheapest of the replicas that have the adapter."""

from engine.placement.by_cost import ByCost


class LeastCost(ByCost):
    """The artifact's migration type 1, which it calls round robin: adapters stay where they were placed."""
