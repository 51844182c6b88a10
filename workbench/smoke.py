"""
One answer in every way that code will ask for it, against whatever runs.

Health, the list of models, the same greedy question by Python, streamed, by
TypeScript and by curl; and whether they all got the same answer. What is not
installed here is skipped. A step that fails says so and the next one goes on.

The key goes to curl on stdin and to Node in its environment: a command line is
shown by ``ps`` to everybody on the machine.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

from .client import Client, Retries, Timeouts
from .client.refusals import HINT_KEY, public_url, said
from .errors import MissingDependencyError, WorkbenchError
from .records import Generation, SamplingParams, Verdict
from .servers.base import Answer, ask, served_models
from .typescript import TypeScript
from .urls import is_loopback, root_url

PROMPT = "What is vLLM?"
PARAMS = SamplingParams(temperature=0, max_tokens=32)

LIMIT_S = 30.0
"""For each language. A ready server needs a second; a big model on a busy one some more."""

SMALL_LIMIT_S = 5.0
"""For a question that decodes nothing."""

PATIENCE = Timeouts(connect_s=SMALL_LIMIT_S, first_token_s=LIMIT_S, answer_s=LIMIT_S)

# What goes wrong once is what is to be seen.
ONCE = Retries(times=0)

EXCERPT_CHARS = 60

HINT_DOWN = "Is the server up? `workbench status` tells; `workbench up` starts it."
HINT_LOGS = "See what the server says: workbench logs"
HINT_PATH = "Check that the base URL ends in /v1: `workbench status` shows it."
HINT_HERE = "This machine refused it, before any server was asked."
HINT_CURL = "Install curl to see what a shell script would get."
HINT_DIFFERENT = (
    "Ask again: if they differ each time, look at what is between you and the server; "
    "if only now and then, its rounding depends on what else it decodes."
)

CURL_REASONS = {
    6: "the host's name was not found",
    7: "nothing answers",
    28: f"no answer within {LIMIT_S:.0f} s",
    52: "the server hung up without an answer",
    60: "the server's certificate is not trusted",
}
"""What people meet of curl's exit statuses, which stay when its wording changes (man curl)."""

PROGRAM = """\
import {{ client, model }} from "./server.ts";

const answer = await client.chat.completions.create(
  {{ model, ...{question} }}, {{ timeout: {limit_ms}, maxRetries: 0 }});
console.log(JSON.stringify(answer.choices[0]?.message.content ?? ""));
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One line of the smoke test.

    Args:
        seen: What came, or what went wrong.

        duration_s: ``None`` for the comparison, which asks nobody.

        next_step: What to try, where it did not pass.

        answer: The model's words, which are compared.
    """

    name: str
    verdict: Verdict
    seen: str
    duration_s: float | None
    next_step: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeReport:
    """
    All lines of it.

    Args:
        model: The one that was asked; ``None`` if none could be found.
    """

    base_url: str
    model: str | None
    steps: tuple[Step, ...]
    duration_s: float

    @property
    def ok(self) -> bool:
        """Whether nothing failed; what is not installed here has not failed."""
        return all(step.verdict is not Verdict.FAIL for step in self.steps)


class StepError(Exception):
    """A step did not get what it asked for."""

    def __init__(self, seen: str, next_step: str | None) -> None:
        super().__init__(seen)
        self.seen = seen
        self.next_step = next_step


class NotAskedError(StepError):
    """What a step needs is not on this machine, or not this server's: that is no failure."""


Way: TypeAlias = Callable[[], tuple[str, str | None]]
"""What a step does; it returns what it saw, and the model's words if it asked for any."""


