"""What is said of ``--workers`` before a cluster is asked."""

from __future__ import annotations

import sys

import pytest

from workbench.bench import ray_workers
from workbench.errors import ConfigError, MissingDependencyError


@pytest.mark.parametrize("address", ["ray://head:10001", "ray://[::1]:10001", "auto", "head:6379"])
def test_addresses_of_a_cluster_are_rays_own(address: str):
    """From outside, from one of its machines, and by its port."""
    assert ray_workers.checked(address) == address


@pytest.mark.parametrize("address", ["", "head", "http://head:8265", "ray://head", "ray://:1"])
def test_what_is_none_is_refused_with_examples(address: str):
    """Before anything is asked."""
    with pytest.raises(ConfigError, match="no address of a Ray cluster") as refused:
        ray_workers.checked(address)

    assert "ray://HOST:10001" in str(refused.value.hint)


def test_a_cluster_of_this_machine_alone_is_processes():
    """Ray would add nothing to them."""
    with pytest.raises(ConfigError) as refused:
        ray_workers.checked("local")

    assert "--processes" in str(refused.value.hint)


@pytest.mark.parametrize("address", ["ray://127.0.0.1:9", "127.0.0.1:9", "[::1]:9"])
def test_where_nothing_listens_no_cluster_is_waited_for(address: str):
    """With the system's reason, and how an address looks."""
    with pytest.raises(ConfigError, match="No Ray cluster can be used at") as refused:
        ray_workers.answering(address)

    assert address in refused.value.message
    assert "ray status" in str(refused.value.hint)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    """With the line that installs it."""
    monkeypatch.setitem(sys.modules, "ray", None)

    with (
        pytest.raises(MissingDependencyError) as missing,
        ray_workers.connected("ray://head:10001"),
    ):
        pass

    assert missing.value.hint == "pip install 'vllm-workbench[ray]'"
    assert missing.value.package == "ray"
