"""
What the hub's refusals are called here, and what the reader is to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import (
    FetchError,
    GatedModelError,
    HubTokenError,
    HubUnreachableError,
    ModelNotFoundError,
)

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    from .api import Hub

PASSING = (408, 429, 500, 502, 503, 504)
"""Statuses that are another one a moment later: huggingface_hub 2.4.0, utils/_http.py."""


def refusal(hub: Hub, exc: HfHubHTTPError, revision: str | None) -> FetchError:
    """Translate what huggingface_hub made of an answer."""
    from huggingface_hub import errors

    status = exc.response.status_code
    if isinstance(exc, errors.GatedRepoError):
        return gated(hub)
    if isinstance(exc, errors.RevisionNotFoundError):
        return ModelNotFoundError(
            f"{hub.repo} has no revision {revision!r}.",
            hint=f"Its commits: {hub.page}/commits/main",
            repo=hub.repo,
            revision=revision,
        )
    # Without a token the hub does not say whether there is such a model: 401.
    unknown = status == 401 and not hub.has_token
    if isinstance(exc, errors.RepositoryNotFoundError) or unknown:
        return ModelNotFoundError(
            f"The hub at {hub.endpoint} knows no model {hub.repo!r}.", repo=hub.repo
        )
    if status in PASSING:
        return _busy(hub, exc.response)
    if status in (401, 403):
        return _token_refused(hub, status)
    return FetchError(
        f"The hub does not give {exc.response.url.path}: HTTP {status}.",
        hint=f"Look at {hub.page}",
        repo=hub.repo,
    )


def gated(hub: Hub) -> GatedModelError:
    """Say what a person has to do before this model is given out."""
    why = "the token's owner has not accepted it" if hub.has_token else "there is no token"
    return GatedModelError(
        f"{hub.repo} asks for a licence to be accepted, and {why}.",
        hint=f"1. Accept it on the model's page: {hub.page}\n"
        f"2. Make a token of the kind Read: {hub.endpoint}/settings/tokens\n"
        "3. Put it into .env: HF_TOKEN=hf_…",
        repo=hub.repo,
        page=hub.page,
    )


def _token_refused(hub: Hub, status: int) -> HubTokenError:
    return HubTokenError(
        f"The hub does not take the token for {hub.repo}: HTTP {status}.",
        hint=f"Make another one, of the kind Read: {hub.endpoint}/settings/tokens\n"
        "Put it into .env: HF_TOKEN=hf_…",
        repo=hub.repo,
    )


def _busy(hub: Hub, response: httpx2.Response) -> HubUnreachableError:
    status, wait_s = response.status_code, _retry_after_s(response.headers)
    later = f" It asks to come back in {wait_s:.0f} s." if wait_s else ""
    token = " With a token (HF_TOKEN) more requests are allowed." if status == 429 else ""
    return HubUnreachableError(
        f"The hub at {hub.endpoint} cannot answer now: HTTP {status}.{later}",
        hint=f"Try the same command later; it goes on from what is here.{token}",
        repo=hub.repo,
        endpoint=hub.endpoint,
        status_code=status,
        retry_after_s=wait_s,
    )


def unreachable(hub: Hub, exc: Exception) -> HubUnreachableError:
    """Say that nobody answers, or that an answer broke off."""
    return HubUnreachableError(
        f"The hub at {hub.endpoint} does not answer: {exc or type(exc).__name__}.",
        hint="Look at the network, at the proxy (HTTPS_PROXY) and at HF_ENDPOINT. "
        "The same command goes on from what is here.",
        repo=hub.repo,
        endpoint=hub.endpoint,
    )


def no_hub(hub: Hub, why: str) -> HubUnreachableError:
    """Say that somebody else answers: a proxy's login page, a server of another kind."""
    return HubUnreachableError(
        f"What answers at {hub.endpoint} is no Hugging Face hub: {why}.",
        hint="Look at HF_ENDPOINT, and at the proxy (HTTPS_PROXY).",
        repo=hub.repo,
        endpoint=hub.endpoint,
    )


def hint_of_missing(exc: ModelNotFoundError, *, had_token: bool) -> str:
    """Name what was meant, if the hub has something like it."""
    if exc.close:
        return f"Did you mean {' or '.join(exc.close)}?"
    private = "the token may not see it" if had_token else "it needs a token: HF_TOKEN in .env"
    return f"Look at the spelling, organisation/name. If it is private, {private}."


def _retry_after_s(headers: httpx2.Headers) -> float | None:
    """Read how long to wait from either header; one second more, as both are rounded."""
    from huggingface_hub.utils import parse_ratelimit_headers

    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds) + 1
    told = headers.get("Retry-After", "")
    return float(told) + 1 if told.isdecimal() else None
