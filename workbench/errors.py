"""
The words for what can go wrong.

::

    WorkbenchError                       .hint: the next thing to try
    ├── ConfigError                      a setting is missing or wrong; .key, .source
    │   └── MissingDependencyError       .package and the line that installs it
    ├── ServerError                      .server, .state, .log_tail, .diagnosis
    │   ├── BackendUnavailableError      what the backend needs is not on this machine
    │   ├── EngineInstallError           the embedded engine could not be installed
    │   ├── ServerStartError             ended before it was ready; .exit_code
    │   ├── ServerTimeoutError           also a TimeoutError; .waited_s
    │   ├── BootInterruptedError         waiting was stopped, and the boot goes on
    │   └── ServerStateError             the verb makes no sense in this state
    ├── SwitchError                      another model was not switched to; .report
    ├── ClientError                      .base_url, .request_id, .partial
    │   ├── ServerUnreachableError       connection refused, name not found, TLS
    │   ├── RequestTimeoutError          also a TimeoutError; .phase
    │   ├── RequestRejectedError         4xx; .status_code, .body
    │   │   ├── AuthenticationError      401 and 403: the key is missing or wrong
    │   │   ├── ModelNotServedError      .requested, .served
    │   │   ├── ContextLengthError       .input_tokens, .max_model_len
    │   │   └── RateLimitedError         .retry_after_s
    │   ├── ServerFailureError           5xx, or an answer that is not what the API promises
    │   ├── StreamInterruptedError       .partial: what arrived before it broke
    │   ├── OutputFormatError            the answer is not of the form asked for; .partial has it
    │   └── ToolLoopError                the model went on calling tools; .partial, .steps
    ├── FetchError                       a model could not be fetched; .repo
    │   ├── GatedModelError              its licence is not accepted, or no token; .page
    │   ├── HubTokenError                the hub does not take the token
    │   ├── ModelNotFoundError           no such model, or revision; .revision, .close
    │   ├── HubUnreachableError          no answer, or none but 429 and 5xx; .endpoint
    │   ├── HubOfflineError              it is not here, and the hub is not to be asked
    │   ├── NotEnoughDiskError           .needed_bytes, .free_bytes
    │   ├── FolderRefusedError           not a place for this model's files; .path
    │   ├── DamagedFileError             came twice with another checksum; .file
    │   └── FetchInterruptedError        stopped, and what came is kept; .done_bytes
    ├── AnswerInterruptedError           the reader stopped an answer; .generation
    ├── TelemetryError
    │   ├── StoreError                   .path
    │   └── SinkError                    .sink, .done, .rejected, .retry_after_s, .permanent
    ├── NotebookError                    a notebook stopped at a cell; .notebook, .cell, .ename
    ├── PlanError                        memory that cannot be worked out; .missing
    ├── UnsupportedArgumentError         a server has nothing like it; .argument
    └── TypeScriptError                  a program did not end well; .exit_code, .stderr

A message says what failed and with which facts; the hint says what to do
next. Both are one string each, so that a terminal, a notebook and a log can
lay them out in their own way. Wrong arguments of a verb are the skin's usage
errors; a programmer's mistake is a ``TypeError`` or ``ValueError``.
"""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from .records import Diagnosis, Generation, SwitchReport, ToolStep

__all__ = [
    "AnswerInterruptedError",
    "AuthenticationError",
    "BackendUnavailableError",
    "BootInterruptedError",
    "ClientError",
    "ConfigError",
    "ContextLengthError",
    "DamagedFileError",
    "EngineInstallError",
    "FetchError",
    "FetchInterruptedError",
    "FolderRefusedError",
    "GatedModelError",
    "HubOfflineError",
    "HubTokenError",
    "HubUnreachableError",
    "MissingDependencyError",
    "ModelNotFoundError",
    "ModelNotServedError",
    "NotEnoughDiskError",
    "NotebookError",
    "OutputFormatError",
    "PlanError",
    "RateLimitedError",
    "RequestRejectedError",
    "RequestTimeoutError",
    "ServerError",
    "ServerFailureError",
    "ServerStartError",
    "ServerStateError",
    "ServerTimeoutError",
    "ServerUnreachableError",
    "SinkError",
    "StoreError",
    "StreamInterruptedError",
    "SwitchError",
    "TelemetryError",
    "ToolLoopError",
    "TypeScriptError",
    "UnsupportedArgumentError",
    "WorkbenchError",
]

DEBUG_VARIABLE = "WORKBENCH_DEBUG"


