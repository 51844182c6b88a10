"""A vLLM's log, read: phases of a healthy boot, causes of failed ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.bootlog import BootReader, diagnose, eta_s
from workbench.records import BootPhase

BOOTS = Path(__file__).parent / "data" / "boots"


def log(name: str) -> list[str]:
    return (BOOTS / f"{name}.log").read_text().splitlines()


def phase(name: str, began_s: float, ended_s: float | None) -> BootPhase:
    return BootPhase(name=name, began_s=began_s, ended_s=ended_s)


def test_a_healthy_boot_passes_through_every_phase_once():
    """Each phase shows itself in vLLM 0.32's own log, in order."""
    reader = BootReader()
    for second, line in enumerate(log("healthy")):
        reader.feed(line, at_s=float(second))

    names = [phase.name for phase in reader.phases()]

    assert names == [
        "import vLLM",
        "start engine",
        "start worker",
        "load weights",
        "profile",
        "warm up",
        "open API",
        "first token",
    ]


def test_phases_touch_and_the_last_one_is_open():
    """Where one ends the next begins; what goes on has no end."""
    reader = BootReader()
    reader.feed("INFO Starting to load model pocket...", at_s=3.0)
    reader.feed("INFO Loading weights took 0.04 seconds", at_s=4.5)

    assert reader.phases() == (
        phase("import vLLM", 0.0, 3.0),
        phase("load weights", 3.0, 4.5),
        phase("profile", 4.5, None),
    )


def test_a_line_of_an_earlier_phase_does_not_go_back():
    """A second worker that starts to load late does not undo the first one's progress."""
    reader = BootReader()
    reader.feed("Loading weights took 1 seconds", at_s=1.0)
    reader.feed("Starting to load model", at_s=2.0)

    assert reader.phases()[-1].name == "profile"


def test_the_first_boot_has_no_eta():
    """Without an earlier boot nothing is known, and nothing is guessed."""
    assert eta_s(BootReader().phases(), now_s=1.0, earlier=[]) is None


def test_the_eta_is_what_is_left_of_the_median_boot():
    """
    Earlier: import 10 s, load 2 s (medians of 8/10/12 and 2/2/2). Three seconds in,
    seven of the import are left, and two of loading: nine.
    """
    earlier = [
        (phase("import vLLM", 0, end), phase("load weights", end, end + 2)) for end in (8, 10, 12)
    ]

    assert eta_s(BootReader().phases(), now_s=3.0, earlier=earlier) == pytest.approx(9.0)


def test_a_phase_that_takes_longer_than_usual_does_not_make_the_eta_negative():
    """After 15 s of a 10 s phase, what is left is what comes after it."""
    earlier = [(phase("import vLLM", 0, 10), phase("load weights", 10, 12))]

    assert eta_s(BootReader().phases(), now_s=15.0, earlier=earlier) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("name", "line", "hint"),
    [
        ("kv-cache-too-small", "2.86 GiB KV cache is needed", "--max-model-len"),
        ("kv-cache-beyond-memory", "requested memory for kv (64.0 GiB)", "WORKBENCH_KV_CACHE_GIB"),
        ("port-in-use", "Address already in use", "--port"),
        ("truncated-weights", "SafetensorError", "damaged"),
        ("beyond-derived-length", "User-specified max_model_len (1000000)", "--max-model-len"),
        ("no-config", "Invalid repository ID", "workbench logs"),
        ("bad-flag", "error: unrecognized arguments", "workbench logs"),
    ],
)
def test_a_failed_boot_is_explained_by_its_decisive_line(name: str, line: str, hint: str):
    """Not the parent's echo, "Engine core initialization failed", but the reason above it."""
    found = diagnose(log(name))

    assert found is not None
    assert line in found.line
    assert hint in found.hint
    assert not found.line.startswith("(")


def test_the_text_of_0_9_2_is_known_as_well():
    """It says "the models's max seq len", with an unbalanced bracket (vLLM 0.9.2 to 0.19)."""
    line = (
        "ValueError: To serve at least one request with the models's max seq len (131072), "
        "(16.00 GiB KV cache is needed, which is larger than the available KV cache memory "
        "(4.92 GiB). Based on the available memory, the estimated maximum model length is 40304."
    )

    found = diagnose(["INFO starting", line, "RuntimeError: Engine core initialization failed."])

    assert found is not None
    assert found.line == line
    assert "--max-model-len" in found.hint


def test_a_log_without_an_error_is_not_explained():
    """A process that was killed from outside wrote nothing: unknown is unknown."""
    assert diagnose(["INFO everything is fine"]) is None
