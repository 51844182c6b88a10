"""
What was predicted for each boot, and what its log then said: ``predictions.jsonl``.

The difference corrects the next plan for the same card and version of vLLM.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from .vram import Correction

logger = logging.getLogger(__name__)

LEARN_FROM = 5
"""The latest boots that a correction is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The four numbers that a plan and a log both have; ``None`` where one does not say."""

    weights_bytes: int | None = None
    overhead_bytes: int | None = None
    kv_cache_bytes: int | None = None
    kv_cache_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """
    One boot.

    Args:
        version: vLLM's.

        predicted: ``None`` if no plan could be made.

        formula_overhead_bytes: The overhead before it was corrected by earlier boots.

        graphs_bytes: What the captured graphs took.
    """

    at: str
    gpu: str
    version: str | None
    model: str
    flags: tuple[str, ...]
    predicted: Sizes | None
    measured: Sizes
    formula_overhead_bytes: int | None = None
    graphs_bytes: int | None = None

    @property
    def error_percent(self) -> float | None:
        """By how much the predicted tokens of KV cache were off."""
        told = self.predicted and self.predicted.kv_cache_tokens
        was = self.measured.kv_cache_tokens
        return 100 * (told / was - 1) if told and was else None


def now() -> str:
    """Write the moment as it stands in the file."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def keep(prediction: Prediction, path: Path) -> None:
    """Append it; a disk that is full costs the next plan's correction, and not the boot."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as handle:
            handle.write(json.dumps(asdict(prediction)) + "\n")
    except OSError as exc:
        logger.warning("What this boot said of its memory could not be kept: %s", exc)


def read(path: Path) -> list[Prediction]:
    """Read all, oldest first; torn lines and those of other forms are passed over."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as exc:
        logger.warning("Earlier boots do not correct this plan: %s", exc)
        return []
    return [found for line in lines if (found := _read(line))]


def _read(line: str) -> Prediction | None:
    try:
        fields = json.loads(line)
        told = fields["predicted"]
        return Prediction(
            **fields
            | {
                "flags": tuple(fields["flags"]),
                "predicted": None if told is None else Sizes(**told),
                "measured": Sizes(**fields["measured"]),
            }
        )
    except (ValueError, KeyError, TypeError):
        return None


def latest_version(history: list[Prediction], *, gpu: str) -> str | None:
    """Name the vLLM that ran on *gpu* last; ``None``: none did, or it did not say."""
    return next((boot.version for boot in reversed(history) if boot.gpu == gpu), None)


def correction(
    history: list[Prediction], *, gpu: str, version: str | None, model: str
) -> Correction | None:
    """
    Learn from the latest boots on *gpu* with this version; ``None`` where there are none.

    The median of what they needed beyond the formula, and this model's own weights.
    """
    alike = [boot for boot in history if (boot.gpu, boot.version) == (gpu, version)]
    beyond = [
        boot.measured.overhead_bytes - boot.formula_overhead_bytes
        for boot in alike
        if boot.measured.overhead_bytes is not None and boot.formula_overhead_bytes is not None
    ][-LEARN_FROM:]
    if not beyond:
        return None
    own = [boot.measured.weights_bytes for boot in alike if boot.model == model]
    return Correction(
        overhead_bytes=round(median(beyond)),
        boots=len(beyond),
        weights_bytes=own[-1] if own else None,
    )
