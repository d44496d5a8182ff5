"""What is compared in a figure: a named composition of policies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.configuration import nearest
from engine.errors import InputError
from engine.ordering.fairserve.family import FS_FAMILY
from engine.roles import ROLES, Choice, Parameters, Policies, build

BY_KEY = {role.key: role for role in ROLES}
OPEN = [f"{role.key}=" for role in ROLES if len(role.registry) > 1]


@dataclass(frozen=True)
class System:
    """A choice for every role, by its name; those that are left out are the role's default.

    ``chosen``: the roles that the system's text chooses a policy for itself.
    """

    name: str
    choices: Mapping[str, Choice] = field(default_factory=dict)
    chosen: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        complete = {role.name: self.choices.get(role.name, role.default) for role in ROLES}
        object.__setattr__(self, "choices", complete)

    @property
    def parts(self) -> str:
        """The policy of every role that has any, also where the text leaves it to a preset."""
        return ", ".join(f"{role.key}={self.choices[role.name].name}" for role in ROLES if len(role.registry) > 1)

    def under(self, batching: str | Choice | None) -> System:
        """The system with this batching, where there is one and its text does not choose for itself."""
        if batching is None or "batching" in self.chosen:
            return self
        return replace(self, choices={**self.choices, "batching": _choice(batching)})

    def departs(self, batching: str | None) -> bool:
        """Whether its text chose a batching other than this one, or parameters of its own."""
        return batching is not None and "batching" in self.chosen and self.choices["batching"] != Choice(batching)

    def build(self, parameters: Parameters) -> Policies:
        """Fresh policies (``engine.roles.build``)."""
        return build(self.choices, parameters)


def _choice(named: str | Choice) -> Choice:
    return Choice(named) if isinstance(named, str) else named


def _preset(name: str, batching: str | Choice = "vllm", **choices: str | Choice) -> System:
    named = {"batching": batching, **choices}
    return System(name, {role: _choice(choice) for role, choice in named.items()})


def _dlora(name: str, adapters: str | Choice, placement: str | Choice = "none") -> System:
    return _preset(name, "orca", adapters=adapters, placement=placement)


DLORA: dict[str, dict[str, str | Choice]] = {
    "dlora": {"adapters": "credit", "placement": "migrating"},
    "unmerged-only": {"adapters": "unmerged"},
    "merged-only": {"adapters": "merged"},
    "multi-lora": {"adapters": "multi-lora", "placement": "migrating"},
    "peft": {"adapters": "peft", "placement": "least-cost"},
    "vllm-copies": {"adapters": "one-model-each", "placement": "static"},
    "peft-grouped": {"adapters": Choice("peft", {"grouped": True}), "placement": "least-cost"},
    "vllm-copies-grouped": {"adapters": Choice("one-model-each", {"grouped": True}), "placement": "static"},
}
RPM_LIMITS = (5, 10, 15, 20, 30)
CLIENT_QUEUES = ("exfairs", "exfairs-continuous", "round-robin", "justitia", "slo-greedy", "que", "vtc-artifact")
ADASERVE_BATCHING = Choice("sarathi", {"token_budget": 1024, "max_sequences": 96})
ABLATION: dict[str, dict[str, Any]] = {
    "adaserve-equal": {"slo_selection": False, "rest": "equal", "eager": True},
    "adaserve-slo": {"rest": "equal", "eager": True},
    "adaserve-eager": {"eager": True},
}
PRESETS = {
    system.name: system
    for system in (
        _preset("vllm"),
        _preset("sarathi", "sarathi"),
        *(_preset(f"vllm-spec-{n}", speculation=Choice("chain", {"tokens": n})) for n in (4, 6, 8)),
        _preset("specinfer", speculation="specinfer"),
        _preset("vllm-adaptive", speculation=Choice("adaserve", {"slo_selection": False, "width": (1, 1)})),
        _preset("vllm-goodput", speculation="goodput"),
        _preset("adaserve", ADASERVE_BATCHING, speculation="adaserve"),
        *(_preset(name, ADASERVE_BATCHING, speculation=Choice("adaserve", parts)) for name, parts in ABLATION.items()),
        _preset("fcfs", "slora"),
        _preset("lcf", "slora", ordering=Choice("vtc", {"lift": False})),
        _preset("vtc", "slora", ordering="vtc"),
        _preset("vtc-oracle", "slora", ordering=Choice("vtc", {"predict": "oracle"})),
        _preset("vtc-pred-50", "slora", ordering=Choice("vtc", {"predict": "oracle", "spread": 0.5})),
        _preset("vtc-predict", "slora", ordering=Choice("vtc", {"predict": "mean"})),
        _preset("drr", "slora", ordering="drr"),
        _preset("fairserve", "slora", ordering="fairserve"),
        *(_preset(name, "slora", ordering=Choice("fairserve", rules)) for name, rules in FS_FAMILY.items()),
        *(_preset(name, ordering=name) for name in CLIENT_QUEUES),
        _preset("vllm-priority", ordering="priority"),
        _preset("fastserve", ordering="mlfq"),
        _preset("rpm", "slora", ordering="rpm"),
        _preset("rpm-interactions", "slora", ordering=Choice("rpm", {"follow": True})),
        *(_dlora(name, **choices) for name, choices in DLORA.items()),
        *(_preset(f"rpm-{limit}", "slora", ordering=Choice("rpm", {"limit": limit})) for limit in RPM_LIMITS),
    )
}


def parse_system(text: str) -> System:
    """A preset ("vtc"), or a composition ("order=vtc,spec=adaserve", "adaserve,order=vtc(w_q=1)").

    A composition starts from the preset it begins with, else from the preset named like its ``spec``, else like its
    ``order``, else from vllm; the name keeps the text.
    """
    parts = [part.strip() for part in re.split(r",(?![^(]*\))", text.strip())]
    if text.strip() in PRESETS:
        return PRESETS[text.strip()]
    base = None
    if "=" not in parts[0].split("(")[0]:
        base = _named(parts.pop(0))
    pairs = [_parse_part(part, text) for part in parts]
    choices = dict(pairs)
    if len(choices) < len(pairs):
        raise InputError(f"system {text!r} chooses twice for one of {', '.join(OPEN)}; keep one of the two.")
    for role in ("speculation", "ordering"):
        if base is None and role in choices and choices[role].name in PRESETS:
            base = PRESETS[choices[role].name]
    base = base or PRESETS["vllm"]
    return replace(base, name=text.strip(), chosen=frozenset(choices), choices={**base.choices, **choices})


def _named(name: str) -> System:
    if key := next((role.key for role in ROLES if name in role.registry and name not in PRESETS), None):
        raise InputError(f"{name} is a policy and no system of its own; write {key}={name}.")
    if name not in PRESETS:
        raise InputError(f"unknown system {name!r}; {nearest(name, list(PRESETS))}")
    return PRESETS[name]


def _parse_part(part: str, text: str) -> tuple[str, Choice]:
    """A role's name and its choice."""
    match = re.fullmatch(r"(\w+)=([\w-]+)(?:\((.*)\))?", part)
    if match is None or match[1] not in BY_KEY:
        keys = f"{', '.join(OPEN[:-1])} or {OPEN[-1]}"
        raise InputError(f"{part!r} in system {text!r} is not a choice; write {keys}, as in order=vtc.")
    key, name, inside = match.groups()
    role = BY_KEY[key]
    if name not in role.registry:
        raise InputError(f"unknown {role.name} policy {name!r}; {nearest(name, list(role.registry))}")
    pairs = [pair.split("=", 1) for pair in (inside or "").split(",") if pair]
    if any(len(pair) != 2 for pair in pairs):
        raise InputError(f"{part!r} in system {text!r}: write parameters as name=value, as in {key}={name}(x=1).")
    names = [option.strip() for option, _ in pairs]
    if twice := next((option for option in names if names.count(option) > 1), None):
        raise InputError(f"{part!r} in system {text!r} gives {twice} twice; keep one of the two, or join them with ';'.")
    return role.name, Choice(name, {option.strip(): _value(value.strip()) for option, value in pairs})


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text
