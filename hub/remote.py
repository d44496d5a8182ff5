"""The hub as the library ``huggingface_hub`` reaches it: what a repository has, who may have it, and the bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import logging as notes
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from engine.errors import InputError
from hub.place import CHUNK, Listing, RemoteFile

CONFIG, WEIGHTS = "config.json", "model*.safetensors"
WANTED = (
    CONFIG, "generation_config.json", "tokenizer*.json", "special_tokens_map.json", "model.safetensors.index.json", WEIGHTS,
)
TIMEOUT_S = 20.0
AGAIN = "run the same command again"


def cache_folder() -> Path:
    """The library's cache: HF_HUB_CACHE, or below HF_HOME."""
    return Path(constants.HF_HUB_CACHE)


class Hub:
    """One person's view of the hub. Whatever goes wrong is an InputError that does not hold the token."""

    def __init__(self, token: str | None = None, endpoint: str | None = None):
        self._endpoint, self._token = endpoint or constants.ENDPOINT, token
        self._api = huggingface_hub.HfApi(endpoint=self._endpoint, token=token or False, library_name="servelab")
        self._headers = {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {token}"} if token else {})}

    def listing(self, repository: str) -> Listing:
        """What is wanted of the repository's newest revision, once it is sure that it may be downloaded."""
        try:
            info = self._api.model_info(repository, files_metadata=True, timeout=TIMEOUT_S)
            if info.gated:
                self._api.auth_check(repository)
        except Exception as error:
            raise self.refusal(repository, error) from None
        files = tuple(_remote_file(entry) for entry in info.siblings or () if _is_wanted(entry.rfilename))
        for pattern in (CONFIG, WEIGHTS):
            if not any(fnmatchcase(file.name, pattern) for file in files):
                raise InputError(f"{self._page(repository)} has no {pattern}; it is no model that this kit can load.")
        if info.sha is None or any(file.size < 0 or not file.digest for file in files):
            raise InputError(f"{self._endpoint} lists {repository} without sizes and digests; unset HF_ENDPOINT and {AGAIN}.")
        return Listing(repository, info.sha, files)

    def receive(self, listing: Listing, file: RemoteFile, into: BinaryIO, start: int) -> None:
        """Writes the file's bytes from ``start`` on; errors are the network layer's own."""
        url = huggingface_hub.hf_hub_url(listing.repository, file.name, revision=listing.revision, endpoint=self._endpoint)
        http_get(url, into, resume_size=start, headers=self._headers, displayed_filename=file.name)

    def refusal(self, repository: str, error: Exception) -> InputError:
        """The sentence for an error of the library."""
        status = status_of(error)
        if isinstance(error, GatedRepoError):
            return InputError(self._gated(repository))
        if status == 401 and self._token:
            return InputError(
                f"the hub does not accept this token; make one at {self._endpoint}/settings/tokens"
                " and give it with `cli.py setup --token-file FILE` or HF_TOKEN."
            )
        if isinstance(error, RepositoryNotFoundError):
            hidden = "from this token" if self._token else "without a token"
            return InputError(f"{self._page(repository)} is missing or hidden {hidden}; check HF_ENDPOINT and the token.")
        if isinstance(error, HfHubHTTPError) and not may_pass(error):
            return InputError(f"the hub refuses {repository} (it answered {status}); look at {self._page(repository)}.")
        answer = f"answered {status}" if status else type(error).__name__
        return InputError(f"the hub at {self._endpoint} cannot be reached ({answer}); check the network, then {AGAIN}.")

    def _gated(self, repository: str) -> str:
        ask = f"ask for access at {self._page(repository)}"
        if self._token:
            return f"{repository} is gated and this token has no access to it; {ask}, then {AGAIN}."
        return f"{repository} is gated; {ask}, then give your token with `cli.py setup --token-file FILE` or HF_TOKEN."

    def _page(self, repository: str) -> str:
        return f"{self._endpoint}/{repository}"


def status_of(error: Exception) -> int | None:
    """The HTTP status behind an error of the library."""
    status: int | None = getattr(getattr(error, "response", None), "status_code", None)
    return status


def may_pass(error: Exception) -> bool:
    """Whether the same request may go well later: the network, a busy hub, a hub in trouble."""
    status = status_of(error)
    return status is None or status in (408, 429) or status >= 500


@contextmanager
def quiet() -> Iterator[None]:
    """The library without bars, notes and telemetry, reading small pieces, so that a kill loses little and a bar moves."""
    settings: dict[str, Any] = {
        "DOWNLOAD_CHUNK_SIZE": CHUNK, "HF_HUB_ENABLE_HF_TRANSFER": False, "HF_HUB_DISABLE_TELEMETRY": True,
    }
    before = {name: getattr(constants, name) for name in settings if hasattr(constants, name)}
    verbosity, had_bars = notes.get_verbosity(), not are_progress_bars_disabled()
    notes.set_verbosity(logging.CRITICAL)
    disable_progress_bars()
    for name in before:
        setattr(constants, name, settings[name])
    try:
        yield
    finally:
        notes.set_verbosity(verbosity)
        for name, value in before.items():
            setattr(constants, name, value)
        if had_bars:
            enable_progress_bars()


def _is_wanted(name: str) -> bool:
    return "/" not in name and any(fnmatchcase(name, pattern) for pattern in WANTED)


def _remote_file(entry: Any) -> RemoteFile:
    digest = entry.lfs.sha256 if entry.lfs else entry.blob_id
    return RemoteFile(entry.rfilename, -1 if entry.size is None else entry.size, digest or "")
