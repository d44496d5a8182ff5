"""Whether this machine can do it: looks, changes nothing."""

from __future__ import annotations

from doctor.display import show
from doctor.examination import examine

__all__ = ["examine", "show"]
