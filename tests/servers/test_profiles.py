"""Which service of the compose file suits a machine, told from its files."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbench.errors import BackendUnavailableError
from workbench.servers import profiles

ROCDXG = "opt/rocm/lib/librocdxg.so"
LIBHSA = "opt/rocm/lib/libhsa-runtime64.so.1"
PROJECT = Path(__file__).resolve().parents[2]
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
        # amdgpu makes /dev/kfd for the GPU inside a Ryzen too.
        (["dev/kfd", "proc/driver/nvidia/version"], {}, "cuda"),
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


def test_an_nvidia_card_beside_a_processor_with_a_gpu_is_said(tmp_path: Path):
    """Whoever has a Radeon as well sees why it was not taken."""
    root = machine(tmp_path, "dev/kfd", "proc/driver/nvidia/version")

    assert "NVIDIA" in profiles.choose(root).because
    assert "/dev/kfd" in profiles.choose(root).because


@pytest.mark.parametrize(
    ("version", "image"),
    [
        ("25.10-2188619.24.04", None),
        ("25.30.13-2281980.24.04", profiles.ROCM_7_LEGACY_IMAGE),
        ("1:25.30.13-1", profiles.ROCM_7_LEGACY_IMAGE),
    ],
)
def test_a_legacy_host_gets_an_image_of_its_rocm(tmp_path: Path, version: str, image: str | None):
    """6.4.2 has the compose file's own; 7.2.0 another."""
    root = machine(tmp_path, "dev/dxg", LIBHSA, packages={profiles.LEGACY_PACKAGE: version})

    assert profiles.choose(root).profile == "wsl-legacy"
    assert profiles.told_for("wsl-legacy", root).get("WORKBENCH_IMAGE") == image


def test_a_legacy_host_without_an_image_of_its_rocm_is_refused(tmp_path: Path):
    """The runtime of another ROCm in the image finds no GPU, after 20 GB of download."""
    packages = {profiles.LEGACY_PACKAGE: "24.30-2063398.24.04"}
    root = machine(tmp_path, "dev/dxg", LIBHSA, packages=packages)

    with pytest.raises(BackendUnavailableError, match=r"24\.30 .* 6\.4\.2 and 7\.2\.0") as caught:
        profiles.choose(root)

    assert "WORKBENCH_IMAGE" in caught.value.hint
    assert profiles.told_for("wsl-legacy", root) == {}


def test_the_compose_file_names_the_images_that_are_chosen():
    """Who types `docker compose` reads there what `workbench up` takes."""
    text = (PROJECT / "docker-compose.yml").read_text()

    assert profiles.ROCM_7_IMAGE in text
    assert profiles.ROCM_7_LEGACY_IMAGE in text


@pytest.mark.parametrize(
    ("version", "image"),
    [
        ("1.1.0", profiles.ROCM_7_IMAGE),
        ("1.2.0-1", profiles.ROCM_7_IMAGE),
        ("1.2.1", None),
        ("1:1.2.2", None),
    ],
)
def test_an_older_librocdxg_gets_an_image_of_its_age(tmp_path: Path, version, image):
    """The library on the host and the runtime in the image must be of one source."""
    root = machine(tmp_path, "dev/dxg", ROCDXG, DIDS, packages={"rocdxg-roct": version})

    assert profiles.told_for("wsl-rocdxg", root).get("WORKBENCH_IMAGE") == image


@pytest.mark.parametrize(("files", "image"), [([], profiles.ROCM_7_IMAGE), ([DIDS], None)])
def test_a_librocdxg_that_was_built_here_has_the_age_of_its_list(
    tmp_path: Path, files: list[str], image: str | None
):
    """The device list came with 1.2.1; a newer image with an older library overruns a buffer."""
    root = machine(tmp_path, "dev/dxg", ROCDXG, *files)

    assert profiles.told_for("wsl-rocdxg", root).get("WORKBENCH_IMAGE") == image


def test_the_files_of_rocdxg_are_taken_from_where_they_are(tmp_path: Path):
    """A library elsewhere is named, and a missing device list is none."""
    root = machine(tmp_path, "dev/dxg", "usr/lib/librocdxg.so")

    told = profiles.told_for("wsl-rocdxg", root)

    assert told["WORKBENCH_ROCDXG_LIB"] == "/usr/lib/librocdxg.so"
    assert told["WORKBENCH_ROCDXG_DIDS"] == "/dev/null"


def test_a_package_that_was_removed_does_not_count(tmp_path: Path):
    """dpkg remembers what was there once."""
    root = machine(tmp_path, "dev/dxg", LIBHSA)
    (root / "var/lib/dpkg/status").write_text(
        "Package: hsa-runtime-rocr4wsl-amdgpu\nStatus: deinstall ok config-files\nVersion: 25.10\n"
    )

    with pytest.raises(BackendUnavailableError):
        profiles.choose(root)


def test_a_notebook_told_the_profile_does_not_ask_the_machine(capsys):
    """A GPU without its stack stops `choose`, and is no reason to stop a notebook for the CPU."""
    cells = json.loads((PROJECT / "notebooks/02_the_container.ipynb").read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    source = next(each for each in sources if "choose()" in each)

    asked = []

    def no_stack() -> None:
        asked.append("choose")

    desk = SimpleNamespace(settings=SimpleNamespace(profile="cpu"))
    exec(source, {"desk": desk, "choose": no_stack, "profile": "cpu"})

    assert asked == []
    assert capsys.readouterr().out == "cpu: it was named\n"
