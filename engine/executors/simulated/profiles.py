"""Profiles: what the hardware and the model are, and what was measured when the one runs on the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.adapters.base import GROUPED, ONE_HOT, WHOLE, Adapters
from engine.configuration import from_table, merge_policies, nearest, read_toml
from engine.errors import InputError
from engine.executors.simulated.acceptance import AcceptanceModel
from engine.executors.simulated.adapter_cost import AdapterCost
from engine.executors.simulated.cost import DraftCost, Line, StepCost, TiledPrefill
from engine.executors.simulated.engines import CHAINS, PLAIN
from engine.executors.simulated.measured import MeasuredAcceptance, load_measured

ROOT = Path(__file__).parent / "profiles"
FACTS = ("deployments", "fitted", "stated")
"""Folders of what is known of a model on some hardware: facts, fitted numbers, and calibrations by what others state."""


@dataclass(frozen=True)
class Hardware:
    """One accelerator: memory and its bandwidth, 16-bit matrix rate, link, and the shares of them that kernels reach.

    ``host_bytes_per_s`` is what copies to and from pinned host memory reach. ``eager_layer_s`` is what the host takes to
    launch the kernels of a decoder layer one by one: a decode step of Llama-3.1-8B's 32 layers without CUDA graphs takes
    10.2 ms (docs/speed.md, on the host of an H100); carried over to the others.

    Adapters that are not merged take ``dense_layer_s`` a layer and step with dLoRA's kernel, whatever the batch, and
    ``grouped_layer_s`` with one that groups tokens by adapter; merging one reaches ``fold_share`` of the bandwidth. They are
    copied in at ``adapter_bytes_per_s`` and read from the disk at ``disk_bytes_per_s``.

    ``kv_share`` is the share of the bandwidth at which attention reads the KV cache. It was measured on the A10G and is
    carried over to the others.
    """

    memory_bytes: float
    bandwidth_bytes_per_s: float
    flops_per_s: float
    link_bytes_per_s: float
    launch_s: float
    bandwidth_share: float
    flops_share: float
    kv_share: float
    source: str
    host_bytes_per_s: float = 25e9
    dense_layer_s: float = 3.75e-4
    grouped_layer_s: float = 4.7e-5
    fold_share: float = 0.66
    adapter_bytes_per_s: float = 32 * 2**30
    disk_bytes_per_s: float = 2e9
    eager_layer_s: float = 10.2e-3 / 32


@dataclass(frozen=True)
class Model:
    """A decoder with 16-bit weights. ``context``: positions it was published for; ``parameters``: embeddings included;
    ``intermediate``: width of the MLP, which only adapters ask for."""

    layers: int
    hidden: int
    kv_heads: int
    head_size: int
    context: int
    parameters: float
    source: str
    intermediate: int = 0

    @property
    def weight_bytes(self) -> float:
        return 2 * self.parameters

    def adapter_parameters(self, rank: int) -> int:
        """Of an adapter of all linear layers as dLoRA lays it out: A of query, key and value side by side, against a B as wide
        for all three; gate and up share an A. InputError without the width of the MLP."""
        if not self.intermediate:
            raise InputError("the model's profile has no intermediate, the width of its MLP, without which adapters have no"
                             " size; add it to the profile.")
        hidden, inner = self.hidden, self.intermediate
        qkv = hidden + 2 * self.kv_heads * self.head_size
        attention = 3 * (hidden + qkv) + 2 * hidden
        return self.layers * rank * (attention + hidden + 2 * inner + inner + hidden)

    @property
    def kv_bytes_per_token(self) -> int:
        return 2 * 2 * self.layers * self.kv_heads * self.head_size


@dataclass(frozen=True)
class Calibration:
    """One named set of fitted numbers. ``scale``: step cost by engine (engines.PLAIN, CHAINS, TREES).

    ``step_factor`` multiplies the decode steps; ``host_s`` is added to every step, ``sequence_s`` for each of its sequences,
    and ``expanded_s`` for each sequence of a batch that vLLM V0 expands. ``acceptance`` and ``policies`` hold what was fitted
    of the draft model and of the policies' parameters.
    """

    fitted_on: str
    scale: Mapping[str, float] = field(default_factory=dict)
    step_factor: float = 1.0
    host_s: float = 0.0
    sequence_s: float = 0.0
    expanded_s: float = 0.0
    acceptance: AcceptanceModel | MeasuredAcceptance | None = None
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Deployment:
    """A model on some hardware: everything the simulator knows about the pair.

    ``expands_chains``: the engine scores each token of a chain as a sequence of its own (vLLM V0).
    """

    model: Model
    hardware: Hardware
    gpus: int
    kv_tokens: int
    line: Line
    context_s: float
    prefill: TiledPrefill | None
    draft: DraftCost | None
    calibrations: Mapping[str, Calibration]
    policies: Mapping[str, Mapping[str, Any]]
    baseline_tpot_s: float
    expands_chains: bool = False
    query_s: float = 0.0

    @property
    def swap_token_s(self) -> float:
        """Seconds to copy a token's keys and values to host memory or back, each GPU its share of them."""
        return self.model.kv_bytes_per_token / (self.gpus * self.hardware.host_bytes_per_s)

    def adapter_bytes(self, policy: Adapters) -> float:
        """What one adapter of the policy takes on each GPU."""
        if policy.kernel == WHOLE:
            return self.model.weight_bytes / self.gpus
        return 2 * self.model.adapter_parameters(policy.rank) / self.gpus

    def kv_tokens_beside(self, policy: Adapters, tokens: int) -> int:
        """What is left of a pool of ``tokens`` beside the adapters in the policy's slots, or the further models."""
        held = policy.copies - 1 if policy.kernel == WHOLE else policy.residency.slots
        return int(tokens - held * self.adapter_bytes(policy) * self.gpus / self.model.kv_bytes_per_token)

    def adapter_cost(self, policy: Adapters) -> AdapterCost:
        """What the adapters of a policy add to a step: launches a layer, operations over the matrix rate, bytes over
        bandwidth."""
        device, size = self.hardware, self.adapter_bytes(policy)
        layer_s = {WHOLE: 0.0, GROUPED: device.grouped_layer_s}.get(policy.kernel, device.dense_layer_s)
        multiplied = policy.kernel != WHOLE
        return AdapterCost(
            kernel_s=self.model.layers * layer_s if policy.kernel_s is None else policy.kernel_s,
            token_s=multiplied * size / (device.flops_per_s * device.flops_share),
            weights_s=multiplied * size / (device.bandwidth_bytes_per_s * device.bandwidth_share),
            fold_s=2 * self.model.weight_bytes / (self.gpus * device.bandwidth_bytes_per_s * device.fold_share),
            copy_s=size / device.adapter_bytes_per_s,
            read_s=size / device.disk_bytes_per_s,
            layers=self.model.layers,
            dense=policy.kernel == ONE_HOT,
            overlaps=policy.overlaps,
        )

    def calibration(self, name: str) -> Calibration:
        """The named calibration. InputError when this deployment has none of that name."""
        if name not in self.calibrations:
            raise InputError(f"unknown calibration {name!r}; {nearest(name, list(self.calibrations))}")
        return self.calibrations[name]

    def policies_under(self, calibration: str) -> dict[str, dict[str, Any]]:
        """Parameters by policy name, or by role ("speculation") for every policy of it that has one of that name: the
        deployment's, and over them the calibration's."""
        return merge_policies(self.policies, self.calibration(calibration).policies)

    def step_cost(self, engine: str, calibration: str) -> StepCost:
        """The cost of a step of one of the engines of engine.executors.simulated.engines."""
        fitted = self.calibration(calibration)
        line = Line(self.line.tokens, tuple(fitted.step_factor * s for s in self.line.seconds))
        return StepCost(
            line=line,
            context_s=fitted.step_factor * self.context_s,
            prefill=self.prefill,
            draft=None if engine == PLAIN else self.draft,
            expands_batch=self.expands_chains and engine == CHAINS,
            expanded_s=fitted.expanded_s,
            host_s=fitted.host_s,
            sequence_s=fitted.sequence_s,
            scale=fitted.scale.get(engine, 1.0),
            query_s=self.query_s,
        )


