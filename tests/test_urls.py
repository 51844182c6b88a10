"""Small questions about URLs."""

from __future__ import annotations

import pytest

from workbench.urls import is_loopback


@pytest.mark.parametrize(
    ("url", "is_this_machine"),
    [
        ("http://localhost:8000/v1", True),
        ("http://127.0.0.1:8000", True),
        ("http://127.8", True),
        ("http://[::1]:8000", True),
        ("http://127.0.0.1.example.org", False),
        ("http://127.example.org", False),
        ("http://localhost.example.org", False),
        ("http://10.0.0.1", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_a_loopback_address_is_told_from_a_name_that_looks_like_one(url, is_this_machine):
    """Whoever owns a domain may call a host 127.something."""
    assert is_loopback(url) == is_this_machine
