"""
Graphics cards: the memory that programs are shown, and how fast it is read.

What is printed on the box is more than what CUDA or HIP report, and vLLM's
share is taken of what they report. Under WSL a part of that is never free.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace

from ..errors import ConfigError

MIB = 2**20
GIB = 2**30

LARGE_CARD_BYTES = 70 * GIB
"""From here up vLLM takes larger batches (get_batch_defaults, vllm/engine/arg_utils.py, 0.25.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """
    A card as vLLM sees it.

    Args:
        total_bytes: What CUDA or HIP report.

        free_bytes: What is free at most, where a part never is; else ``None``.

        bandwidth_bytes_s: Of its memory, from the data sheet; ``None``: not known.

        maker: ``amd``, ``nvidia``, or ``None`` where only its memory is known.

        source: Where *total_bytes* was read.

        assumed: Nobody named it, and it could not be asked.
    """

    name: str
    total_bytes: int
    free_bytes: int | None = None
    bandwidth_bytes_s: float | None = None
    maker: str | None = None
    source: str = ""
    assumed: bool = False

    @property
    def is_hopper(self) -> bool:
        """Whether vLLM takes its kernels for compute capability 9.0."""
        return self.name in ("h100", "h200", "gh200")

    @property
    def batch_defaults(self) -> tuple[int, int]:
        """
        Return vLLM's ``max_num_batched_tokens`` and ``max_num_seqs`` if nothing is set.

        A card without a name gets the larger pair: they take more memory, so that
        a plan that fits is one that fits with the smaller pair too.
        """
        if self.maker is None:
            return 8192, 1024
        large = self.total_bytes >= LARGE_CARD_BYTES and "a100" not in self.name.lower()
        return (8192, 1024) if large else (2048, 256)


def _card(maker: str, name: str, total_mib: float, gb_s: float, source: str) -> Card:
    return Card(
        name=name,
        total_bytes=round(total_mib * MIB),
        bandwidth_bytes_s=gb_s * 1e9,
        maker=maker,
        source=source,
    )


_PUBLIC = "https://github.com/"
_NOMINAL = "the size on the box, less the 16 MiB that a 7900 XTX lacks; not seen as HIP reports it"
_MESSAGES = "PyTorch's out-of-memory messages, in many public logs"

WSL_7900XTX = replace(
    _card("amd", "7900xtx-wsl", 24517, 960, _PUBLIC + "ROCm/librocdxg/issues/57"),
    free_bytes=21615 * MIB,
)
"""Under WSL HIP has 24,517 MiB, of which 21,615 to 21,974 are free; the lower is taken."""

# Bandwidth is bus width × data rate of the makers' data sheets: 384 bit × 20 Gbit/s = 960 GB/s.
CARDS = {
    card.name: card
    for card in (
        WSL_7900XTX,
        _card("amd", "7900xtx", 24560, 960, _PUBLIC + "ilya-zlobintsev/LACT/pull/533"),
        _card("amd", "7900xt", 20464, 800, _PUBLIC + "lemonade-sdk/llamacpp-rocm/issues/31"),
        _card("amd", "7900gre", 16368, 576, _NOMINAL),
        _card("amd", "7800xt", 16368, 624, _NOMINAL),
        _card("amd", "w7900", 49136, 864, _NOMINAL),
        _card("amd", "w7800", 32752, 576, _NOMINAL),
        _card("amd", "9070xt", 16368, 640, _NOMINAL),
        _card("amd", "r9700", 32752, 640, _NOMINAL),
        _card("amd", "mi300x", 196592, 5300, _NOMINAL),
        _card("nvidia", "rtx3090", 23.70 * 1024, 936, _PUBLIC + "GaoLii/DSP/issues/10"),
        _card("nvidia", "rtx4090", 23.64 * 1024, 1008, _PUBLIC + "ali-vilab/VGen/issues/104"),
        _card("nvidia", "rtx5090", 31.36 * 1024, 1792, _MESSAGES),
        _card("nvidia", "a100-80gb", 79.25 * 1024, 2039, _MESSAGES),
        _card("nvidia", "h100", 79.18 * 1024, 3350, _MESSAGES),
        _card("nvidia", "h200", 139.8 * 1024, 4800, "tests/data/vram/measured-h200.json"),
    )
}


_MAKERS_WORDS = re.compile(r"\b(amd|nvidia|geforce|radeon|ai|pro|rx)\b|rx(?=\d)|\(tm\)")


def find_card(name: str) -> Card:
    """
    Find a card by a name as people write it: ``RX 7900 XTX`` is ``7900xtx``.

    Raises:
        ConfigError: It is not in the table.
    """
    wanted, plain = _plain(name), _by_plain_name()
    for candidate in (wanted, f"rtx{wanted}", f"{wanted}80gb"):
        if candidate in plain:
            return plain[candidate]
    close = difflib.get_close_matches(wanted, plain, n=1)
    meant = f"Did you mean {plain[close[0]].name}? " if close else ""
    raise ConfigError(
        f"There is no card {name!r} in the table. In it are: {', '.join(CARDS)}.",
        hint=f"{meant}Any other card by its memory in GiB: --vram 16",
        key="gpu",
        source=name,
    )


def card_like(name: str, total_bytes: int) -> Card:
    """Describe a card by what a driver says of it; the table adds the rest if it knows it."""
    plain = _plain(name)
    # A laptop's has the name of a card with another chip.
    known_names = {} if "laptop" in plain else _by_plain_name()
    fitting = [known for key, known in known_names.items() if key in plain]
    if not fitting:
        maker = "amd" if "amd" in name.lower() else "nvidia"
        return Card(name=name, total_bytes=total_bytes, maker=maker, source="the driver")
    # "7900xt" is in "7900xtx" too.
    known = max(fitting, key=lambda card: len(card.name))
    return replace(known, total_bytes=total_bytes, source="the driver")


def _plain(name: str) -> str:
    return "".join(re.findall(r"[a-z0-9]+", _MAKERS_WORDS.sub("", name.lower())))


def _by_plain_name() -> dict[str, Card]:
    return {name.replace("-", ""): card for name, card in CARDS.items()}


def card_of(total_gib: float) -> Card:
    """
    Describe a card by its memory alone.

    One that has the memory of an H200 within 1 % is taken for one.

    Raises:
        ConfigError: That is no amount of memory.
    """
    if not 0 < total_gib < 10_000:
        raise ConfigError(
            f"A card has more than 0 GiB of memory, and not {total_gib:g}.",
            hint="Write what the driver reports in GiB: --vram 24",
            key="vram",
            source=str(total_gib),
        )
    total = round(total_gib * GIB)
    for card in (CARDS["h200"], CARDS["h100"]):
        if abs(total - card.total_bytes) < card.total_bytes / 100:
            return replace(card, total_bytes=total)
    return Card(name=f"{total_gib:g} GiB", total_bytes=total, source="as given")
