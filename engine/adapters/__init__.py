"""Which adapters are loaded, merged and served together."""

from __future__ import annotations

from collections.abc import Callable

ADAPTERS: dict[str, Callable[..., None] | None] = {"none": None}
