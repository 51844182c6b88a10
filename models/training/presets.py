"""
The two sizes: architecture and length of training.

``head_dim`` is 64 because vLLM's attention kernels take 64 and 128 everywhere.
Steps, not minutes, end a training: minutes would make another model on every
machine.
"""

from dataclasses import dataclass

SEED = 20261123
CONTEXT = 2048


@dataclass(frozen=True)
class Preset:
    """
    What one pocket model is made of, and how it is trained.
    """

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int
    steps: int
    max_bytes: int
    drills: int = 9000
    matrix_lr: float = 0.007
    other_lr: float = 0.003
    batch_tokens: int = 1024
    warmup_steps: int = 50
    weight_decay: float = 0.1


PRESETS = {
    "pocket": Preset(
        "pocket",
        hidden=256,
        layers=5,
        heads=4,
        kv_heads=2,
        intermediate=768,
        vocabulary=3072,
        steps=2200,
        max_bytes=12_000_000,
    ),
    "pocket-mini": Preset(
        "pocket-mini",
        hidden=192,
        layers=4,
        heads=3,
        kv_heads=1,
        intermediate=512,
        vocabulary=1536,
        steps=1900,
        max_bytes=4_000_000,
    ),
}
