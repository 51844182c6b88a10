"""
What every server is to the rest: something that may run, answers, and has a log.

A *healthy* server answers ``/health``. A *ready* one lists the served model
and has decoded a token; the first half is seen here, the second is tried once
at the end of a boot (``workbench.boot``), because a status must not cost a
decode.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias

from ..records import Death, Progress, ServedModel, ServerStatus
from ..urls import is_loopback

PROBE_TIMEOUT_S = 2.0
"""A healthy vLLM answers /health in a millisecond; a busy one in tens."""

DECODE_TIMEOUT_S = 120.0
"""The first token of a fresh GPU server compiles kernels, which can take a minute."""

HINT_ANOTHER_RUNS = (
    "Change over with `workbench use MODEL`, or `workbench restart` and the same options, or "
    "stop it: workbench down"
)

Recipe: TypeAlias = dict[str, Any]
"""What runs and how, as JSON: enough to start its like again, and without a secret."""


class Server(Protocol):
    """
    One place where a vLLM runs, or could.

    Every method can be called in every state.
    """

    @property
    def backend(self) -> str:
        """The name people choose it by."""
        ...

    @property
    def outlasts_waiting(self) -> bool:
        """Whether a boot goes on when who waits for it is interrupted: a container's does."""
        ...

    @property
    def base_url(self) -> str:
        """With ``/v1``, as OpenAI SDKs want it."""
        ...

    @property
    def api_key(self) -> str | None:
        """The key it asks for. Never print it."""
        ...

    @property
    def kind(self) -> str:
        """What makes two boots comparable: backend, version, model."""
        ...

    @property
    def instance(self) -> object | None:
        """
        Tell this start of it from every other one, by equality.

        Who started a server may stop it; if it was started anew by somebody
        else meanwhile, it is another one. ``None`` when nothing is started
        here.
        """
        ...

    def status(self) -> ServerStatus:
        """
        Look at it now.

        Never raises because of the server. Takes at most a probe's time-out
        when the port accepts and then says nothing.
        """
        ...

    def prepare(self, on_progress: Callable[[Progress], None]) -> None:
        """
        Check and fetch what a start needs, before anything that runs is touched.

        Raises:
            WorkbenchError: It cannot be had; nothing has changed.
        """
        ...

    def start(self) -> bool:
        """
        Begin a boot, and return at once, before it is healthy.

        stopped, failed → starts a new process · starting, ready → nothing.

        Returns:
            Whether this call started it. ``False``: it was running already,
            and who calls should not stop it when done.

        Raises:
            ServerError: It cannot be started; nothing is left running.
        """
        ...

    def is_as_asked(self) -> bool:
        """Whether one runs, and is the one that the settings mean; then nothing has to be done."""
        ...

    def would_run(self) -> tuple[str, ...]:
        """
        Write the command line that :meth:`replace` would run, as words; nothing is started.

        Raises:
            WorkbenchError: It cannot be known: no such model, a file that is wrong.
        """
        ...

    def recipe(self) -> Recipe | None:
        """
        Say what runs, for :meth:`replace` of a later object, in this process or another.

        ``None``: nothing runs, or it is not ours to start.
        """
        ...

    def replace(self, recipe: Recipe | None = None) -> bool:
        """
        End what runs, if anything does, and begin a boot in its place.

        Args:
            recipe: What to start, whatever the settings say; ``None``: what they say.

        Returns:
            ``True``: this call started it.

        Raises:
            ServerError: It cannot be started; nothing is left running.
        """
        ...

    def stop(self) -> bool:
        """
        End every process of it, and return when they are gone.

        stopped → nothing. Orphans of a server whose parent was killed count
        as running. A remote server is never stopped.

        Returns:
            Whether there was anything to stop.
        """
        ...

    def give_up(self) -> None:
        """End a boot that failed, and leave what explains it: nothing runs afterwards."""
        ...

    def death(self) -> Death | None:
        """Say how it ended; ``None`` while it runs or when nobody was told."""
        ...

    def downloaded(self) -> Progress | None:
        """Say how much of a model has been fetched during this boot; ``None``: nothing to fetch."""
        ...

    def log(self, *, follow: bool = False) -> Iterator[str]:
        """
        Yield the log's lines from the last start, oldest first, without newlines.

        With *follow* it goes on, yielding an empty string every tenth of a
        second when nothing was written, so that whoever reads can look at the
        clock; it ends when the server has ended.
        """
        ...


