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


def test_a_layer_that_broke_off_goes_on_from_what_has_come():
    """Docker then counts only the bytes that were left, as if the layer were smaller."""
    layers = Layers()
    for each in (
        event("aaa", "Downloading", 60, 100),
        event("aaa", "Retrying in 5 seconds"),
        event("aaa", "Downloading", 10, 40),
    ):
        layers.feed(each)

    assert (layers.progress().done, layers.progress().total) == (70, 100)


def test_a_layer_that_starts_again_never_has_less():
    """A registry that cannot go on from a byte sends the layer from its beginning."""
    layers = Layers()
    layers.feed(event("aaa", "Downloading", 60, 100))
    layers.feed(event("aaa", "Downloading", 10, 100))

    assert layers.progress().done == 60


def test_a_layer_of_which_nothing_has_come_has_zero_bytes():
    """Docker leaves ``current`` out when it is 0."""
    layers = Layers()
    layers.feed({"id": "aaa", "status": "Downloading", "progressDetail": {"total": 100}})

    assert (layers.progress().done, layers.progress().total) == (0, 100)
