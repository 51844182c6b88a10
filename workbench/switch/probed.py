"""
What the model before could do and the next one could not, when both were last probed.
"""

from __future__ import annotations

import time
from pathlib import Path

from ..records import SwitchStep, Verdict

SAID = {Verdict.FAIL: "failed", Verdict.WARN: "had a limit"}


def probed(state_dir: Path, *, base_url: str, before: str | None, after: str) -> SwitchStep | None:
    """
    Warn of what will be missed.

    Args:
        before: The served model name now, and *after* the next one's.

    Returns:
        A step that names the checks; ``None``: nothing is known to be worse.
    """
    path, began_s = state_dir / "probes.jsonl", time.monotonic()
    if before is None or not path.exists():
        return None
    from ..probe import last_probe  # it brings the client along

    passed = last_probe(path, base_url=base_url, model=before)
    found = last_probe(path, base_url=base_url, model=after)
    if passed is None or found is None:
        return None
    worse = [
        f"{id} {SAID[verdict]}"
        for id, verdict in found.verdicts.items()
        if verdict in SAID and passed.verdicts.get(id) is Verdict.PASS
    ]
    if not worse:
        return None
    seen = f"{', '.join(worse)} when {after} was last probed ({found.at:%Y-%m-%d}); {before} passed"
    took_s = time.monotonic() - began_s
    return SwitchStep(name="probed", verdict=Verdict.WARN, seen=seen, duration_s=took_s)
