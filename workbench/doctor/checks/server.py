"""
A server that runs: who can reach it, what it gives out without the key, and whether answers come
as they are made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...urls import is_loopback, root_url
from .. import facts, sockets
from ..machine import Machine, Reply, Streamed
from .base import Seen, check, passed, skipped, warned

ANSWERING = ("/v1/models", "/v1/chat/completions", "/invocations")
"""Who may ask these may ask the model; /invocations answers all that /v1 does (SageMaker's way)."""

TELLING = ("/metrics", "/tokenize", "/docs", "/openapi.json", "/load", "/server_info", "/pause")
"""These tell of others' requests, cost time, or stop the server; some are there by choice only."""

HARMLESS = ("/health", "/version")

REFUSED = (401, 403)

TOKENS = 24

TOGETHER, TOGETHER_S = 0.1, 0.02
"""What comes within this share of the whole time, and this fast, came at once."""

SHORTEST_S = 0.05
"""What takes less was made faster than it can be told apart."""

SECURITY = "https://docs.vllm.ai/en/stable/usage/security/"


@dataclass(frozen=True, slots=True)
class Running:
    """
    A server that answers.

    Args:
        base_url: With ``/v1``.

        on: Where it listens, if that is this machine.

        keyless, keyed: What ``/v1/models`` says without a key, and with the one that is set here
            if it asks for one.
    """

    base_url: str
    on: tuple[sockets.Listening, ...]
    keyless: Reply
    key: Mapping[str, str]
    keyed: Reply | None

    @property
    def model(self) -> str | None:
        """The first model that it lists."""
        return _first(self.keyed or self.keyless, "id")

    @property
    def is_vllm(self) -> bool:
        """Whether it says of its models that they are vLLM's."""
        return _first(self.keyed or self.keyless, "owned_by") == "vllm"

    @property
    def is_reached(self) -> bool:
        """Whether others than this machine can reach it."""
        return not is_loopback(self.base_url) or any(it.is_reached for it in self.on)

    @property
    def place(self) -> str:
        """Where it is, for evidence."""
        named = ", ".join(it.address for it in self.on)
        return f"{root_url(self.base_url)}" + (f" on {named}" if named else "")


def _running(machine: Machine) -> Running | None:
    """Find the server that is set, if it is a vLLM, or what listens on the server's port."""
    told = machine.variables.get("WORKBENCH_BASE_URL") or machine.variables.get("OPENAI_BASE_URL")
    number = sockets.port_of(machine)
    here = [] if told else sockets.listening(machine, number)
    if not told and not here:
        return None
    base_url = (told or f"http://127.0.0.1:{number}/v1").rstrip("/")
    keyless = machine.get(f"{base_url}/models")
    if keyless is None:
        return None
    key = _key(machine) if keyless.status in REFUSED else {}
    keyed = machine.get(f"{base_url}/models", headers=key) if key else None
    found = Running(base_url, tuple(here), keyless, key, keyed)
    # What somebody pays for is neither searched for doors nor asked to count.
    return found if is_loopback(base_url) or found.is_vllm else None


def _key(machine: Machine) -> Mapping[str, str]:
    """Return the header with the key that this folder's client would send."""
    variables = machine.variables
    if variables.get("WORKBENCH_BASE_URL"):
        key = variables.get("WORKBENCH_API_KEY")
    elif variables.get("OPENAI_BASE_URL"):
        key = variables.get("WORKBENCH_API_KEY") or variables.get("OPENAI_API_KEY")
    else:
        made = machine.read(facts.state_dir(machine) / "api-key") or ""
        key = variables.get("VLLM_API_KEY") or made.strip()
    return {"Authorization": f"Bearer {key}"} if key else {}


@check("open-without-key", area="server", source=SECURITY)
def open_without_key(machine: Machine) -> Seen:
    """
    Who can reach the server, and what does it give out without the key?

    On 0.0.0.0 everybody in the network can use the card and read the metrics. vLLM asks for the key
    below /v1 only: /invocations, where it is there, answers prompts without one.
    """
    server = _running(machine)
    if server is None:
        return skipped("no server answers")
    opened = list(_opened(machine, server))
    bad = [path for path in opened if path not in HARMLESS]
    seen = f"{server.place}; without the key: {', '.join(opened) or 'nothing'}"
    if server.is_reached and bad:
        return warned(seen, fix=_closed(server, [path for path in opened if path in ANSWERING]))
    return passed(seen)


def _opened(machine: Machine, server: Running) -> Iterator[str]:
    """GET each: where that is the wrong way, the answer is 405, and 401 would have come before."""
    for path in (*ANSWERING, *TELLING, *HARMLESS):
        models = path == "/v1/models"
        url = f"{root_url(server.base_url)}{path}"
        reply = server.keyless if models else machine.get(url)
        if reply is None:
            return  # it answers no more, and there are many to ask
        if reply.status not in (*REFUSED, 404):
            yield path


def _closed(server: Running, answering: list[str]) -> str:
    if not is_loopback(server.base_url):
        return "# let a reverse proxy pass on /v1 and /health only, to whoever has a key"
    lines = '# publish on this machine only\nports: ["127.0.0.1:8000:8000"]'
    if "/v1/models" in answering:
        lines += "\n# and ask for a key, in .env\nVLLM_API_KEY=$(openssl rand -hex 16)"
    return f"{lines}\n# who must be reached: a reverse proxy that passes on /v1 only"


@check("server-key", area="server", source=SECURITY)
def server_key(machine: Machine) -> Seen:
    """
    Does the server take the key that is set here?

    Every request is refused with 401 otherwise.
    """
    server = _running(machine)
    if server is None:
        return skipped("no server answers")
    if server.keyless.status not in REFUSED:
        return passed("it asks for no key")
    reply = server.keyed
    if reply and reply.status == 200:
        return passed("it takes the key that is set")
    told = f"the one that is set is answered {reply.status}" if reply else "none is set here"
    return warned(
        f"{root_url(server.base_url)} asks for a key; {told}",
        fix="# in .env: the key that the server was started with\nWORKBENCH_API_KEY=…",
    )


@check(
    "stream-in-pieces",
    area="server",
    source="https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering",
)
def stream_in_pieces(machine: Machine) -> Seen:
    """
    Does a streamed answer come in pieces, as it is made?

    A proxy that collects the answer first makes TTFT as long as the whole answer, and long answers
    run into its time limit.
    """
    server = _running(machine)
    if server is None:
        return skipped("no server answers")
    model = server.model
    if model is None or not server.is_vllm:
        return skipped("it is no vLLM, or lists no model")
    streamed = machine.stream(
        f"{server.base_url}/chat/completions",
        {
            "model": model,
            "messages": [{"role": "user", "content": "Count to ten."}],
            "max_tokens": TOKENS,
            "min_tokens": TOKENS,
            "ignore_eos": True,
            "stream": True,
        },
        headers=server.key,
    )
    return _judged(streamed, server)


def _first(told: Reply, name: str) -> str | None:
    """Read a field of the first model that is listed."""
    models = facts.as_mapping(told.body).get("data")
    first = models[0] if isinstance(models, list) and models else None
    value = first.get(name) if isinstance(first, dict) else None
    return value if isinstance(value, str) else None


def _judged(streamed: Streamed | None, server: Running) -> Seen:
    if streamed is None or streamed.status != 200 or not streamed.at_s:
        said = f"status {streamed.status}" if streamed else "no answer in time"
        return skipped(f"a short chat was answered by {said}", unsure=streamed is None)
    first_s, last_s, count = streamed.at_s[0], streamed.at_s[-1], len(streamed.at_s)
    seen = f"{count} pieces, the first after {first_s:.2f} s, the last after {last_s:.2f} s"
    if last_s < SHORTEST_S:
        return skipped(f"{seen}: too fast to tell")
    if last_s - first_s < min(TOGETHER * last_s, TOGETHER_S):
        return warned(
            f"{seen}, through {root_url(server.base_url)}",
            fix="# in nginx, for /v1\nproxy_buffering off;\nproxy_read_timeout 1h;",
        )
    return passed(seen)


CHECKS = (open_without_key, server_key, stream_in_pieces)
