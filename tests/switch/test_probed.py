"""What is known to be worse with the next model, from the last probes of both."""

from __future__ import annotations

import json
from pathlib import Path

from workbench.records import Verdict
from workbench.switch.probed import probed

URL = "http://127.0.0.1:8000/v1"


def kept(folder: Path, model: str, **verdicts: str) -> None:
    line = {
        "at": "2026-11-24T10:00:00+00:00",
        "base_url": URL,
        "model": model,
        "vllm_version": "0.32.0",
        "verdicts": {name.replace("_", "-"): verdict for name, verdict in verdicts.items()},
    }
    with (folder / "probes.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def test_what_passed_and_will_not_is_named(tmp_path: Path):
    """With the day; what failed before too is no loss."""
    kept(tmp_path, "pocket", tools_auto="pass", tools_none="fail", logprobs="pass", slots="pass")
    kept(tmp_path, "mini", tools_auto="fail", tools_none="fail", logprobs="warn", slots="skip")

    step = probed(tmp_path, base_url=URL, before="pocket", after="mini")

    assert step.verdict is Verdict.WARN
    assert step.seen == (
        "tools-auto failed, logprobs had a limit when mini was last probed (2026-11-24); "
        "pocket passed"
    )


def test_without_both_probes_nothing_is_known(tmp_path: Path):
    """Neither of the next model, nor of the one before, nor at another server."""
    assert probed(tmp_path, base_url=URL, before="pocket", after="mini") is None
    kept(tmp_path, "mini", chat="fail")
    assert probed(tmp_path, base_url=URL, before="pocket", after="mini") is None
    kept(tmp_path, "pocket", chat="pass")
    assert probed(tmp_path, base_url=URL, before=None, after="mini") is None
    assert probed(tmp_path, base_url="http://b/v1", before="pocket", after="mini") is None


def test_as_good_as_before_is_not_worth_a_word(tmp_path: Path):
    """Only a loss is."""
    kept(tmp_path, "pocket", chat="pass", tools="fail")
    kept(tmp_path, "mini", chat="pass", tools="pass")

    assert probed(tmp_path, base_url=URL, before="pocket", after="mini") is None
