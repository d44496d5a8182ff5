"""Decoders from Hugging Face folders and from the hub, and back. Safetensors only: pickled weights are never opened."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from engine.errors import InputError
from engine.models.config import DecoderConfig, from_huggingface, to_huggingface
from engine.models.decoder import Decoder, Weights
from engine.models.split import UNSPLIT, Split, pieces, split_config
from engine.models.weights import expected_shapes, from_state, to_state

CONFIG, WHOLE, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
WANTED = (CONFIG, "tokenizer.json", INDEX, "model*.safetensors")
PICKLED = (".bin", ".pt", ".pth", ".ckpt")
DTYPES = ("BF16", "F16", "F32", "F64")
HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
AGAIN = "fetch the model again"


def load_decoder(
    source: str | Path,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    split: Split = UNSPLIT,
    vocabulary: int | None = None,
) -> Decoder:
    """The decoder of a local folder or of a hub name, such as ``org/name``. InputError for what cannot be used whole.

    Only the rank's part of ``split`` is read, and of the vocabulary only the first ``vocabulary`` rows where that is given.
    """
    folder = locate(source)
    stored = read_config(folder)
    config = stored if vocabulary is None else replace(stored, vocabulary=min(vocabulary, stored.vocabulary))
    mine = split_config(config, split)
    with ExitStack() as stack:
        state = _Checkpoint(stored, _places(folder, stored), stack, dtype, device)
        return Decoder(mine, from_state(mine, _Part(state, config, split)))


def save_decoder(folder: Path, config: DecoderConfig, weights: Weights, dtype: torch.dtype) -> None:
    """Writes config.json and model.safetensors, which ``load_decoder`` and transformers read."""
    if weights.masked is not None:
        raise ValueError("a checkpoint has no place for masked tokens")
    folder.mkdir(parents=True, exist_ok=True)
    table = to_huggingface(config, str(dtype).removeprefix("torch."))
    (folder / CONFIG).write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    state = to_state(config, weights)
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in state.items()}
    save_file(tensors, folder / WHOLE, metadata={"format": "pt"})


def locate(source: str | Path) -> Path:
    """The local folder of ``source``; a hub name is downloaded first, where it is not there yet."""
    folder = Path(source)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise InputError(f"{source} is a file; name the folder that holds {CONFIG} and {WHOLE}.")
    if isinstance(source, str) and HUB_NAME.fullmatch(source):
        return _download(source)
    raise InputError(f"{source} is neither a folder nor a hub name; name one of the two, as in org/name.")


def read_config(folder: Path) -> DecoderConfig:
    """The shape that the folder's config.json states."""
    path = folder / CONFIG
    if not path.is_file():
        raise InputError(f"{folder} has no {CONFIG}; name the folder of a whole model.")
    table = read_json(path)
    try:
        return from_huggingface(table, str(path))
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise InputError(f"{path} does not describe a decoder ({type(error).__name__}: {error}); {AGAIN}.") from error


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}); {AGAIN}.") from error
    if not isinstance(table, dict):
        raise InputError(f"{path} is no JSON object; {AGAIN}.")
    return table


def _download(name: str) -> Path:
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(WANTED)))
    except GatedRepoError as error:
        advice = "ask for access on its page, then set HF_TOKEN to your token"
        raise InputError(f"{name} is gated and this account has no access; {advice}.") from error
    except RepositoryNotFoundError as error:
        advice = "correct the name, or set HF_TOKEN if it is private"
        raise InputError(f"{name} is no folder here and no model that the hub shows you; {advice}.") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        advice = "go online (and unset HF_HUB_OFFLINE), or name a local folder"
        raise InputError(f"{name} is not whole on this machine and the hub cannot be reached; {advice}.") from error
    except Exception as error:
        # Which classes the network layer raises depends on the hub client's version.
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{name} did not arrive ({reason}); run the same command again, it resumes.") from error


def _places(folder: Path, config: DecoderConfig) -> dict[str, Path]:
    """The file of each tensor that the shape needs."""
    whole, index = folder / WHOLE, folder / INDEX
    if whole.exists():
        return dict.fromkeys(expected_shapes(config), whole)
    if not index.exists():
        pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED)
        if pickled:
            raise InputError(f"{folder} has pickled weights ({pickled[0]}), which are not opened; convert it to safetensors.")
        raise InputError(f"{folder} has neither {WHOLE} nor {INDEX}; name a model that was saved as safetensors.")
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict):
        raise InputError(f"{index} has no weight_map; {AGAIN}.")
    places = {}
    for name in expected_shapes(config):
        shard = shards.get(name)
        if shard is None:
            raise InputError(f"{index} lacks the tensor {name}; {AGAIN}.")
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise InputError(f"{index} puts the tensor {name} into {shard!r}, which is no file name; {AGAIN}.")
        places[name] = folder / shard
    return places


class _Checkpoint:
    """Tensors by name: headers are checked at once, data is read and converted when it is asked for."""

    def __init__(
        self,
        config: DecoderConfig,
        places: Mapping[str, Path],
        stack: ExitStack,
        dtype: torch.dtype,
        device: torch.device | str,
    ):
        self._places, self._dtype, self._device = places, dtype, device
        self._files = {path: stack.enter_context(_opened(path)) for path in dict.fromkeys(places.values())}
        names = {path: set(file.keys()) for path, file in self._files.items()}
        for name, shape in expected_shapes(config).items():
            path = places[name]
            if name not in names[path]:
                raise InputError(f"{path} lacks the tensor {name}; {AGAIN}.")
            header = self._files[path].get_slice(name)
            if tuple(header.get_shape()) != shape:
                found = list(header.get_shape())
                raise InputError(f"{path} has the tensor {name} as {found} where {CONFIG} asks for {list(shape)}; {AGAIN}.")
            if header.get_dtype() not in DTYPES:
                kinds = ", ".join(DTYPES)
                raise InputError(f"{path} has the tensor {name} in {header.get_dtype()}; name a model in one of {kinds}.")

    def read(self, name: str, part: tuple[slice, ...]) -> Tensor:
        """Rows and columns ``part`` of a tensor."""
        tensor: Tensor = self._files[self._places[name]].get_slice(name)[part]
        return tensor.to(self._device, self._dtype, copy=True)


class _Part(Mapping[str, Tensor]):
    """A rank's part of a checkpoint, read when it is asked for."""

    def __init__(self, checkpoint: _Checkpoint, config: DecoderConfig, split: Split):
        self._checkpoint, self._pieces = checkpoint, pieces(config, split)

    def __getitem__(self, name: str) -> Tensor:
        piece = self._pieces[name]
        return self._checkpoint.read(piece.name, piece.part)

    def __iter__(self) -> Iterator[str]:
        return iter(self._pieces)

    def __len__(self) -> int:
        return len(self._pieces)


def _opened(path: Path) -> Any:
    open_file: Any = safe_open
    try:
        return open_file(path, framework="pt")
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; {AGAIN}.") from error
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is no whole safetensors file ({error}); {AGAIN}.") from error