UNCALIBRATED = Calibration(fitted_on="nothing: computed from the profiles of the hardware and the model")


def roofline(model: Model, hardware: Hardware, gpus: int) -> Line:
    """Seconds of a forward from bytes over bandwidth, operations over the matrix rate, two all-reduces a layer, launches."""
    weights_s = model.weight_bytes / (gpus * hardware.bandwidth_bytes_per_s * hardware.bandwidth_share)
    token_s = 2 * model.parameters / (gpus * hardware.flops_per_s * hardware.flops_share)
    ring_bytes = 2 * model.layers * 2 * model.hidden * 2 * (gpus - 1) / gpus
    fixed_s = model.layers * hardware.launch_s * (1 if gpus == 1 else 2)
    knots = (1.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0)
    seconds = (fixed_s + max(weights_s, m * token_s) + m * ring_bytes / hardware.link_bytes_per_s for m in knots)
    return Line(knots, tuple(seconds))


def _path(folder: str, name: str, measured: Path | None) -> Path:
    """The file of a profile; what was measured on this machine goes first."""
    own = (measured or ROOT) / folder / f"{name}.toml"
    return own if own.exists() else ROOT / folder / f"{name}.toml"


def _load(folder: str, kind: str, name: str, measured: Path | None) -> dict[str, Any]:
    known = {path.stem for root in (ROOT, measured or ROOT) for path in (root / folder).glob("*.toml")}
    if name not in known:
        raise InputError(f"unknown {kind} {name!r}; {nearest(name, sorted(known))}")
    return read_toml(_path(folder, name, measured))


def models() -> list[str]:
    """Names of the models that have a profile."""
    return _names("models")


def accelerators() -> list[str]:
    """Names of the hardware that has a profile."""
    return _names("hardware")


def pairs() -> list[tuple[str, str]]:
    """The models and the hardware that were measured or fitted together, of which more is known than the roofline."""
    return [(model, hardware) for model, _, hardware in (name.partition("@") for name in _names(*FACTS))]