class WorkbenchError(Exception):
    """
    The root of everything the workbench raises on purpose.

    Args:
        message: What failed, with its facts.

        hint: The next thing to try, or ``None`` when nothing is known.

        facts: Further attributes, set on the exception under their own names.
    """

    def __init__(self, message: str, *, hint: str | None = None, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        for name, value in facts.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception.__reduce__ would call the class with the message alone and
        # lose the facts when an error crosses a process border.
        return _rebuild, (type(self), dict(self.__dict__))

    def _render_traceback_(self) -> list[str]:
        """
        Show two lines instead of a stack in a notebook (IPython's own hook).

        With ``WORKBENCH_DEBUG`` set, the whole traceback comes back, causes
        included; IPython sends ``%tb`` through here as well.
        """
        if os.environ.get(DEBUG_VARIABLE):
            return traceback.format_exception(self)
        return [f"{type(self).__name__}: {self.message}", *([self.hint] if self.hint else [])]


def _rebuild(kind: type[WorkbenchError], facts: dict[str, Any]) -> WorkbenchError:
    facts = dict(facts)
    return kind(facts.pop("message"), **facts)


class ConfigError(WorkbenchError):
    """A setting is missing or wrong."""

    key: str
    source: str


class MissingDependencyError(ConfigError):
    """An optional package is needed here and is not installed."""

    package: str


class ServerError(WorkbenchError):
    """A server could not do what a verb asked of it."""

    server: str
    state: str
    log_tail: tuple[str, ...] = ()
    diagnosis: Diagnosis | None = None


class BackendUnavailableError(ServerError):
    """What the backend needs is not on this machine."""


class EngineInstallError(ServerError):
    """The embedded engine could not be installed."""


class ServerStartError(ServerError):
    """The server exited, or was refused, before it was ready."""

    exit_code: int | None = None


class BootInterruptedError(ServerError):
    """Whoever waited for a boot was interrupted; the boot goes on without."""


class ServerTimeoutError(ServerError, TimeoutError):
    """The server did not reach a state in the time it was given."""

    waited_s: float


class ServerStateError(ServerError):
    """The verb makes no sense in the state the server is in."""


class SwitchError(WorkbenchError):
    """Another model was not switched to; the report says whether the one before serves."""

    report: SwitchReport


class ClientError(WorkbenchError):
    """A request did not bring what it asked for."""

    base_url: str | None = None
    request_id: str | None = None
    partial: Generation | None = None


class ServerUnreachableError(ClientError):
    """Nothing answers at the base URL."""


class RequestTimeoutError(ClientError, TimeoutError):
    """The server was too slow in one phase of a request."""

    phase: Literal["connect", "first_token", "stream"]


class RequestRejectedError(ClientError):
    """The server understood the request and refused it (4xx)."""

    status_code: int
    body: object = None


class AuthenticationError(RequestRejectedError):
    """The API key is missing or wrong."""


class ModelNotServedError(RequestRejectedError):
    """The request names a model that this server does not serve."""

    requested: str
    served: tuple[str, ...] = ()


class ContextLengthError(RequestRejectedError):
    """Prompt and answer together do not fit into the model's context."""

    input_tokens: int | None = None
    max_model_len: int | None = None


class RateLimitedError(RequestRejectedError):
    """The server asks to come back later (429)."""

    retry_after_s: float | None = None


class ServerFailureError(ClientError):
    """The server failed (5xx), or answered something the API does not allow."""

    status_code: int | None = None
    body: object = None
    retry_after_s: float | None = None


class StreamInterruptedError(ClientError):
    """The stream ended before the server said it was complete."""

    partial: Generation


class OutputFormatError(ClientError):
    """A whole answer came, and is not of the form that was asked for."""

    partial: Generation


class ToolLoopError(ClientError):
    """The model went on asking for tools until the bound was reached."""

    partial: Generation
    steps: tuple[ToolStep, ...] = ()


class FetchError(WorkbenchError):
    """A model could not be fetched from the hub."""

    repo: str


class GatedModelError(FetchError):
    """The model's licence is to be accepted first, or the token is missing."""

    page: str


class HubTokenError(FetchError):
    """The hub does not take the token."""


class ModelNotFoundError(FetchError):
    """The hub has no such model, or not this revision of it."""

    revision: str | None = None
    close: tuple[str, ...] = ()


class HubUnreachableError(FetchError):
    """The hub does not answer, or asks to come back later (429, 5xx)."""

    endpoint: str
    status_code: int | None = None
    retry_after_s: float | None = None


class HubOfflineError(FetchError):
    """Something is missing here, and the settings forbid to ask the hub."""


class NotEnoughDiskError(FetchError):
    """What is to come does not fit on the disk."""

    needed_bytes: int
    free_bytes: int


class FolderRefusedError(FetchError):
    """The folder is no place for this model's files."""

    path: Path


class DamagedFileError(FetchError):
    """A file came twice with another checksum than the hub's."""

    file: str


class FetchInterruptedError(FetchError):
    """Whoever waited for a fetch stopped it; what came is kept."""

    done_bytes: int
    total_bytes: int


class AnswerInterruptedError(WorkbenchError):
    """The reader stopped an answer; what had arrived is kept."""

    generation: Generation


class TelemetryError(WorkbenchError):
    """Telemetry could not be read. (Writing it never raises into a caller.)"""


class StoreError(TelemetryError):
    """The telemetry file cannot be used."""

    path: Path


class SinkError(TelemetryError):
    """
    A sink did not accept all records that it was sent.

    ``done``: so many of the first ones are done with, and not sent again. Of them it
    took all but ``num_rejected``, which it never will take; ``rejected`` has their ids
    where they are known. With ``permanent`` nothing will be accepted before somebody
    corrects a key or an address.
    """

    sink: str
    done: int = 0
    rejected: tuple[str, ...] = ()
    num_rejected: int = 0
    retry_after_s: float | None = None
    permanent: bool = False


class NotebookError(WorkbenchError):
    """A notebook that was run headless stopped at a cell."""

    notebook: Path
    cell: int | None
    ename: str | None


class PlanError(WorkbenchError):
    """What a model needs cannot be worked out, because a fact is missing."""

    missing: str


class UnsupportedArgumentError(WorkbenchError):
    """Something of another library's interface that no server has; the hint says what to do."""

    argument: str


class TypeScriptError(WorkbenchError):
    """A TypeScript program failed, or was interrupted before its end."""

    exit_code: int | None = None
    stderr: tuple[str, ...] = ()
