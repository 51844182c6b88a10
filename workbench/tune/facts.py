"""
How the server runs that is to be tuned: what its flags, its log and it itself say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..catalogue import find_entry
from ..errors import ServerError
from ..records import ServerStatus
from ..servers.base import Server
from .candidates import Facts, Profile, Version
from .flags import Words, of_recipe, value_of

if TYPE_CHECKING:
    from ..session import Session

# What "Initializing a V1 LLM engine … with config" says, and a line of the scheduler's.
_SAID = {
    "prefix_caching": re.compile(r"\benable_prefix_caching=(True|False)"),
    "chunked_prefill": re.compile(r"\benable_chunked_prefill=(True|False)"),
    "eager": re.compile(r"\benforce_eager=(True|False)"),
    "kv_cache_dtype": re.compile(r"\bkv_cache_dtype='?([\w]+)"),
    "quantization": re.compile(r"\bquantization='?([\w-]+)"),
    "max_num_batched_tokens": re.compile(
        r"Chunked prefill is enabled with max_num_batched_tokens=(\d+)"
    ),
}

CPU_SEQS, CPU_BATCHED_TOKENS = 128, 2048
"""Defaults on a CPU, which no log has: vLLM 0.32, engine/arg_utils.py, get_batch_defaults."""


def said_in(lines: Iterable[str]) -> dict[str, str]:
    """Read what a boot's log says of its settings; of two the later one. Pure."""
    found: dict[str, str] = {}
    for line in lines:
        for name, pattern in _SAID.items():
            if match := pattern.search(line):
                found[name] = match[1]
    return found


def facts_of(server: Server, status: ServerStatus, words: Words) -> Facts:
    """Put together how a server runs, from its flags, its log, and what it says."""
    on_cpu = server.backend == "embedded" or (
        status.container is not None and status.container.profile == "cpu"
    )
    return facts_from(
        words,
        said_in(_log(server)),
        version=status.version,
        max_model_len=status.models[0].max_model_len if status.models else None,
        on_cpu=on_cpu,
    )


def facts_from(
    words: Words,
    said: dict[str, str],
    *,
    version: str | None,
    max_model_len: int | None,
    on_cpu: bool,
) -> Facts:
    """Put facts together: what a flag says, else what the log says, else the default. Pure."""
    seqs = _number(value_of(words, "--max-num-seqs"))
    tokens = _number(value_of(words, "--max-num-batched-tokens"))
    tokens = tokens or _number(said.get("max_num_batched_tokens"))
    if on_cpu:
        seqs = seqs or CPU_SEQS
        tokens = tokens or min(CPU_BATCHED_TOKENS, seqs * (max_model_len or CPU_BATCHED_TOKENS))
    return Facts(
        version=version_of(version),
        max_model_len=max_model_len,
        max_num_seqs=seqs,
        max_num_batched_tokens=tokens,
        prefix_caching=_yes(said.get("prefix_caching")),
        chunked_prefill=_yes(said.get("chunked_prefill")),
        eager=value_of(words, "--enforce-eager") is not None or _yes(said.get("eager")),
        can_capture=not on_cpu,
        on_cpu=on_cpu,
        quantization=value_of(words, "--quantization") or _named(said.get("quantization")),
        kv_cache_dtype=value_of(words, "--kv-cache-dtype") or _named(said.get("kv_cache_dtype")),
    )


def version_of(text: str | None) -> Version | None:
    """Read the numbers of a version: 0.14.0rc0 is 0.14.0."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", text or "")
    return tuple(map(int, found[1].split("."))) if found else None


def profile_of(session: Session, model: str) -> Profile:
    """Read what the catalogue has for the model that runs."""
    models_dir = session.settings.models_dir
    entry = find_entry(session.settings.model or model, models_dir=models_dir)
    entry = entry or find_entry(model, models_dir=models_dir)
    if entry is None:
        return Profile()
    return Profile(quantization=entry.quantization, kv_cache_dtype=entry.kv_cache_dtype)


def words_of(server: Server) -> Words:
    """Read the flags that may be changed; none if nothing runs."""
    recipe = server.recipe()
    return of_recipe(recipe) if recipe else ()


def _log(server: Server) -> list[str]:
    try:
        return list(server.log())
    except ServerError:
        return []


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _yes(text: str | None) -> bool | None:
    return None if text is None else text == "True"


def _named(text: str | None) -> str | None:
    return None if text in (None, "None") else text
