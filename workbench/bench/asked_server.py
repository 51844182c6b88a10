"""
What a server says of itself before and while it is measured: model, version, settings, metrics.

All of it is optional: a server that is no vLLM answers chats, and perhaps nothing else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

import workbench

from .. import scrapes
from ..errors import AuthenticationError, ServerFailureError, ServerUnreachableError
from ..reconcile import Asked, finished, reconcile
from ..records import Scrape
from ..servers import base
from ..servers.metrics_page import ask_page, cache_settings, read_page, text_of
from ..urls import root_url
from .plan import Plan
from .result import Fingerprint, Moment, Request, ServerSide
from .workload import CountTokens

EVERY_S = 1.0
"""One GET a second: the page is read after the run, and not while it is measured."""

SETTLES_WITHIN_S = 2.0
"""vLLM counts a request a moment after its last token is sent."""

LOOK_EVERY_S = 0.05
TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, and its key."""

    base_url: str
    api_key: str | None = None

    @property
    def root(self) -> str:
        """Without ``/v1``."""
        return root_url(self.base_url)


def identified(to: Address, plan: Plan, known: Fingerprint | None = None) -> Fingerprint:
    """
    Ask what the server is; what the caller *knows* besides stays.

    Raises:
        ServerUnreachableError: Nothing answers.

        AuthenticationError: It wants another key.

        ServerFailureError: It lists no model, and none was named.
    """
    listing = base.ask(f"{to.base_url}/models", api_key=to.api_key, timeout_s=TIMEOUT_S)
    _check(to, listing)
    served = {model.name: model for model in base.served_models(listing)}
    name = plan.model or next(iter(served), None)
    if name is None:
        raise ServerFailureError(
            f"{to.base_url} lists no model.",
            hint="Name it: --model NAME",
            base_url=to.base_url,
            status_code=listing.status,
        )
    version = base.version(to.root, to.api_key)
    caching = cache_settings(text_of(ask_page(to.root, api_key=to.api_key)))
    found = known or Fingerprint(model=name, base_url=to.base_url)
    model = served.get(name)
    said = caching.get("enable_prefix_caching")
    return replace(
        found,
        model=name,
        base_url=to.base_url,
        model_root=found.model_root or (model.root if model else None),
        max_model_len=model.max_model_len if model else None,
        server="vllm" if version else None,
        server_version=version,
        prefix_caching=None if said is None else said == "True",
        workload=plan.workload,
        workload_hash=plan.workload_hash,
        seed=plan.seed,
        client_version=workbench.__version__,
    )


def is_vllm(to: Address) -> bool:
    """Tell whether it says that it is a vLLM, and so knows vLLM's own parameters."""
    return base.version(to.root, to.api_key) is not None


def tokenizer(to: Address, model: str | None) -> CountTokens | None:
    """Return the server's own count of a text's tokens; ``None`` where it has no ``/tokenize``."""

    def count(text: str) -> int:
        body = {"prompt": text, "add_special_tokens": False} | ({"model": model} if model else {})
        answer = base.ask(f"{to.root}/tokenize", api_key=to.api_key, body=body, timeout_s=TIMEOUT_S)
        found = answer.json.get("count") if isinstance(answer.json, dict) else None
        if not isinstance(found, int):
            raise ServerFailureError(
                f"{to.root}/tokenize does not count tokens (status {answer.status}).",
                base_url=to.base_url,
                status_code=answer.status,
            )
        return found

    try:
        count("a")
    except ServerFailureError:
        return None
    return cache(count)  # how long words are is asked for each prompt anew


def _check(to: Address, listing: base.Answer) -> None:
    if listing.status == 0:
        raise ServerUnreachableError(
            f"Nothing answers at {to.base_url}: {listing.error}.",
            hint="See: workbench status. Another server: --base-url http://HOST:PORT/v1",
            base_url=to.base_url,
        )
    if listing.status in (401, 403):
        raise AuthenticationError(
            f"{to.base_url} refuses the API key ({listing.status}).",
            hint="Set WORKBENCH_API_KEY to the key of that server.",
            base_url=to.base_url,
            status_code=listing.status,
        )


class Watch:
    """
    Keeps the server's pages while something runs; a context.

    The first is of before, the last of after.
    """

    def __init__(self, to: Address) -> None:
        self._to = to
        self._pages: list[tuple[datetime, float, str]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="bench-metrics", daemon=True)

    def __enter__(self) -> Watch:
        self._get()
        if self._pages:
            self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        if self._pages:
            self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(EVERY_S):
            self._get()

    def _get(self) -> None:
        at, at_s = datetime.now(UTC), time.monotonic()
        page = text_of(ask_page(self._to.root, api_key=self._to.api_key))
        if page:
            self._pages.append((at, at_s, page))

    def seen(self, requests: Sequence[Request], *, began_s: float) -> ServerSide | None:
        """
        Lay what the server counted beside the requests.

        Args:
            began_s: When the run began, for the times of the moments.

        Returns:
            ``None`` where it has no page, or nothing of vLLM's on it.
        """
        if not self._pages:
            return None
        before = _read(self._pages[0])
        done = [request for request in requests if request.ok and request.e2el_s is not None]
        after = self._settled(before, at_least=len(done))
        if not after.series:
            return None
        asked = [
            Asked(ttft_s=request.ttft_s, e2e_latency_s=request.e2el_s)
            for request in done
            if request.e2el_s is not None
        ]
        hits = scrapes.increase(before, after, "prefix_cache_hits")
        queries = scrapes.increase(before, after, "prefix_cache_queries")
        return ServerSide(
            sides=reconcile(asked, before, after),
            moments=tuple(_moment(_read(page), began_s) for page in self._pages[1:]),
            prompt_tokens=scrapes.increase(before, after, "prompt_tokens"),
            generation_tokens=scrapes.increase(before, after, "generation_tokens"),
            preemptions=scrapes.increase(before, after, "preemptions"),
            prefix_cache_hit_share=hits / queries if queries and hits is not None else None,
        )

    def _settled(self, before: Scrape, *, at_least: int) -> Scrape:
        """Read the page until the server has counted what it has answered."""
        deadline_s = time.monotonic() + SETTLES_WITHIN_S
        while True:
            kept = len(self._pages)
            self._get()
            after = _read(self._pages[-1])
            del self._pages[kept:]
            if (finished(before, after) or 0) >= at_least or time.monotonic() > deadline_s:
                return after
            time.sleep(LOOK_EVERY_S)


def _read(page: tuple[datetime, float, str]) -> Scrape:
    at, at_s, text = page
    return read_page(text, at=at, at_s=at_s)


def _moment(page: Scrape, began_s: float) -> Moment:
    return Moment(
        at_s=page.at_s - began_s,
        running=scrapes.now(page, "running"),
        waiting=scrapes.now(page, "waiting"),
        kv_cache_usage=scrapes.now(page, "kv_cache_usage"),
    )
