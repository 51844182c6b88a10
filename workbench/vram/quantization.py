"""
How many bytes a quantized matrix takes, by the scheme that its ``config.json`` names.

Linear layers are quantized; embeddings, norms and the output head stay as they
are unless the config says otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch

from ..errors import PlanError
from .values import Config, names, size, table

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


def read_quantization(config: Config) -> Quantization | None:
    """
    Read ``quantization_config``.

    Raises:
        PlanError: The scheme, or its bits, are not known.
    """
    if not config:
        return None
    method = _method(config)
    reader = _READERS.get(method)
    if reader is None:
        raise PlanError(
            f"How large weights of the scheme {method!r} are is not known here.",
            hint=f"Known are {', '.join(sorted(_READERS))}.",
            missing=f"bytes of a {method or 'nameless'} weight",
        )
    return reader(config)


def _method(config: Config) -> str:
    return str(config.get("quant_method") or "").lower()


def _of_groups(config: Config) -> Quantization:
    """Read AWQ and GPTQ: integers with a scale and a zero point for each group."""
    bits = _bits(config, "bits" if config.get("bits") else "w_bit", 4)
    # A symmetric GPTQ file has zero points too, all alike, and vLLM does not keep them.
    method = _method(config)
    has_zeros = config.get("zero_point", True) if method == "awq" else not config.get("sym", True)
    return Quantization(
        method=method,
        bits=bits,
        group=_group(config, "group_size" if config.get("group_size") else "q_group_size"),
        zero_bits=bits if has_zeros else 0,
        only=_flat_names(config, "modules_in_block_to_quantize"),
        skipped=names(config, "modules_to_not_convert"),
    )


def _compressed_tensors(config: Config) -> Quantization:
    """
    Read the first of the groups: their weights are of one kind in nearly all models.

    Source: https://github.com/neuralmagic/compressed-tensors, ``QuantizationArgs``.
    """
    groups = table(config, "config_groups")
    weights = table(table(groups, next(iter(groups), "")), "weights")
    if not weights.get("num_bits"):
        raise PlanError(
            "The compressed-tensors configuration does not say num_bits.",
            hint="Take the config.json that lies beside the model's weights.",
            missing="config_groups.*.weights.num_bits",
        )
    bits = _bits(weights, "num_bits", 4)
    return Quantization(
        method="compressed-tensors",
        bits=bits,
        group=_group(weights, "group_size"),
        zero_bits=0 if weights.get("symmetric", True) else bits,
        skipped=_patterns(config, "ignore"),
    )


def _fp8(config: Config) -> Quantization:
    """Read eight-bit floats; a block of the weight has one float32 scale."""
    rows, columns = _block(config)
    skipped = names(config, "modules_to_not_convert") or names(config, "ignored_layers")
    return Quantization(method="fp8", bits=8, group=columns, scale_bytes=4 / rows, skipped=skipped)


def _block(config: Config) -> tuple[int, int | None]:
    """Read rows and columns of a block; without one each row has a scale."""
    block = config.get("weight_block_size")
    if block is None:
        return 1, None
    sides = dict(enumerate(block)) if isinstance(block, list) else {}
    said = {f"weight_block_size[{at}]": side for at, side in sides.items()}
    return size(said, "weight_block_size[0]"), size(said, "weight_block_size[1]")


def _mxfp4(config: Config) -> Quantization:
    """
    Read four-bit floats with an eight-bit exponent for every 32.

    Source: OCP Microscaling Formats (MX) Specification 1.0, table 1.
    """
    skipped = names(config, "modules_to_not_convert")
    return Quantization(method="mxfp4", bits=4, group=32, scale_bytes=1, skipped=skipped)


def _bitsandbytes(config: Config) -> Quantization:
    """Read blocks of 64 with a float32 maximum, or rows of eight bits."""
    skipped = names(config, "llm_int8_skip_modules")
    if config.get("load_in_8bit"):
        return Quantization(method="bitsandbytes", bits=8, scale_bytes=4, skipped=skipped)
    return Quantization(method="bitsandbytes", bits=4, group=64, scale_bytes=4, skipped=skipped)


def _bits(config: Config, name: str, otherwise: int) -> int:
    return size(config, name, at_most=64) if config.get(name) else otherwise


def _group(config: Config, name: str) -> int | None:
    """Read how many weights share a scale; -1 stands for a whole row."""
    return None if config.get(name) in (None, 0, -1) else size(config, name)


def _flat_names(config: Config, name: str) -> tuple[str, ...]:
    """Read names in blocks, as GPTQ has them: a list of lists, or one list."""
    blocks = config.get(name)
    if not isinstance(blocks, list) or not all(isinstance(block, list) for block in blocks):
        return names(config, name)
    return names({name: [each for block in blocks for each in block]}, name)


def _patterns(config: Config, name: str) -> tuple[str, ...]:
    """
    Read names of which some are regular expressions.

    Raises:
        PlanError: One is none that can be understood.
    """
    found = names(config, name)
    for mark in found:
        try:
            re.compile(mark.removeprefix("re:") if mark.startswith("re:") else "")
        except re.error as exc:
            raise PlanError(
                f"The configuration's {name} has {mark!r}, which is no pattern: {exc}.",
                hint="Take the config.json that lies beside the model's weights.",
                missing=name,
            ) from exc
    return found


_READERS = {
    "awq": _of_groups,
    "gptq": _of_groups,
    "compressed-tensors": _compressed_tensors,
    "fp8": _fp8,
    "mxfp4": _mxfp4,
    "bitsandbytes": _bitsandbytes,
}
