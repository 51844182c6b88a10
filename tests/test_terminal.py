"""Progress in a log: what is written, and how often."""

from __future__ import annotations

import pytest

from workbench import terminal
from workbench.records import BootPhase, Progress
from workbench.terminal import PlainProgress

MIB = 2**20


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (
            Progress(label="download", done=3 * MIB, total=12 * MIB, unit="bytes", eta_s=90.4),
            "download … (3.00 MiB of 12.0 MiB, about 90 s left)",
        ),
        (
            Progress(label="pulling", done=3 * MIB, total=None, unit="bytes"),
            "pulling … (3.00 MiB of –)",
        ),
        (
            Progress(label="load weights", done=31.6, total=None, unit="s", fraction=0.5),
            "load weights … (32 s, 50% of this)",
        ),
        (
            Progress(label="unpacking", done=7, total=94, unit="packages"),
            "unpacking … (7 of 94 packages)",
        ),
        (
            Progress(label="regex", done=11, total=28, unit="checks"),
            "regex … (11 of 28 checks)",
        ),
        (
            Progress(label="measuring", done=3, total=9, unit="requests", detail="41 tok/s"),
            "measuring … (3 of 9 requests, 41 tok/s)",
        ),
    ],
)
def test_a_line_says_how_far_it_is(progress: Progress, line: str, capsys):
    """In its own unit, with what is known of the rest."""
    PlainProgress()(progress)

    assert capsys.readouterr().err == f"{line}\n"


def test_a_new_label_is_a_line_and_an_old_one_only_now_and_then(monkeypatch, capsys):
    """Ten updates a second for an hour are a hundred and twenty lines, not thirty thousand."""
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    show = PlainProgress()
    behind = BootPhase(name="import vLLM", began_s=0.0, ended_s=2.0)
    at_work = BootPhase(name="download", began_s=2.0)
    progress = Progress(
        label="download", done=0, total=None, unit="bytes", phases=(behind, at_work)
    )

    for second in range(61):
        now[0] = float(second)
        show(progress)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("import vLLM 2.00 s, download")
    assert lines[1].startswith("download")