def smoke(
    base_url: str, *, api_key: str | None = None, model: str | None = None, folder: Path
) -> SmokeReport:
    """
    Ask in every way, and compare.

    Args:
        base_url: With ``/v1``.

        model: The served model name; ``None`` takes the first that is listed.

        folder: Where TypeScript's packages are; see
            :class:`~workbench.typescript.TypeScript`.
    """
    began_s = perf_counter()
    server = _Server(base_url, api_key, model)
    with Client(base_url, api_key=api_key, timeouts=PATIENCE, retries=ONCE) as client:
        ways: dict[str, Way] = {
            "health": server.health,
            "models": server.models,
            "Python": lambda: _told(client.chat(PROMPT, PARAMS, model=server.known())),
            "Python, streamed": lambda: _told(
                client.stream(PROMPT, PARAMS, model=server.known()).read()
            ),
            "TypeScript": lambda: _by_typescript(
                TypeScript(folder=folder, base_url=base_url, api_key=api_key, model=server.known())
            ),
            "curl": lambda: _by_curl(base_url, api_key, server.known()),
        }
        steps = [_step(name, way) for name, way in ways.items()]
    return SmokeReport(
        base_url=public_url(base_url),
        model=server.model,
        steps=(*steps, _compared(steps)),
        duration_s=perf_counter() - began_s,
    )


class _Server:
    """What is asked without any client, and the model that all the others ask for."""

    def __init__(self, base_url: str, api_key: str | None, model: str | None) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self.model = model

    def health(self) -> tuple[str, None]:
        answer = ask(f"{root_url(self._base_url)}/health", timeout_s=SMALL_LIMIT_S)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise NotAskedError("404", "This server has no /health, so it is no vLLM.")
        self._check(answer)
        return "200", None

    def models(self) -> tuple[str, None]:
        url = f"{self._base_url}/models"
        answer = ask(url, api_key=self._api_key, timeout_s=SMALL_LIMIT_S)
        self._check(answer)
        names = [served.name for served in served_models(answer)]
        if not names:
            raise StepError("it lists no model", HINT_PATH)
        if self.model and self.model not in names:
            raise StepError(
                f"{self.model!r} is not among {', '.join(names)}",
                "Name one of these: WORKBENCH_MODEL",
            )
        self.model = self.model or names[0]
        return ", ".join(names), None

    def known(self) -> str:
        """Return the model's name, or leave out the step that needs it."""
        if self.model is None:
            raise NotAskedError("not asked: no model is known", None)
        return self.model

    def _check(self, answer: Answer) -> None:
        if not answer.status:
            raise StepError(f"no answer: {_line(_reason(answer))}", HINT_DOWN)
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise StepError(f"{answer.status}: the key is missing or wrong", HINT_KEY)
        if answer.status != HTTPStatus.OK:
            raise StepError(f"status {answer.status}", HINT_LOGS)


def _step(name: str, way: Way) -> Step:
    began_s = perf_counter()
    answer: str | None = None
    next_step: str | None = None
    try:
        seen, answer = way()
        verdict = Verdict.PASS
    except (NotAskedError, MissingDependencyError) as exc:
        verdict, seen, next_step = Verdict.SKIP, *_why(exc)
    except (StepError, WorkbenchError, OSError) as exc:
        verdict, seen, next_step = Verdict.FAIL, *_why(exc)
    return Step(
        name=name,
        verdict=verdict,
        seen=seen,
        duration_s=perf_counter() - began_s,
        next_step=next_step,
        answer=answer,
    )


def _why(exc: StepError | WorkbenchError | OSError) -> tuple[str, str | None]:
    if isinstance(exc, StepError):
        return exc.seen, exc.next_step
    if isinstance(exc, OSError) and not isinstance(exc, WorkbenchError):
        return f"{type(exc).__name__}: {_line(str(exc))}", HINT_HERE
    return _line(exc.message), exc.hint or HINT_LOGS


def _told(answer: Generation) -> tuple[str, str]:
    if not answer.text and not answer.reasoning:
        raise StepError("the model said nothing", HINT_LOGS)
    return _excerpt(answer.text), answer.text


