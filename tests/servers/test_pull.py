"""The layers of an image, added up."""

from __future__ import annotations

from workbench.servers.pull import Layers


def event(layer: str, status: str, current: int | None = None, total: int | None = None) -> dict:
    detail = {} if current is None else {"current": current, "total": total}
    return {"id": layer, "status": status, "progressDetail": detail}


def test_bytes_and_layers_add_up():
    """What is fetched counts as bytes, what is unpacked as a layer done."""
    layers = Layers()
    for each in (
        {"id": "v0.33.0", "status": "Pulling from vllm/vllm-openai-rocm"},
        event("aaa", "Pulling fs layer"),
        event("bbb", "Already exists"),
        event("ccc", "Pulling fs layer"),
        event("aaa", "Downloading", 40, 100),
        event("ccc", "Downloading", 50, 50),
        event("ccc", "Download complete"),
        event("ccc", "Extracting", 10, 50),
    ):
        layers.feed(each)

    progress = layers.progress()
    assert (progress.done, progress.total) == (90, 150)
    assert progress.label == "pulling the image, 1 of 3 layers done"

    layers.feed(event("ccc", "Pull complete"))
    assert layers.progress().label == "pulling the image, 2 of 3 layers done"


def test_the_total_is_unknown_before_the_first_layer_begins():
    """Zero of zero bytes would be a full bar."""
    layers = Layers()
    layers.feed(event("aaa", "Pulling fs layer"))

    assert layers.progress().total is None
