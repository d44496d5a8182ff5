"""What is compared in a figure: a named composition of policies."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from inspect import getmro, isclass, signature
from typing import Any

from engine.batching import BATCHINGS, Batching
from engine.configuration import nearest
from engine.errors import InputError
from engine.ordering import ORDERINGS, Ordering
from engine.ordering.fs_family import FS_FAMILY
from engine.speculation import SPECULATIONS, Speculation

Policies = Mapping[str, Mapping[str, Any]]
Registry = Mapping[str, Callable[..., Any] | None]


@dataclass(frozen=True)
class Choice:
    """A policy and its parameters."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        inside = ",".join(f"{key}={str(value).lower()}" for key, value in self.parameters.items())
        return f"{self.name}({inside})" if inside else self.name


@dataclass(frozen=True)
class System:
    """The choices of a system (adapters and placement join when their rooms are built).

    ``chosen``: the roles that its text chooses a policy for itself.
    """

    name: str
    ordering: Choice = Choice("fcfs")
    batching: Choice = Choice("vllm")
    speculation: Choice = Choice("off")
    chosen: frozenset[str] = frozenset()

    @property
    def parts(self) -> str:
        """The policy of every role, also of those that its text leaves to a preset."""
        return f"order={self.ordering.name}, batch={self.batching.name}, spec={self.speculation.name}"

    def under(self, batching: str | None) -> System:
        """The system with this batching, where there is one and its text does not choose for itself."""
        if batching is None or "batching" in self.chosen:
            return self
        return replace(self, batching=Choice(batching))

    def departs(self, batching: str | None) -> bool:
        """Whether its text chose a batching other than this one, or parameters of its own."""
        return batching is not None and "batching" in self.chosen and self.batching != Choice(batching)

    def build(self, policies: Policies) -> tuple[Ordering, Batching, Speculation | None]:
        """Fresh policies. ``policies`` holds parameters by policy name; the system's own go first.

        A policy that derives from a registered one also has the parameters of that, and those under its role ("speculation")
        are there for every policy of it; either way it takes the ones that it has a parameter of the name for.
        """
        return (
            _build("order", ORDERINGS, self.ordering, policies),
            _build("batch", BATCHINGS, self.batching, policies),
            _build("spec", SPECULATIONS, self.speculation, policies),
        )


RPM_LIMITS = (5, 10, 15, 20, 30)
CLIENT_QUEUES = ("exfairs", "exfairs-continuous", "round-robin", "justitia", "slo-greedy", "que", "vtc-artifact")
PRESETS = {
    system.name: system
    for system in (
        System("vllm"),
        System("sarathi", batching=Choice("sarathi")),
        *(System(f"vllm-spec-{n}", speculation=Choice("chain", {"tokens": n})) for n in (4, 6, 8)),
        System("specinfer", speculation=Choice("specinfer")),
        System(
            "adaserve",
            batching=Choice("sarathi", {"token_budget": 1024, "max_sequences": 96}),
            speculation=Choice("adaserve"),
        ),
        System("fcfs", batching=Choice("slora")),
        System("lcf", ordering=Choice("vtc", {"lift": False}), batching=Choice("slora")),
        System("vtc", ordering=Choice("vtc"), batching=Choice("slora")),
        System("vtc-oracle", ordering=Choice("vtc", {"predict": "oracle"}), batching=Choice("slora")),
        System("vtc-pred-50", ordering=Choice("vtc", {"predict": "oracle", "spread": 0.5}), batching=Choice("slora")),
        System("vtc-predict", ordering=Choice("vtc", {"predict": "mean"}), batching=Choice("slora")),
        System("drr", ordering=Choice("drr"), batching=Choice("slora")),
        System("fairserve", ordering=Choice("fairserve"), batching=Choice("slora")),
        *(System(name, ordering=Choice("fairserve", rules), batching=Choice("slora")) for name, rules in FS_FAMILY.items()),
        *(System(name, ordering=Choice(name)) for name in CLIENT_QUEUES),
        System("vllm-priority", ordering=Choice("priority")),
        System("fastserve", ordering=Choice("mlfq")),
        System("rpm", ordering=Choice("rpm"), batching=Choice("slora")),
        System("rpm-interactions", ordering=Choice("rpm", {"follow": True}), batching=Choice("slora")),
        *(System(f"rpm-{limit}", ordering=Choice("rpm", {"limit": limit}), batching=Choice("slora")) for limit in RPM_LIMITS),
    )
}

