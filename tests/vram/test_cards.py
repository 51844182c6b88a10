"""Cards by name, by memory, and as a driver describes them."""

from __future__ import annotations

import pytest

from workbench.errors import ConfigError
from workbench.vram import CARDS, card_like, card_of, find_card

GIB = 2**30


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("7900xtx", "7900xtx"),
        ("RX 7900 XTX", "7900xtx"),
        ("AMD Radeon RX 7900 XT", "7900xt"),
        ("7900xtx-wsl", "7900xtx-wsl"),
        ("Radeon PRO W7900", "w7900"),
        ("3090", "rtx3090"),
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("a100", "a100-80gb"),
        ("H200", "h200"),
    ],
)
def test_a_card_is_found_as_people_write_it(written, found):
    """With or without the maker's words, spaces and capitals."""
    assert find_card(written).name == found


def test_an_unknown_card_gets_the_list_and_the_closest():
    """And the way out that works for any card."""
    with pytest.raises(ConfigError) as caught:
        find_card("7900xtxx")

    assert "7900gre" in caught.value.message
    assert "Did you mean 7900xtx?" in caught.value.hint
    assert "--vram" in caught.value.hint


@pytest.mark.parametrize("size", [0, -1, float("nan")])
def test_no_memory_is_no_card(size):
    """Whatever arithmetic would make of it."""
    with pytest.raises(ConfigError):
        card_of(size)


def test_under_wsl_a_part_is_never_free():
    """24,517 MiB, of which 21,615 are free: librocdxg#57."""
    card = CARDS["7900xtx-wsl"]

    assert (card.total_bytes, card.free_bytes) == (24517 * 2**20, 21615 * 2**20)


@pytest.mark.parametrize(
    ("card", "defaults"),
    [
        (CARDS["7900xtx"], (2048, 256)),
        (CARDS["h100"], (8192, 1024)),
        (CARDS["a100-80gb"], (2048, 256)),
        (card_like("NVIDIA A100-SXM4-80GB", 80 * 2**30), (2048, 256)),
        (card_of(24), (8192, 1024)),
    ],
    ids=[
        "small",
        "large",
        "a100",
        "a100, as its driver calls it",
        "no name: the larger, to be on the safe side",
    ],
)
def test_the_batch_follows_from_the_card(card, defaults):
    """``get_batch_defaults`` of vllm/engine/arg_utils.py: from 70 GiB on larger, an A100 not."""
    assert card.batch_defaults == defaults


def test_the_true_memory_of_an_h200_is_an_h200():
    """139.8 GiB are its own; 24 GiB are nobody's in particular."""
    assert card_of(139.8).name == "h200"
    assert card_of(24).maker is None


@pytest.mark.parametrize(
    ("said", "maker", "speed"),
    [
        ("NVIDIA H200", "nvidia", 4.8e12),
        ("AMD Radeon RX 7900 XTX", "amd", 960e9),
        ("AMD card0", "amd", None),
    ],
)
def test_a_drivers_word_is_completed_from_the_table(said, maker, speed):
    """The memory is the driver's, the bandwidth the table's where it knows the name."""
    card = card_like(said, 20 * GIB)

    assert (card.total_bytes, card.maker) == (20 * GIB, maker)
    assert card.bandwidth_bytes_s == speed


def test_a_laptops_card_is_not_the_desktops():
    """The same name, another chip: its bandwidth is not known."""
    assert card_like("NVIDIA GeForce RTX 4090 Laptop GPU", 16 * 2**30).bandwidth_bytes_s is None
