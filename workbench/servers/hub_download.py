"""
How far the download of a model is, seen from outside of the container that does it.

vLLM's own bars for it are off when nobody watches a terminal, so the files
that grow in the Hugging Face cache are looked at; how many bytes are to come,
the hub is asked once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..hubfiles import taken
from . import base

HUB_TIMEOUT_S = 5.0


class HubDownload:
    """
    The download of one model into one cache.

    Args:
        hf_home: The cache: ``HF_HOME``, as it is called on this machine.

        model: The repository's name on the hub, ``organisation/name``.

        endpoint: The hub.
    """

    def __init__(
        self, hf_home: Path, model: str, *, revision: str, endpoint: str, token: str | None
    ) -> None:
        self._blobs = hf_home / "hub" / f"models--{model.replace('/', '--')}" / "blobs"
        self._url = f"{endpoint.rstrip('/')}/api/models/{model}/revision/{revision}?blobs=true"
        self._token = token
        self._total: int | None = None
        self._asked = False

    def done_bytes(self) -> int:
        """Sum what lies on the disk, whole files and those that are coming."""
        return sum(_disk_bytes(self._blobs))

    def total_bytes(self) -> int | None:
        """Ask the hub, once, how much it will be; ``None`` when it does not say."""
        if not self._asked:
            self._asked = True
            answer = base.ask(self._url, api_key=self._token, timeout_s=HUB_TIMEOUT_S)
            self._total = _taken_bytes(answer.json)
        return self._total


def _disk_bytes(blobs: Path) -> Iterator[int]:
    if not blobs.is_dir():
        return
    for path in blobs.iterdir():
        try:
            # Blocks, not the size: a file may be made at its full length and filled later.
            yield min(path.stat().st_blocks * 512, path.stat().st_size)
        except OSError:  # renamed this moment
            continue


def _taken_bytes(listing: object) -> int | None:
    siblings = listing.get("siblings") if isinstance(listing, dict) else None
    if not isinstance(siblings, list):
        return None
    sizes = {
        str(entry.get("rfilename")): entry.get("size")
        for entry in siblings
        if isinstance(entry, dict)
    }
    return sum(size for name in taken(sizes) if isinstance(size := sizes[name], int)) or None