_FIELDS = {"order": "ordering", "batch": "batching", "spec": "speculation"}
_REGISTRIES: dict[str, Registry] = {"order": ORDERINGS, "batch": BATCHINGS, "spec": SPECULATIONS}


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
        base = _preset(parts.pop(0))
    pairs = [_parse_part(part, text) for part in parts]
    choices = dict(pairs)
    if len(choices) < len(pairs):
        raise InputError(f"system {text!r} chooses twice for one of order, batch and spec; keep one of the two.")
    for key in ("spec", "order"):
        if base is None and key in choices and choices[key].name in PRESETS:
            base = PRESETS[choices[key].name]
    fields = {_FIELDS[key]: choice for key, choice in choices.items()}
    return replace(base or PRESETS["vllm"], name=text.strip(), chosen=frozenset(fields), **fields)


def _preset(name: str) -> System:
    if key := next((key for key, registry in _REGISTRIES.items() if name in registry and name not in PRESETS), None):
        raise InputError(f"{name} is a policy and no system of its own; write {key}={name}.")
    if name not in PRESETS:
        raise InputError(f"unknown system {name!r}; {nearest(name, list(PRESETS))}")
    return PRESETS[name]


def _parse_part(part: str, text: str) -> tuple[str, Choice]:
    match = re.fullmatch(r"(\w+)=([\w-]+)(?:\((.*)\))?", part)
    if match is None or match[1] not in _FIELDS:
        raise InputError(f"{part!r} in system {text!r} is not a choice; write order=, batch= or spec=, as in order=vtc.")
    key, name, inside = match.groups()
    if name not in _REGISTRIES[key]:
        raise InputError(f"unknown {_FIELDS[key]} policy {name!r}; {nearest(name, list(_REGISTRIES[key]))}")
    pairs = [pair.split("=", 1) for pair in (inside or "").split(",") if pair]
    if any(len(pair) != 2 for pair in pairs):
        raise InputError(f"{part!r} in system {text!r}: write parameters as name=value, as in {key}={name}(x=1).")
    names = [option.strip() for option, _ in pairs]
    if twice := next((option for option in names if names.count(option) > 1), None):
        raise InputError(f"{part!r} in system {text!r} gives {twice} twice; keep one of the two, or join them with ';'.")
    return key, Choice(name, {option.strip(): _value(value.strip()) for option, value in pairs})


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def _build(key: str, registry: Registry, choice: Choice, policies: Policies) -> Any:
    make = registry[choice.name]
    if make is None:
        return None
    try:
        known, offered = signature(make).parameters, _offered(key, registry, make, policies)
        asked = {name: value for name, value in offered.items() if name in known}
        return make(**{**asked, **policies.get(choice.name, {}), **choice.parameters})
    except (TypeError, ValueError) as error:
        raise InputError(f"{key}={choice}: {str(error).split('__init__() ')[-1]}; correct the parameter.") from error


def _offered(key: str, registry: Registry, make: Callable[..., Any], policies: Policies) -> dict[str, Any]:
    """What ``policies`` hold for a policy beside what stands under its name: for its role, then for those it derives from."""
    kin = reversed(getmro(make)) if isclass(make) else [make]
    names = [name for kind in kin for name, registered in registry.items() if registered is kind]
    return {option: value for name in (_FIELDS[key], *names) for option, value in policies.get(name, {}).items()}
