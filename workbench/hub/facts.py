"""
What a hub says of a model before anything is fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ConfigError, GatedModelError, HubOfflineError
from ..hubfiles import is_hub_name, taken
from . import refusals
from .api import Hub, patiently

CONFIG = "config.json"

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # git's SHA-1, or SHA-256


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """
    A file of a repository.

    Args:
        sha256: Of a large file, which the hub keeps outside of git.

        blob_id: Of any: git's own hash, over a header and the content.
    """

    name: str
    size_bytes: int
    sha256: str | None = None
    blob_id: str | None = None

    @property
    def key(self) -> str:
        """Name the content: the same key, the same bytes."""
        return self.sha256 or self.blob_id or f"{self.name.replace('/', '-')}-{self.size_bytes}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """
    What a hub says of a model.

    Args:
        commit: What the revision that was asked for is now.

        config: Its ``config.json``; ``None`` if it has none, or if a licence is to be
            accepted before it is shown.

        safetensors_bytes: Of the weights that vLLM reads; ``None`` if they are in another form.

        gated: ``auto`` or ``manual``: how a request for access is decided; ``None``: not gated.

        files: Those that vLLM needs, not all that there are.
    """

    repo: str
    commit: str
    config: Mapping[str, Any] | None
    safetensors_bytes: int | None
    licence: str | None
    gated: str | None
    files: tuple[HubFile, ...]

    @property
    def size_bytes(self) -> int:
        """What a fetch brings."""
        return sum(file.size_bytes for file in self.files)


def facts(
    repo: str,
    revision: str | None = None,
    *,
    token: str | None,
    endpoint: str,
    offline: bool = False,
) -> ModelFacts:
    """
    Ask a hub what a model is, without fetching its weights.

    Raises:
        FetchError: It has no such model, or does not answer, or is not to be asked.
    """
    check_name(repo)
    if offline:
        raise offline_error(repo, "its configuration")
    hub = Hub(repo=repo, endpoint=endpoint, token=token)
    found = listed(hub, revision)
    try:
        return read_config(hub, found)
    except GatedModelError:
        return found


def listed(hub: Hub, revision: str | None) -> ModelFacts:
    """Ask for everything but the configuration, which a licence may keep back."""
    return _read(hub, hub.listing(revision or "main"))


def read_config(hub: Hub, found: ModelFacts) -> ModelFacts:
    """
    Add the configuration.

    Raises:
        GatedModelError: A licence is to be accepted first.
    """
    if not any(file.name == CONFIG for file in found.files):
        return found
    text = patiently(lambda: hub.text(found.commit, CONFIG))
    try:
        config = json.loads(text)
    except ValueError as exc:
        raise refusals.no_hub(hub, f"its {CONFIG} of {hub.repo} is no JSON") from exc
    if not isinstance(config, dict):
        raise refusals.no_hub(hub, f"its {CONFIG} of {hub.repo} is no object")
    return replace(found, config=config)


def check_name(repo: str) -> None:
    """
    Refuse what is no repository's name.

    Raises:
        ConfigError: It is a path, or has characters that no hub takes.
    """
    if not is_hub_name(repo) or ".." in repo or "--" in repo:
        raise ConfigError(
            f"{repo!r} is no name of a model on a hub.",
            hint="It looks like Qwen/Qwen3-0.6B: organisation/name.",
            key="model",
            source=repo,
        )


def offline_error(repo: str, missing: str) -> HubOfflineError:
    """Say what would be needed from the hub that is not to be asked."""
    return HubOfflineError(
        f"{missing[0].upper()}{missing[1:]} would have to come from the hub, and HF_HUB_OFFLINE is "
        "set.",
        hint="Say the same with HF_HUB_OFFLINE=0 before it.",
        repo=repo,
    )


def _read(hub: Hub, listing: Mapping[str, Any]) -> ModelFacts:
    known = {file.name: file for file in map(_file, listing["siblings"]) if file}
    if not known or not isinstance(listing.get("sha"), str):
        raise refusals.no_hub(hub, "it names no commit, or no sizes of files")
    files = tuple(known[name] for name in taken(known))
    weights = [file.size_bytes for file in files if file.name.endswith(".safetensors")]
    card = listing.get("cardData")
    licence = card.get("license") if isinstance(card, dict) else None
    return ModelFacts(
        repo=hub.repo,
        commit=listing["sha"],
        config=None,
        safetensors_bytes=sum(weights) or None,
        licence=licence if isinstance(licence, str) else None,
        gated=listing.get("gated") or None,
        files=files,
    )


def _file(entry: Any) -> HubFile | None:
    """Read a line of the listing; ``None`` without a size: that is no line of a hub's."""
    if not isinstance(entry, dict) or not isinstance(entry.get("size"), int) or entry["size"] < 0:
        return None
    large = entry.get("lfs")
    return HubFile(
        name=str(entry.get("rfilename")),
        size_bytes=entry["size"],
        sha256=_hash(large.get("sha256")) if isinstance(large, dict) else None,
        blob_id=_hash(entry.get("blobId")),
    )


def _hash(value: object) -> str | None:
    """Take what is a hash: it becomes a file's name, and a hub may be anybody's."""
    return value if isinstance(value, str) and _HASH.fullmatch(value) else None
