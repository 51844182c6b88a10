"""
How many bytes a quantized matrix takes, by the scheme that its ``config.json`` names.

Linear layers are quantized; embeddings, norms and the output head stay as they
are unless the config says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from ..errors import PlanError

SCALE_BYTES = 2  # AWQ, GPTQ and compressed-tensors keep float16 or bfloat16


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """
    A scheme of weights.

    Args:
        bits: Of one weight.

        group: Weights along the input that share a scale; ``None``: a whole row does.

        zero_bits: Of a group's zero point; 0 for a symmetric scheme.

        scale_bytes: Of a group's scale.

        skipped: What the config excludes: parts of names with ``*`` for anything, or
            ``re:`` and a pattern.

        only: What alone is quantized, parts of names; empty: everything.
    """

    method: str
    bits: float
    group: int | None = None
    zero_bits: int = 0
    scale_bytes: float = SCALE_BYTES
    skipped: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def matrix_bytes(self, rows: int, columns: int) -> int:
        """Return the bytes of a matrix from *columns* inputs to *rows* outputs."""
        groups = rows * -(-columns // (self.group or columns))
        weights = rows * columns * self.bits / 8
        return round(weights + groups * (self.scale_bytes + self.zero_bits / 8))

    def skips(self, name: str) -> bool:
        """Whether the layer *name* is excluded."""
        if self.only and not any(mark in name for mark in self.only):
            return True
        return any(
            re.match(mark[3:], name) if mark.startswith("re:") else fnmatch(name, f"*{mark}*")
            for mark in self.skipped
        )


def read_quantization(config: Mapping[str, Any] | None) -> Quantization | None:
    """
    Read ``quantization_config``.

    Raises:
        PlanError: The scheme, or its bits, are not known.
    """
    if not config:
        return None
    method = str(config.get("quant_method", "")).lower()
    reader = _READERS.get(method)
    if reader is None:
        raise PlanError(
            f"How large weights of the scheme {method!r} are is not known here.",
            hint=f"Known are {', '.join(sorted(_READERS))}.",
            missing=f"bytes of a {method or 'nameless'} weight",
        )
    return reader(config)


def _of_groups(config: Mapping[str, Any]) -> Quantization:
    """Read AWQ and GPTQ: integers with a scale and a zero point for each group."""
    bits = int(config.get("bits") or config.get("w_bit") or 4)
    group = int(config.get("group_size") or config.get("q_group_size") or -1)
    # A symmetric GPTQ file has zero points too, all alike, and vLLM does not keep them.
    is_awq = config["quant_method"] == "awq"
    has_zeros = config.get("zero_point", True) if is_awq else not config.get("sym", True)
    only = config.get("modules_in_block_to_quantize") or ()
    return Quantization(
        method=str(config["quant_method"]),
        bits=bits,
        group=group if group > 0 else None,
        zero_bits=bits if has_zeros else 0,
        only=tuple(name for block in only for name in block),
        skipped=tuple(config.get("modules_to_not_convert") or ()),
    )


def _compressed_tensors(config: Mapping[str, Any]) -> Quantization:
    """
    Read the first of the groups: their weights are of one kind in nearly all models.

    Source: https://github.com/neuralmagic/compressed-tensors, ``QuantizationArgs``.
    """
    groups = config.get("config_groups") or {}
    weights = next((group.get("weights") for group in groups.values()), None) or {}
    if not weights.get("num_bits"):
        raise PlanError(
            "The compressed-tensors configuration does not say num_bits.",
            hint="Take the config.json that lies beside the model's weights.",
            missing="config_groups.*.weights.num_bits",
        )
    bits = int(weights["num_bits"])
    return Quantization(
        method="compressed-tensors",
        bits=bits,
        group=weights.get("group_size") if (weights.get("group_size") or 0) > 0 else None,
        zero_bits=0 if weights.get("symmetric", True) else bits,
        skipped=tuple(config.get("ignore") or ()),
    )


def _fp8(config: Mapping[str, Any]) -> Quantization:
    """Read eight-bit floats; a block of the weight has one float32 scale."""
    block = config.get("weight_block_size")
    return Quantization(
        method="fp8",
        bits=8,
        group=int(block[1]) if block else None,
        scale_bytes=4 / int(block[0]) if block else 4,
        skipped=tuple(config.get("modules_to_not_convert") or config.get("ignored_layers") or ()),
    )


def _mxfp4(config: Mapping[str, Any]) -> Quantization:
    """
    Read four-bit floats with an eight-bit exponent for every 32.

    Source: OCP Microscaling Formats (MX) Specification 1.0, table 1.
    """
    skipped = tuple(config.get("modules_to_not_convert") or ())
    return Quantization(method="mxfp4", bits=4, group=32, scale_bytes=1, skipped=skipped)


def _bitsandbytes(config: Mapping[str, Any]) -> Quantization:
    """Read blocks of 64 with a float32 maximum, or rows of eight bits."""
    skipped = tuple(config.get("llm_int8_skip_modules") or ())
    if config.get("load_in_8bit"):
        return Quantization(method="bitsandbytes", bits=8, scale_bytes=4, skipped=skipped)
    return Quantization(method="bitsandbytes", bits=4, group=64, scale_bytes=4, skipped=skipped)


_READERS = {
    "awq": _of_groups,
    "gptq": _of_groups,
    "compressed-tensors": _compressed_tensors,
    "fp8": _fp8,
    "mxfp4": _mxfp4,
    "bitsandbytes": _bitsandbytes,
}
