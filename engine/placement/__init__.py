"""Which replica serves a request."""

from __future__ import annotations

from collections.abc import Callable

PLACEMENTS: dict[str, Callable[..., None] | None] = {"none": None}
