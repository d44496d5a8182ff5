"""Where adapters' weights are: in slots on the device, pinned in host memory, or only on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.errors import InputError


class Residency:
    """Bookkeeping without tensors.

    ``slots`` adapters fit the device. ``pinned`` of them have a copy in host memory from which one is copied in while a step
    already computes; others are read from the disk first, and the one that was wanted longest ago gives up its place.
    """

    def __init__(self, slots: int, pinned: int):
        if slots < 1 or pinned < slots:
            raise ValueError(f"slots must be at least 1 and pinned at least slots, not {slots} and {pinned}")
        self.slots, self._pinned_slots = slots, pinned
        self.resident: dict[str, None] = {}
        self.pinned: dict[str, None] = {}

    def place(self, adapters: Sequence[str], slots: int | None = None) -> None:
        """What is loaded before the first request; there are then so many slots, or as many as adapters."""
        self.slots = max(len(adapters), 1) if slots is None else slots
        self._pinned_slots = max(self._pinned_slots, self.slots)
        self.resident = dict.fromkeys(adapters)
        self.pinned = dict.fromkeys(adapters)

    def bring(self, wanted: Iterable[str], requests: Mapping[str, int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Give each of ``wanted`` a slot, in the place of the residents with fewest of ``requests``.

        Returns what has to be copied in, and what of that has to be read from the disk. InputError for more than fit.
        """
        wanted = dict.fromkeys(wanted)
        if len(wanted) > self.slots:
            raise InputError(f"{len(wanted)} adapters are wanted in {self.slots} slots; give the policy more slots=.")
        missing = [name for name in wanted if name not in self.resident]
        if not missing:
            return (), ()
        others = sorted((name for name in self.resident if name not in wanted), key=lambda name: requests.get(name, 0))
        for name in others[: max(len(self.resident) + len(missing) - self.slots, 0)]:
            del self.resident[name]
        read = [name for name in missing if name not in self.pinned]
        for name in missing:
            self.resident[name] = None
            self.pinned.pop(name, None)
            self.pinned[name] = None
        while len(self.pinned) > self._pinned_slots:
            del self.pinned[next(iter(self.pinned))]
        self.check()
        return tuple(missing), tuple(read)

    def check(self) -> None:
        """Raise AssertionError when more is in a memory than fits it."""
        assert len(self.resident) <= self.slots, f"{len(self.resident)} adapters in {self.slots} slots"
        assert len(self.pinned) <= self._pinned_slots, f"{len(self.pinned)} adapters pinned, {self._pinned_slots} fit"