def _by_typescript(typescript: TypeScript) -> tuple[str, str]:
    source = PROGRAM.format(question=json.dumps(_question()), limit_ms=round(LIMIT_S * 1000))
    with closing(typescript.run_source(source)) as lines:
        written = list(lines)
    try:
        text = str(json.loads(written[0]))
    except (IndexError, ValueError):
        raise StepError(
            f"it wrote {_excerpt(' '.join(written))}", "Try it alone: a cell with %%ts."
        ) from None
    return _excerpt(text), text


def _by_curl(base_url: str, key: str | None, model: str) -> tuple[str, str]:
    curl = shutil.which("curl")
    if curl is None:
        raise NotAskedError("curl is not installed", HINT_CURL)
    # -q: the reader's own .curlrc may have a proxy, or write elsewhere.
    done = subprocess.run(
        [curl, "-q", "--config", "-"],
        input=curl_config(base_url, key, {"model": model, **_question()}),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        reason = CURL_REASONS.get(done.returncode, "see man curl")
        raise StepError(f"curl ended with {done.returncode}: {reason}", HINT_DOWN)
    body, _, status = done.stdout.rpartition("\n")
    text = _content(body) if status == "200" else None
    if text is None:
        shown = _without(key, said(_json(body)))
        raise StepError(f"{status}: {_line(shown)}", HINT_LOGS)
    return _excerpt(text), text


def curl_config(base_url: str, key: str | None, body: Mapping[str, object]) -> str:
    """Write what curl is to do as its own configuration, which it reads on stdin."""
    options = [
        ("url", f"{base_url}/chat/completions"),
        ("header", "Content-Type: application/json"),
        *([("header", f"Authorization: Bearer {key}")] if key else []),
        ("data-raw", json.dumps(body)),
        ("write-out", "\n%{http_code}"),
        ("max-time", f"{LIMIT_S:.0f}"),
        *([("noproxy", "*")] if is_loopback(base_url) else []),
    ]
    written = "".join(f"{name} = {_curl_quoted(value)}\n" for name, value in options)
    return "silent\n" + written


def _curl_quoted(value: str) -> str:
    marked = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{marked}"'


def _question() -> dict[str, object]:
    return {"messages": [{"role": "user", "content": PROMPT}], **PARAMS.given()}


def _content(body: str) -> str | None:
    """Return the answer's words, "" where it has none; ``None`` if it is no answer."""
    try:
        return str(json.loads(body)["choices"][0]["message"]["content"] or "")
    except (ValueError, LookupError, TypeError):
        return None


def _json(body: str) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body


def _compared(steps: list[Step]) -> Step:
    answers = {step.name: step.answer for step in steps if step.answer is not None}
    verdict, next_step = Verdict.PASS, None
    if len(answers) < 2:
        verdict, seen = Verdict.SKIP, "fewer than two answers"
    elif len(set(answers.values())) == 1:
        seen = f"{len(answers)} of {len(answers)} equal"
    else:
        verdict, next_step = Verdict.FAIL, HINT_DIFFERENT
        seen = "; ".join(f"{name}: {_excerpt(text)}" for name, text in answers.items())
    return Step(
        name="same answer", verdict=verdict, seen=seen, duration_s=None, next_step=next_step
    )


def _without(key: str | None, text: str) -> str:
    return text.replace(key, "***") if key else text


def _reason(answer: Answer) -> str:
    # urllib wraps what the operating system said.
    return str(answer.error).removeprefix("<urlopen error ").removesuffix(">")


def _line(text: str) -> str:
    """Write a text as one line that nothing obeys: terminals do what escape sequences say."""
    return "".join(sign if sign.isprintable() else "�" for sign in " ".join(text.split()))


def _excerpt(text: str) -> str:
    line = _line(text)
    return f"“{line[:EXCERPT_CHARS]}…”" if len(line) > EXCERPT_CHARS else f"“{line}”"
