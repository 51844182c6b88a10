"""
The values that cross borders between the parts.

Records are pure: frozen, comparable, made of the standard library. Where a
record is stored, drawn or sent is decided elsewhere. Unknown is ``None``,
never zero. Units are in the names: ``_s`` seconds, ``_bytes`` bytes.
"""

from __future__ import annotations

from .chat import (
    ChatMessage,
    Choice,
    Content,
    Embeddings,
    Failure,
    Generation,
    Image,
    Outcome,
    OutputFormat,
    Role,
    SamplingParams,
    Timings,
    TokenLogprob,
    Tokens,
    ToolCall,
    ToolRun,
    ToolStep,
    Usage,
)
from .checks import Check, Finding, Verdict
from .plain import fields_of
from .scrape import Histogram, Labels, Scrape, Value
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
from .switch import Quicker, SwitchPlan, SwitchReport, SwitchStep

__all__ = [
    "BootPhase",
    "ChatMessage",
    "Check",
    "Choice",
    "ContainerStatus",
    "Content",
    "Death",
    "Diagnosis",
    "Embeddings",
    "Failure",
    "Finding",
    "Generation",
    "GpuStatus",
    "Histogram",
    "Image",
    "Labels",
    "Outcome",
    "OutputFormat",
    "Progress",
    "Quicker",
    "Role",
    "SamplingParams",
    "Scrape",
    "ServedModel",
    "ServerState",
    "ServerStatus",
    "SwitchPlan",
    "SwitchReport",
    "SwitchStep",
    "Timings",
    "TokenLogprob",
    "Tokens",
    "ToolCall",
    "ToolRun",
    "ToolStep",
    "Usage",
    "Value",
    "Verdict",
    "fields_of",
]
