"""
The border to OpenAI's SDK: nothing of it gets through, and it is crossed late.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from functools import cache

import httpx2
import openai
import pytest

from workbench import errors
from workbench.client.openai_adapter import OpenAIBackend

# Mistakes in the code that calls the SDK, or raised by parts of it that the
# adapter does not use.
NOT_ANSWERS = {
    "APIRemovedInV1",
    "MutuallyExclusiveAuthError",
    "StreamAlreadyConsumed",
    "_AmbiguousModuleClientUsageError",
    "ContentFilterFinishReasonError",  # .parse()
    "LengthFinishReasonError",  # .parse()
    "OpenAIError",  # the root; the constructor raises it without a key
    "SubjectTokenProviderError",  # workload identity
    "WebSocketConnectionClosedError",  # realtime
    "WebSocketQueueFullError",  # realtime
}


def every_subclass(root: type[Exception]) -> list[type[Exception]]:
    found = [root]
    for kind in root.__subclasses__():
        found += every_subclass(kind)
    return sorted(set(found), key=lambda kind: kind.__name__)


@cache
def backend() -> OpenAIBackend:
    return OpenAIBackend("http://x/v1", api_key="sk-secret", connect_s=5)


def an_instance(kind: type[Exception]) -> Exception:
    """Make an SDK exception without knowing its arguments by heart."""
    request = httpx2.Request("POST", "http://x/v1/chat/completions")
    response = httpx2.Response(400, request=request, text="{}")
    offered = {"request": request, "response": response, "body": None, "message": "no"}
    wanted = inspect.signature(kind).parameters
    made = kind(**{name: value for name, value in offered.items() if name in wanted})
    if isinstance(made, openai.APIStatusError):
        made.status_code = 400
    return made


@pytest.mark.parametrize(
    "kind",
    [kind for kind in every_subclass(openai.OpenAIError) if kind.__name__ not in NOT_ANSWERS],
)
def test_every_sdk_exception_is_translated(kind: type[Exception]) -> None:
    """
    A new exception class in a new SDK fails here and not in front of a user.
    """
    translated = backend().translate(an_instance(kind))

    assert isinstance(translated, errors.ClientError)


@pytest.mark.parametrize("kind", every_subclass(httpx2.RequestError))
@pytest.mark.parametrize("streaming", [False, True])
def test_every_transport_exception_is_translated(kind: type[Exception], streaming: bool) -> None:
    """
    While a body is read, the SDK lets its transport's exceptions through.
    """
    translated = backend().translate(kind("broken"), streaming=streaming)

    assert isinstance(translated, errors.ClientError)
    assert isinstance(translated, errors.StreamInterruptedError) is streaming


def test_a_mistake_in_the_code_stays_what_it_is() -> None:
    """
    A KeyError is nobody's network.
    """
    assert backend().translate(KeyError("x")) is None


def test_the_sdk_is_imported_with_the_first_request() -> None:
    """
    `import workbench.client`, and even making a client, cost no SDK.
    """
    code = (
        "import sys; from workbench.client import Client; Client();"
        "print(sorted({'openai', 'httpx2', 'pydantic', 'anyio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
