"""What the GPUs have in use, read from the kernel's files and from nvidia-smi's table."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.records import GpuStatus
from workbench.servers import gpu

GIB = 2**30


def card(root: Path, name: str, **files: str) -> None:
    folder = root / "sys/class/drm" / name / "device"
    folder.mkdir(parents=True)
    for file, text in files.items():
        (folder / file).write_text(text + "\n")


def test_amds_are_read_from_the_drivers_files(tmp_path: Path, monkeypatch):
    """Bytes used and there, and how busy it is; a card of another driver has no such files."""
    monkeypatch.setenv("PATH", "")
    card(
        tmp_path,
        "card1",
        mem_info_vram_used=str(5 * GIB),
        mem_info_vram_total=str(24 * GIB),
        gpu_busy_percent="37",
    )
    card(tmp_path, "card0", vendor="0x8086")

    assert gpu.gpus(tmp_path) == (
        GpuStatus(
            name="AMD card1",
            memory_used_bytes=5 * GIB,
            memory_total_bytes=24 * GIB,
            busy_percent=37.0,
        ),
    )


@pytest.mark.parametrize(
    ("revision", "name"),
    [("0xc8", "AMD Radeon RX 7900 XTX"), ("0xcc", "AMD Radeon RX 7900 XT"), ("0x01", "AMD card0")],
)
def test_a_card_is_named_by_its_ids(tmp_path: Path, monkeypatch, revision: str, name: str):
    """One device is several cards; the planner knows them by their names."""
    monkeypatch.setenv("PATH", "")
    memory = {"mem_info_vram_used": "1", "mem_info_vram_total": str(24 * GIB)}
    card(tmp_path, "card0", device="0x744c", revision=revision, **memory)

    assert gpu.gpus(tmp_path)[0].name == name


def test_a_card_that_does_not_say_how_busy_it_is_is_shown(tmp_path: Path, monkeypatch):
    """Its memory is known; the rest is unknown and not zero."""
    monkeypatch.setenv("PATH", "")
    card(tmp_path, "card0", mem_info_vram_used="1", mem_info_vram_total=str(GIB))

    [found] = gpu.gpus(tmp_path)

    assert (found.memory_total_bytes, found.busy_percent) == (GIB, None)


def test_a_machine_without_any_has_none(tmp_path: Path, monkeypatch):
    """As under WSL with AMD's."""
    monkeypatch.setenv("PATH", "")

    assert gpu.gpus(tmp_path) == ()


@pytest.mark.parametrize(
    ("line", "busy"),
    [("NVIDIA H200, 1024, 143771, 12", 12.0), ("NVIDIA H200, 1024, 143771, [N/A]", None)],
)
def test_a_line_of_nvidias_tool_is_read(line, busy):
    """MiB become bytes; what is not available is unknown."""
    found = gpu.parse_nvidia(line)

    assert found == GpuStatus(
        name="NVIDIA H200",
        memory_used_bytes=GIB,
        memory_total_bytes=143771 * 2**20,
        busy_percent=busy,
    )
    assert gpu.parse_nvidia("No devices were found") is None


def readings(*values: int | None):
    """Have one reading after the other in use; the last one stays."""
    left = [*values]
    return left, lambda: left.pop(0) if len(left) > 1 else left[0]


def test_memory_is_waited_for_until_no_more_comes_back():
    """The driver has not begun, then goes on, then is done: what is left is another program's."""
    left, used = readings(9 * GIB, 6 * GIB, 2 * GIB, 2 * GIB, 1 * GIB)

    gpu.wait_released(9 * GIB, used, within_s=60)

    assert left == [1 * GIB]


def test_memory_that_nobody_knows_of_is_not_waited_for():
    """Neither where no card could be asked before, nor where none can be any more."""
    left, used = readings(None, GIB)
    gpu.wait_released(None, used, within_s=60)
    assert left == [None, GIB]

    gpu.wait_released(9 * GIB, used, within_s=60)
    assert left == [GIB]


def test_memory_that_does_not_come_back_is_not_waited_for_long():
    """The next server says what it lacks."""
    looks = []

    def used() -> int:
        looks.append(9 * GIB)
        return 9 * GIB

    gpu.wait_released(9 * GIB, used, within_s=3 * gpu.LOOK_EVERY_S)

    # A look comes after a pause, and the last pause began before the time was over.
    assert 1 <= len(looks) <= 3
