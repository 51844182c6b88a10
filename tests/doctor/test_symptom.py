"""What may be behind a text."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.doctor import causes
from workbench.doctor.checks.rocm import TEXTS
from workbench.views.doctor import causes_view

BOOTS = Path(__file__).parent.parent / "data/boots"


def test_a_log_is_read_as_a_failed_boot_is():
    """Its cause first, with its numbers; what else it says behind; no likeness of words."""
    found = causes((BOOTS / "kv-cache-too-small.log").read_text())

    assert [cause.id for cause in found] == ["kv-cache-too-small", "context-beyond-model"]
    assert "2.86 GiB" in found[0].cause
    assert all(cause.is_known for cause in found)


@pytest.mark.parametrize(
    ("sentence", "id"),
    [
        (
            "loading the weights takes minutes, they are on a drive of Windows",
            "project-place",
        ),
        ("docker: permission denied on its socket", "docker-rights"),
        ("in WSL the GPU is full although nothing runs, memory", "wsl-memory"),
        ("certificate refused after Windows sleeps, the clock is wrong", "clock"),
        ("another program has the port of the server", "port"),
        ("Docker Desktop and a Radeon, the libraries are not mounted", "docker-desktop"),
    ],
)
def test_a_sentence_finds_the_check_that_speaks_of_it(sentence: str, id: str):
    """By the words that few other checks have."""
    assert causes(sentence)[0].id == id


@pytest.mark.parametrize("text", [said for said, *_ in TEXTS])
def test_every_text_of_rocminfo_is_known(text: str):
    """As a fingerprint of a boot, or from the check."""
    assert causes(f"some line\n{text}, and more")[0].is_known


def test_what_nobody_knows_is_said_so():
    """Nothing is guessed; the status is 1."""
    view = causes_view(causes("my cat is hungry"))

    assert (causes("my cat is hungry"), view.ok) == ((), False)
    assert "workbench doctor" in str(view)
    assert causes("") == ()


def test_the_view_says_how_each_is_known():
    """A text that is known is quoted; words in common are listed."""
    known = str(causes_view(causes("No WDDM adapters found.")))
    alike = str(causes_view(causes("docker permission denied socket")))

    assert "it says: No WDDM adapters found." in known
    assert "words in common: docker, socket" in alike
