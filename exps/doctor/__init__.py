"""Whether this machine can do it: looks, changes nothing."""

from __future__ import annotations

from exps.doctor.display import show
from exps.doctor.examination import examine

__all__ = ["examine", "show"]
