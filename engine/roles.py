"""The roles of a system, and policies for them made from choices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import getmro, isclass, signature
from typing import Any

from engine.adapters import ADAPTERS, Adapters
from engine.batching import BATCHINGS, Batching
from engine.errors import InputError
from engine.ordering import ORDERINGS, Ordering
from engine.placement import PLACEMENTS, Placement
from engine.speculation import SPECULATIONS, Speculation

Parameters = Mapping[str, Mapping[str, Any]]
"""Parameters by the name of a policy, or of a role."""


@dataclass(frozen=True)
class Choice:
    """A policy and its parameters."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        inside = ",".join(f"{key}={str(value).lower()}" for key, value in self.parameters.items())
        return f"{self.name}({inside})" if inside else self.name


@dataclass(frozen=True)
class Role:
    """``name`` is the field of ``Policies``, ``key`` what a person types, as in order=vtc.

    ``registry``: its policies by name; one that maps to None stands for having none. ``contract``: what each of them is.
    """

    name: str
    key: str
    registry: Mapping[str, Callable[..., Any] | None]
    default: Choice
    contract: type[Any] = object

    def build(self, choice: Choice, parameters: Parameters) -> Any:
        """A fresh policy. InputError for parameters that it does not take."""
        make = self.registry[choice.name]
        if make is None:
            return None
        try:
            known, offered = signature(make).parameters, self._offered(make, parameters)
            asked = {name: value for name, value in offered.items() if name in known}
            made = make(**{**asked, **parameters.get(choice.name, {}), **choice.parameters})
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.key}={choice}: {str(error).split('__init__() ')[-1]}; correct the parameter.") from error
        if not isinstance(made, self.contract):
            wanted = f"{self.contract.__module__}.{self.contract.__name__}"
            raise InputError(f"{self.key}={choice}: {type(made).__name__} is no {self.name} policy; derive it from {wanted}.")
        return made

    def _offered(self, make: Callable[..., Any], parameters: Parameters) -> dict[str, Any]:
        """What ``parameters`` hold beside what stands under the policy's own name: for its role, then for its kin."""
        kin = reversed(getmro(make)) if isclass(make) else [make]
        names = [name for kind in kin for name, registered in self.registry.items() if registered is kind]
        return {option: value for name in (self.name, *names) for option, value in parameters.get(name, {}).items()}


@dataclass
class Policies:
    """What an engine runs with: a policy a role, None where there is none."""

    ordering: Ordering
    batching: Batching
    speculation: Speculation | None = None
    adapters: Adapters | None = None
    placement: Placement | None = None


ROLES = (
    Role("ordering", "order", ORDERINGS, Choice("fcfs"), Ordering),
    Role("batching", "batch", BATCHINGS, Choice("vllm"), Batching),
    Role("speculation", "spec", SPECULATIONS, Choice("off"), Speculation),
    Role("adapters", "adapters", ADAPTERS, Choice("none"), Adapters),
    Role("placement", "place", PLACEMENTS, Choice("none"), Placement),
)


def build(choices: Mapping[str, Choice], parameters: Parameters) -> Policies:
    """Fresh policies, by role; ``choices`` names every role.

    A policy that derives from a registered one also has the parameters of that, and those under its role ("speculation")
    are there for every policy of it; either way it takes the ones that it has a parameter of the name for. A choice's own go
    first.
    """
    return Policies(**{role.name: role.build(choices[role.name], parameters) for role in ROLES})
