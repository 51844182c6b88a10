"""
The values that cross borders between the parts.

Records are pure: frozen, comparable, made of the standard library. Where a
record is stored, drawn or sent is decided elsewhere. Unknown is ``None``,
never zero. Units are in the names: ``_s`` seconds, ``_bytes`` bytes.
"""

from __future__ import annotations

from .chat import (
    ChatMessage,
    Failure,
    Generation,
    Outcome,
    Role,
    SamplingParams,
    Timings,
    ToolCall,
    Usage,
)
from .checks import Finding, Verdict
from .server import (
    BootPhase,
    ContainerStatus,
    Death,
    Diagnosis,
    GpuStatus,
    Progress,
    ServedModel,
    ServerState,
    ServerStatus,
)

__all__ = [
    "BootPhase",
    "ChatMessage",
    "ContainerStatus",
    "Death",
    "Diagnosis",
    "Failure",
    "Finding",
    "Generation",
    "GpuStatus",
    "Outcome",
    "Progress",
    "Role",
    "SamplingParams",
    "ServedModel",
    "ServerState",
    "ServerStatus",
    "Timings",
    "ToolCall",
    "Usage",
    "Verdict",
]