def _names(*folders: str) -> list[str]:
    return sorted({path.stem for folder in folders for path in (ROOT / folder).glob("*.toml")})


def load_model(name: str, measured: Path | None = None) -> Model:
    """The profile of a model. InputError with the nearest names when there is none."""
    return from_table(Model, _load("models", "model", name, measured), f"profile of {name}")


def load_hardware(name: str, measured: Path | None = None) -> tuple[Hardware, int]:
    """The profile behind "a10g" or "4xa100-80g", and the number of GPUs."""
    count, device = re.fullmatch(r"(?:([1-9]\d*)x)?(.*)", name).groups()  # type: ignore[union-attr]
    table = _load("hardware", "hardware", device, measured)
    return from_table(Hardware, table, f"profile of {device}"), int(count or 1)


def load_acceptance(name: str) -> MeasuredAcceptance:
    """The measured acceptance of a pair of models."""
    path = ROOT / "acceptance" / f"{name}.npz"
    if not path.exists():
        known = sorted(path.stem for path in path.parent.glob("*.npz"))
        raise InputError(f"no acceptance was measured for {name!r}; {nearest(name, known)}")
    return load_measured(path)


def model_bytes(name: str) -> int:
    """Bytes that a model takes on the disk: two for each parameter of its profile."""
    return round(load_model(name).weight_bytes)


def load_deployment(model: str, hardware: str, profiles: Path | None = None) -> Deployment:
    """What is known about a model on some hardware; where nothing was measured, the roofline of their profiles.

    ``profiles`` is a folder of profiles that were measured on this machine, which go before those that come along.
    """
    shape = load_model(model, profiles)
    device, gpus = load_hardware(hardware, profiles)
    where = f"{model}@{hardware}"
    tables = [read_toml(path) for folder in FACTS if (path := _path(folder, where, profiles)).exists()]
    measured = from_table(_Measured, merge_policies(*tables), where)
    kv_tokens = measured.kv_tokens or _free_kv_tokens(shape, device, gpus, where)
    line = from_table(Line, measured.forward, where) if measured.forward else roofline(shape, device, gpus)
    context_s = shape.kv_bytes_per_token / (gpus * device.bandwidth_bytes_per_s * device.kv_share)
    calibrations = {name: _calibration(entry, where) for name, entry in measured.calibration.items()}
    return Deployment(
        model=shape,
        hardware=device,
        gpus=gpus,
        kv_tokens=kv_tokens,
        line=line,
        context_s=measured.context_s or context_s,
        prefill=from_table(TiledPrefill, measured.prefill, where) if measured.prefill else None,
        draft=_draft_cost(measured, device, profiles),
        calibrations=calibrations or {"first-principles": UNCALIBRATED},
        policies=measured.policies,
        baseline_tpot_s=measured.baseline_tpot_s or line(1),
        expands_chains=measured.expands_chains,
        query_s=measured.query_s,
    )


@dataclass(frozen=True)
class _Measured:
    """The keys of a deployment, in all folders of ``FACTS``."""

    source: str = ""
    fitted_by: str = ""
    kv_tokens: int = 0
    baseline_tpot_s: float = 0.0
    context_s: float = 0.0
    draft: str = ""
    draft_step_s: float = 0.0
    draft_step_token_s: float = 0.0
    draft_context_s: float = 0.0
    draft_token_s: float = 0.0
    query_s: float = 0.0
    expands_chains: bool = False
    forward: Mapping[str, Any] = field(default_factory=dict)
    prefill: Mapping[str, Any] = field(default_factory=dict)
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    calibration: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _calibration(table: Mapping[str, Any], where: str) -> Calibration:
    """``acceptance`` is a table of an AcceptanceModel, or the name of a pair it was measured on."""
    given = table.get("acceptance")
    if given is None:
        return from_table(Calibration, table, where)
    acceptance = load_acceptance(given) if isinstance(given, str) else from_table(AcceptanceModel, given, where)
    return from_table(Calibration, {**table, "acceptance": acceptance}, where)


def _draft_cost(measured: _Measured, device: Hardware, profiles: Path | None) -> DraftCost | None:
    if not measured.draft:
        return None
    draft = load_model(measured.draft, profiles)
    step_s = measured.draft_step_s or roofline(draft, device, 1)(1)
    token_s = measured.draft_token_s or 2 * draft.parameters / (device.flops_per_s * device.flops_share)
    launches_s = draft.layers * device.eager_layer_s
    return DraftCost(step_s, token_s, measured.draft_step_token_s, measured.draft_context_s, launches_s)


def _free_kv_tokens(model: Model, device: Hardware, gpus: int, where: str) -> int:
    """Tokens of KV cache in the 90 % of the memory that serving engines claim, less the weights."""
    free = 0.9 * gpus * device.memory_bytes - model.weight_bytes
    if free < model.kv_bytes_per_token * 1024:
        raise InputError(f"{where}: the weights leave no room for a KV cache; use more GPUs, such as {2 * gpus}x.")
    return int(free // model.kv_bytes_per_token)
