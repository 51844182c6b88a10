"""A vLLM's log, read: phases of a healthy boot, causes of failed ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.bootlog import BootReader, Figures, eta_s
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


def read(name: str) -> BootReader:
    """Feed a whole log, a second a line."""
    reader = BootReader()
    for second, line in enumerate(log(name)):
        reader.feed(line, at_s=float(second))
    return reader


GPU_PHASES = [
    *("import vLLM", "start engine", "start worker", "load weights", "profile", "compile"),
    *("measure memory", "warm up", "capture graphs", "open API", "first token"),
]


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        (
            "healthy-gpu-0.9.2",
            Figures(
                model_load_gib=14.9889,
                model_load_s=5.512345,
                kv_cache_gib=3.92,
                kv_cache_tokens=32112,
                max_model_len=8192,
                max_concurrency=3.92,
                compile_s=31.27,
                graphs_gib=0.52,
            ),
        ),
        (
            "healthy-gpu-0.28",
            Figures(
                model_load_gib=14.99,
                model_load_s=5.512345,
                kv_cache_gib=3.9,
                kv_cache_tokens=31948,
                max_model_len=8192,
                max_concurrency=3.9,
                compile_s=29.8,
                graphs_gib=0.41,
            ),
        ),
        (
            "healthy-gpu-0.33",
            Figures(
                model_load_gib=14.99,
                model_load_s=5.512345,
                kv_cache_gib=3.9,
                kv_cache_tokens=31948,
                max_model_len=8192,
                max_concurrency=3.9,
                compile_s=29.8,
                graphs_gib=0.41,
            ),
        ),
    ],
)
def test_a_boot_on_a_gpu_is_read_in_every_versions_wording(name: str, figures: Figures):
    """0.9.2 has the cache on two lines and the memory without a word; 0.28 joins them."""
    reader = read(name)

    assert [phase.name for phase in reader.phases()] == GPU_PHASES
    assert reader.figures() == figures


def test_the_cpus_boot_has_its_figures_too():
    """vLLM 0.32 on the CPU, as it was written here."""
    figures = read("healthy").figures()

    assert figures.kv_cache_tokens
    assert figures.max_model_len
    assert figures.graphs_gib is None


def test_a_download_is_a_phase_of_its_own_once_it_is_over():
    """vLLM says how long it took, and then loads."""
    reader = BootReader()
    reader.feed("INFO Starting to load model Qwen/Qwen3-8B...", at_s=10.0)
    assert reader.phases()[-1].name == "load weights"
    reader.feed("INFO Time spent downloading weights for Qwen/Qwen3-8B: 123.4 s", at_s=134.0)

    assert reader.phases() == (
        phase("import vLLM", 0.0, 10.0),
        phase("download", 10.0, 134.0),
        phase("load weights", 134.0, None),
    )


def test_a_bar_says_how_much_of_a_phase_is_done():
    """vLLM's bars for the shards and for the graphs; a new phase begins without."""
    reader = BootReader()
    reader.feed("INFO Starting to load model x...", at_s=1.0)
    assert reader.fraction is None
    reader.feed("Loading safetensors checkpoint shards:  50% Completed | 2/4 [00:01<00:01]", at_s=2)
    assert reader.fraction == 0.5
    reader.feed("INFO Loading weights took 3.04 seconds", at_s=3.0)
    assert reader.fraction is None
    reader.feed("Capturing CUDA graphs (decode, FULL):  30%|███       | 10/35", at_s=4.0)
    assert (reader.phases()[-1].name, reader.fraction) == ("capture graphs", 0.3)
