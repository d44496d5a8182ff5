"""The shape of a decoder, as a Hugging Face config.json states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import InputError

FAMILIES = {"LlamaForCausalLM": False, "Qwen2ForCausalLM": True}


@dataclass(frozen=True)
class RopeScaling:
    """Llama 3.1's stretch of the rotary frequencies: long waves are slowed by ``factor``, short ones kept."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes of a pre-norm decoder with rotary positions and grouped-query attention.

    ``heads`` query heads of ``head_size`` share ``kv_heads`` key and value heads; ``context`` is the longest sequence in
    tokens; ``stop_ids`` are the tokens that end an answer. ``qkv_bias`` tells Qwen2 from Llama.
    """

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    context: int
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    norm_eps: float = 1e-5
    qkv_bias: bool = False
    tied_embeddings: bool = False
    stop_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads or self.head_size % 2:
            raise ValueError(f"{self.heads} heads of {self.head_size} cannot share {self.kv_heads} KV heads")

    @property
    def group(self) -> int:
        """Query heads that share one KV head."""
        return self.heads // self.kv_heads

    @property
    def parameters(self) -> int:
        """Weights in all; a tied embedding counts once."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = self.hidden * (2 * queries + 2 * keys) + self.qkv_bias * (queries + 2 * keys)
        layer = attention + 3 * self.hidden * self.intermediate + 2 * self.hidden
        embeddings = self.vocabulary * self.hidden * (1 if self.tied_embeddings else 2)
        return self.layers * layer + embeddings + self.hidden


def from_huggingface(table: Mapping[str, Any], where: str) -> DecoderConfig:
    """The shape that a config.json describes. InputError for another family or a feature that is not built."""
    family = (table.get("architectures") or ["none"])[0]
    if family not in FAMILIES:
        raise InputError(f"{where} is a {family}; the decoders here are {' and '.join(FAMILIES)}.")
    missing = [key for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                               "intermediate_size") if key not in table]
    if missing:
        raise InputError(f"{where} does not say {missing[0]}; fetch the whole model again.")
    if table.get("hidden_act", "silu") != "silu" or table.get("use_sliding_window", False) or table.get("mlp_bias", False):
        raise InputError(f"{where} asks for another activation, sliding windows or MLP biases, which are not built.")
    qwen = FAMILIES[family]
    if not qwen and table.get("attention_bias", False):
        raise InputError(f"{where} is a Llama with attention biases, which is not built.")
    heads = int(table["num_attention_heads"])
    rope = table.get("rope_parameters") or {}
    stops = table.get("eos_token_id")
    return DecoderConfig(
        vocabulary=int(table["vocab_size"]),
        hidden=int(table["hidden_size"]),
        layers=int(table["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(table.get("num_key_value_heads") or heads),
        head_size=int(table.get("head_dim") or int(table["hidden_size"]) // heads),
        intermediate=int(table["intermediate_size"]),
        context=int(table.get("max_position_embeddings", 2048)),
        rope_theta=float(rope.get("rope_theta") or table.get("rope_theta", 10_000.0)),
        rope_scaling=_rope_scaling(table.get("rope_scaling") or rope, where),
        norm_eps=float(table.get("rms_norm_eps", 1e-6)),
        qkv_bias=qwen,
        tied_embeddings=bool(table.get("tie_word_embeddings", False)),
        stop_ids=() if stops is None else tuple(stops) if isinstance(stops, list) else (int(stops),),
    )


def to_huggingface(config: DecoderConfig, dtype: str) -> dict[str, Any]:
    """A config.json that ``from_huggingface`` and transformers read."""
    family = next(name for name, bias in FAMILIES.items() if bias == config.qkv_bias)
    table: dict[str, Any] = {
        "architectures": [family],
        "model_type": "qwen2" if config.qkv_bias else "llama",
        "vocab_size": config.vocabulary,
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_size,
        "intermediate_size": config.intermediate,
        "hidden_act": "silu",
        "max_position_embeddings": config.context,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tied_embeddings,
        "eos_token_id": list(config.stop_ids) or None,
        "torch_dtype": dtype,
    }
    if config.rope_scaling is not None:
        scaling = config.rope_scaling
        table["rope_scaling"] = {
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
            "original_max_position_embeddings": scaling.original_context,
        }
    return table


def _rope_scaling(table: Mapping[str, Any], where: str) -> RopeScaling | None:
    kind = table.get("rope_type") or table.get("type") or "default"
    if kind == "default":
        return None
    if kind != "llama3":
        raise InputError(f"{where} scales its rotary positions by {kind!r}; only llama3 is built.")
    return RopeScaling(
        factor=float(table["factor"]),
        low_freq_factor=float(table["low_freq_factor"]),
        high_freq_factor=float(table["high_freq_factor"]),
        original_context=int(table["original_max_position_embeddings"]),
    )
