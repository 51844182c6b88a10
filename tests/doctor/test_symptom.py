"""What may be behind a text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from workbench.doctor import causes
from workbench.doctor.checks import CHECKS
from workbench.doctor.checks.rocm import TEXTS
from workbench.doctor.symptom import BEHIND
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


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("torch.cuda.is_available() is False", ["torch-runtime", "dev-dxg", "hsa-shadowed"]),
        ("CUDA/ROCm available: False, torch says GPU not available", ["torch-runtime"]),
        ("HTTP 401 Unauthorized", ["server-key", "hub-token"]),
        ("behind nginx the answer arrives all at once", ["stream-in-pieces", "proxy"]),
        ("OSError: [Errno 98] Address already in use", ["port"]),
    ],
)
def test_what_several_checks_explain_is_ranked(text: str, first: list[str]):
    """The likeliest first, and each says how to make the check."""
    found = [cause for cause in causes(text) if cause.fix.startswith("workbench doctor --only")]

    assert [cause.id for cause in found][: len(first)] == first


def test_every_explanation_is_a_check():
    """And each is a pattern."""
    ids = {check.id for check in CHECKS}

    assert {id for _, named in BEHIND for id in named} <= ids
    assert all(re.compile(pattern) for pattern, _ in BEHIND)


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
