"""
Will a model fit on a card? The arithmetic, pure: no file, no GPU, no network.

``read_shape`` takes what matters from a ``config.json``; ``plan`` says what
each part takes, how many tokens of KV cache are left, and which flags to start
vLLM with.
"""

from __future__ import annotations

from .ask import Ask, Correction
from .cards import CARDS, WSL_7900XTX, Card, card_like, card_of, find_card
from .plan import Confidence, Model, Plan, plan
from .shape import ModelShape, read_shape

__all__ = [
    "CARDS",
    "WSL_7900XTX",
    "Ask",
    "Card",
    "Confidence",
    "Correction",
    "Model",
    "ModelShape",
    "Plan",
    "card_like",
    "card_of",
    "find_card",
    "plan",
    "read_shape",
]
