"""The schedulers of FairServe's artifact as parameters of one policy."""

from __future__ import annotations

from typing import Any

_BY_CLIENT: dict[str, Any] = {"charge": "ratio", "expected": "client", "prefer": False, "follow": False}
_RATIO: dict[str, Any] = {"charge": "ratio", "prefer": False}

FS_FAMILY: dict[str, dict[str, Any]] = {
    "fs-fair": {**_BY_CLIENT, "check": "never"},
    "fs-fair-user-limit": {**_BY_CLIENT, "check": "arrival", "drop": "any", "app_limits": False},
    "fs-fair-userapp-limit": {**_BY_CLIENT, "check": "arrival", "drop": "any"},
    "fs-fair-overload-limit": {**_BY_CLIENT, "drop": "any", "window_from_first": True},
    "fs-fair-interaction-limit": {**_RATIO, "rpm_debt": "repaid", "interaction_debt": True},
    "fs-fair-interaction-limit-worpmdebt": {**_RATIO, "rpm_debt": "kept", "interaction_debt": True},
    "fs-fair-wsc": {**_RATIO, "check": "never"},
    "fs-fair-odt-wsc-limit": {**_RATIO, "drop": "any"},
    "fs-fair-wsc-limit": {**_RATIO, "check": "always", "drop": "any"},
    "fs-fair-wsc-expect": {"check": "never"},
    "fs-fair-interaction-limit-expect": {},
}

ARTIFACT_FLAWS: dict[str, Any] = {
    "lift_from_empty": False,
    "duplicate_charge": True,
    "drop_ends_pass": True,
}
