"""
Models from a Hugging Face hub: what they are, and how they come into ``models/``.
"""

from __future__ import annotations

from .facts import HubFile, ModelFacts, facts
from .fetch import fetch
from .record import Fetched, StoredFile
from .record import read as fetched_in

__all__ = ["Fetched", "HubFile", "ModelFacts", "StoredFile", "facts", "fetch", "fetched_in"]
