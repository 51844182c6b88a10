"""
Names on a Hugging Face hub, and which of a model's files vLLM takes. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# vLLM takes the safetensors where there are some, and leaves the other frameworks' files.
# 0.33: model_executor/model_loader/default_loader.py, _prepare_weights
_TAKEN = re.compile(r"\.(safetensors|json|txt|model|jinja)$")
_WEIGHTS = re.compile(r"\.safetensors$")
_OTHER_WEIGHTS = re.compile(r"\.(bin|pt)$")

# The same weights again, in Mistral's own form; vLLM would read one of the two (as above).
_MISTRAL_WEIGHTS = re.compile(r"^consolidated.*\.safetensors")

# How an embedding model pools is said in a folder of its own.
_POOLING = re.compile(r"\d+_\w+/config\.json")

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)


def is_hub_name(model: str) -> bool:
    """Tell a repository's name from a path, which the hub knows nothing of."""
    return _HUB_NAME.fullmatch(model) is not None


def is_weights(name: str) -> bool:
    """Tell weights from what describes them."""
    return bool(_WEIGHTS.search(name) or _OTHER_WEIGHTS.search(name))


def taken(names: Iterable[str]) -> list[str]:
    """Choose the files that vLLM needs, of all that a repository has; weights only once."""
    top = [name for name in names if "/" not in name or _POOLING.fullmatch(name)]
    weights = [name for name in top if _WEIGHTS.search(name)]
    if not weights:
        return [name for name in top if _TAKEN.search(name) or _OTHER_WEIGHTS.search(name)]
    again = {name for name in top if _MISTRAL_WEIGHTS.search(name)}
    if again.issuperset(weights):  # there are no others
        again = set()
    return [name for name in top if _TAKEN.search(name) and name not in again]
