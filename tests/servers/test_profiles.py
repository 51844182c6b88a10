"""Which service of the compose file suits a machine, told from its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import BackendUnavailableError
from workbench.servers import profiles

ROCDXG = "opt/rocm/lib/librocdxg.so"
LIBHSA = "opt/rocm/lib/libhsa-runtime64.so.1"
DIDS = "opt/rocm/share/rocdxg/dids.conf"


def machine(root: Path, *files: str, packages: dict[str, str] | None = None) -> Path:
    """Make a folder that has these files, and Debian's list of these packages."""
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    stanzas = [
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n"
        for name, version in (packages or {}).items()
    ]
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text("\n".join(stanzas))
    return root


@pytest.mark.parametrize(
    ("files", "packages", "profile"),
    [
        (["dev/dxg", ROCDXG, DIDS], {"rocdxg-roct": "1.2.2"}, "wsl-rocdxg"),
        (["dev/dxg", LIBHSA], {"hsa-runtime-rocr4wsl-amdgpu": "25.10-2188619.24.04"}, "wsl-legacy"),
        # Both: the newer one, which is what AMD supports now.
        (["dev/dxg", ROCDXG, LIBHSA], {"hsa-runtime-rocr4wsl-amdgpu": "25.30"}, "wsl-rocdxg"),
        (["dev/dxg", "usr/lib/wsl/lib/libcuda.so.1"], {}, "cuda"),
        (["dev/kfd", "dev/dri/renderD128"], {}, "rocm"),
        (["proc/driver/nvidia/version"], {}, "cuda"),
        ([], {}, "cpu"),
    ],
)
def test_the_profile_is_the_one_of_the_machine(tmp_path: Path, files, packages, profile):
    """Each kind of machine has its own; what speaks for it is said."""
    choice = profiles.choose(machine(tmp_path, *files, packages=packages))

    assert choice.profile == profile
    assert choice.because


@pytest.mark.parametrize(
    ("files", "packages"),
    [
        (["dev/dxg"], {}),
        # A stock runtime is no WSL stack, whatever its file is called.
        (["dev/dxg", LIBHSA], {}),
    ],
)
def test_a_radeon_on_wsl_without_either_stack_is_said(tmp_path: Path, files, packages):
    """Falling back to the CPU would hide what is missing."""
    with pytest.raises(BackendUnavailableError, match="neither") as caught:
        profiles.choose(machine(tmp_path, *files, packages=packages))

    assert "--profile cpu" in caught.value.hint


@pytest.mark.parametrize(
    ("version", "image"),
    [("1.1.0", profiles.ROCM_7_IMAGE), ("1.2.0-1", profiles.ROCM_7_IMAGE), ("1.2.1", None)],
)
def test_an_older_librocdxg_gets_an_image_of_its_age(tmp_path: Path, version, image):
    """The library on the host and the runtime in the image must be of one source."""
    root = machine(tmp_path, "dev/dxg", ROCDXG, DIDS, packages={"rocdxg-roct": version})

    assert profiles.choose(root).environment.get("WORKBENCH_IMAGE") == image


def test_the_files_of_rocdxg_are_taken_from_where_they_are(tmp_path: Path):
    """A library elsewhere is named, and a missing device list is none."""
    root = machine(tmp_path, "dev/dxg", "usr/lib/librocdxg.so")

    assert profiles.choose(root).environment == {
        "WORKBENCH_ROCDXG_LIB": "/usr/lib/librocdxg.so",
        "WORKBENCH_ROCDXG_DIDS": "/dev/null",
    }


def test_a_package_that_was_removed_does_not_count(tmp_path: Path):
    """dpkg remembers what was there once."""
    root = machine(tmp_path, "dev/dxg", LIBHSA)
    (root / "var/lib/dpkg/status").write_text(
        "Package: hsa-runtime-rocr4wsl-amdgpu\nStatus: deinstall ok config-files\nVersion: 25.10\n"
    )

    with pytest.raises(BackendUnavailableError):
        profiles.choose(root)