class Answer:
    """A small HTTP answer: the status (0: nobody answered), and the body, as JSON if it is that."""

    __slots__ = ("body", "error", "status")

    def __init__(self, status: int, body: bytes = b"", error: str | None = None) -> None:
        self.status = status
        self.body = body
        self.error = error

    @property
    def json(self) -> object:
        """The body as JSON; ``None`` where it is something else."""
        return _json(self.body)


def ask(
    url: str,
    *,
    api_key: str | None = None,
    body: object = None,
    timeout_s: float = PROBE_TIMEOUT_S,
) -> Answer:
    """
    Ask one small question of a server; the network's failures are an answer.

    With a *body* it is POSTed as JSON, otherwise it is a GET.

    The standard library does it in a tenth of the time that importing the SDK
    takes, and ``status`` has 0.3 s for everything. A proxy from the
    environment is used for other hosts, never for this one.
    """
    # Here, because a server that is not running is not asked: half of a status.
    import http.client
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    if api_key:
        request.add_header("Authorization", f"Bearer {api_key}")
    direct = (urllib.request.ProxyHandler({}),) if is_loopback(url) else ()
    opener = urllib.request.build_opener(*direct)
    try:
        with opener.open(request, timeout=timeout_s) as response:
            return Answer(response.status, response.read())
    except urllib.error.HTTPError as exc:
        with exc:
            return Answer(exc.code, exc.read())
    except (OSError, http.client.HTTPException, ValueError) as exc:
        # A header that cannot be sent is quoted in the message, key and all.
        said = str(exc) or type(exc).__name__
        return Answer(0, error=said.replace(api_key, "…") if api_key else said)


def decode_one(base_url: str, *, api_key: str | None, model: str) -> Answer:
    """
    Have the server decode one token: the last thing that tells a ready one from a healthy one.

    Not by the client: this is the workbench's own question and nobody's
    request, and importing an SDK would delay every start.
    """
    body = {"model": model, "prompt": "Hello", "max_tokens": 1, "temperature": 0}
    url = f"{base_url}/completions"
    return ask(url, api_key=api_key, body=body, timeout_s=DECODE_TIMEOUT_S)


def answer_a_word(base_url: str, *, api_key: str | None, model: str) -> Answer:
    """Have the server answer a chat in a few tokens; as :func:`decode_one`."""
    hello = [{"role": "user", "content": "Hello"}]
    body = {"model": model, "messages": hello, "max_tokens": 8, "temperature": 0}
    url = f"{base_url}/chat/completions"
    return ask(url, api_key=api_key, body=body, timeout_s=DECODE_TIMEOUT_S)


def served_models(answer: Answer) -> tuple[ServedModel, ...]:
    """Read ``/v1/models``; an answer of another shape serves nothing."""
    listing = answer.json.get("data") if isinstance(answer.json, dict) else None
    if not isinstance(listing, list):
        return ()
    return tuple(
        ServedModel(
            name=str(entry["id"]),
            root=entry.get("root"),
            max_model_len=entry.get("max_model_len"),
        )
        for entry in listing
        if isinstance(entry, dict) and "id" in entry
    )


def version(root: str, api_key: str | None) -> str | None:
    """Ask ``/version``; ``None`` when the server is not vLLM or does not say."""
    answer = ask(f"{root}/version", api_key=api_key)
    found = answer.json.get("version") if isinstance(answer.json, dict) else None
    return str(found) if found else None


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None
