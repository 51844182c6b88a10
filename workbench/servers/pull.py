"""
Pulling an image, layer by layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from ..errors import ServerStartError
from ..failures import diagnose
from ..records import Progress
from ..units import size
from .containers import Docker


class Layers:
    """
    Adds up what the daemon reports of an image's layers.

    A layer is fetched (``Downloading``), then unpacked (``Extracting``); what
    is counted are the fetched bytes, and the layers that are done. After a
    break the daemon goes on where it was and counts only what is left, or
    starts the layer again: what has come once never becomes less.
    """

    def __init__(self) -> None:
        self._fetched: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._done: set[str] = set()
        self._retries = False

    def feed(self, event: Mapping[str, Any]) -> None:
        """Take one report of the daemon."""
        layer, status = event.get("id"), event.get("status", "")
        if layer is None or status.startswith("Pulling from"):
            return
        detail = event.get("progressDetail") or {}
        self._sizes.setdefault(layer, 0)
        self._retries = status.startswith("Retrying")
        if status == "Downloading" and detail.get("total"):
            # Nothing of it yet is not written as 0 but left out.
            self._downloading(layer, detail.get("current", 0), detail["total"])
        elif status in ("Verifying Checksum", "Download complete", "Extracting"):
            self._fetched[layer] = self._sizes[layer]
        elif status in ("Pull complete", "Already exists"):
            self._fetched[layer] = self._sizes[layer]
            self._done.add(layer)

    def _downloading(self, layer: str, current: int, total: int) -> None:
        self._sizes[layer] = max(self._sizes[layer], total)
        kept = self._sizes[layer] - total
        self._fetched[layer] = max(self._fetched.get(layer, 0), kept + current)

    @property
    def fetched_bytes(self) -> int:
        """The bytes that have come, of all layers."""
        return sum(self._fetched.values())

    def progress(self) -> Progress:
        """Say how far it is. The total grows as layers begin, and is unknown before the first."""
        layers = f"{len(self._done)} of {len(self._sizes)} layers done"
        again = "; it broke off and is tried again" if self._retries else ""
        return Progress(
            label=f"pulling the image, {layers}{again}",
            done=self.fetched_bytes,
            total=sum(self._sizes.values()) or None,
            unit="bytes",
        )


def pull(docker: Docker, image: str, on_progress: Callable[[Progress], None]) -> None:
    """
    Pull an image.

    Raises:
        ServerStartError: It cannot be had; whole layers are kept for the next try.
    """
    layers = Layers()
    try:
        with closing(docker.pull(image)) as events:
            for event in events:
                if said := event.get("error"):
                    raise _not_pulled(image, layers, str(said))
                layers.feed(event)
                on_progress(layers.progress())
    except OSError as exc:
        raise _not_pulled(image, layers, str(exc)) from exc


def _not_pulled(image: str, layers: Layers, said: str) -> ServerStartError:
    found = diagnose([said])
    cause = found.cause if found else "The registry or the network broke it off."
    fix = found.fix if found else "Try again: what is there whole is not fetched again."
    return ServerStartError(
        f"The image {image} could not be pulled: {cause}\n"
        f'{size(layers.fetched_bytes)} of it had come. Docker says: "{said.strip()}"',
        hint=fix,
        server="compose",
        state="stopped",
        diagnosis=found,
    )
