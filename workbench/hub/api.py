"""
What is asked of a Hugging Face hub, and what its refusals are called here.

huggingface_hub knows addresses, tokens, proxies and the meaning of each refusal.
Its downloads are not used: since 2.x they begin in a file with a new name each
time, so that a 5 GB file that is cut by a kill begins anew (2.4.0,
``file_download._download_to_tmp_and_move``), and Xet's do too. Bytes come by plain
HTTP here, with ``Range``, which every hub and mirror speaks.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from ..errors import FetchError, HubUnreachableError, ModelNotFoundError
from . import refusals

if TYPE_CHECKING:
    import httpx2

ASK_TIMEOUT_S = 10.0
"""For a question, and for the start of an answer."""

STALL_TIMEOUT_S = 30.0
"""A download without a byte for so long is taken up again."""

WAITS_S = (1.0, 2.0, 4.0, 8.0, 8.0)
"""Between attempts that brought nothing."""

MAX_WAIT_S = 330.0
"""The hub counts requests in windows of five minutes, and says when the next one begins."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Hub:
    """
    A hub, as one model is asked for.

    Args:
        token: ``None`` leaves it to huggingface_hub, which knows who typed ``hf auth login``.
    """

    repo: str
    endpoint: str
    token: str | None = None

    @property
    def page(self) -> str:
        """Where a person reads about the model."""
        return f"{self.endpoint}/{self.repo}"

    def listing(self, revision: str) -> dict[str, Any]:
        """
        Ask what the model is and which files it has.

        Raises:
            ModelNotFoundError: There is no such model, or no such revision.

            HubTokenError: The token is not taken.

            HubUnreachableError: Nobody answers, or nobody that is a hub.
        """
        where = f"/api/models/{self.repo}/revision/{quote(revision, safe='')}"
        try:
            found = self._json(where, {"blobs": "true"}, revision)
        except ModelNotFoundError as exc:
            if exc.revision is None:
                exc.close = self._close_names()
                exc.hint = refusals.hint_of_missing(exc, had_token=self.has_token)
            raise
        if not isinstance(found, dict) or not isinstance(found.get("siblings"), list):
            raise refusals.no_hub(self, "its answer lists no files")
        return found

    def text(self, commit: str, name: str) -> bytes:
        """Read a small file whole."""
        with self.opened(commit, name) as response:
            return response.read()

    @contextmanager
    def opened(self, commit: str, name: str, *, first_byte: int = 0) -> Iterator[httpx2.Response]:
        """
        Open a file, from a byte on. A hub that cannot do that sends all of it, with status 200.

        Raises:
            GatedModelError: The licence is not accepted, or there is no token.

            HubUnreachableError: It does not answer, or breaks off.
        """
        # The bytes themselves, so that their count and their checksum are the file's.
        headers = {"Accept-Encoding": "identity"}
        if first_byte:
            headers["Range"] = f"bytes={first_byte}-"
        where = f"/{self.repo}/resolve/{commit}/{quote(name)}"
        with self._asked(where, headers=headers, revision=commit) as response:
            yield response

    @contextmanager
    def _asked(
        self,
        where: str,
        *,
        headers: dict[str, str],
        params: dict[str, str] | None = None,
        revision: str | None,
    ) -> Iterator[httpx2.Response]:
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        timeout = httpx2.Timeout(ASK_TIMEOUT_S, read=STALL_TIMEOUT_S)
        sent = build_hf_headers(token=self.token, library_name="vllm-workbench") | headers
        url = self.endpoint + where
        try:
            with get_session().stream(
                "GET", url, headers=sent, params=params, timeout=timeout
            ) as response:
                if response.is_error:
                    response.read()  # the reason is in the body, too
                hf_raise_for_status(response)
                yield response
        except HfHubHTTPError as exc:
            raise refusals.refusal(self, exc, revision) from exc
        except (httpx2.RequestError, OfflineModeIsEnabled) as exc:
            raise refusals.unreachable(self, exc) from exc

    def _json(self, where: str, params: dict[str, str], revision: str | None = None) -> Any:
        def ask() -> bytes:
            with self._asked(where, headers={}, params=params, revision=revision) as response:
                return response.read()

        body = patiently(ask, is_passing=lambda exc: exc.status_code is not None)
        try:
            return json.loads(body)
        except ValueError as exc:
            raise refusals.no_hub(self, "its answer is no JSON") from exc

    @property
    def has_token(self) -> bool:
        """Whether requests carry a token, from wherever it is."""
        from huggingface_hub import get_token

        return bool(self.token or get_token())

    def _close_names(self) -> tuple[str, ...]:
        """Look for models of the same owner with nearly this name; none if that fails."""
        owner, _, wanted = self.repo.rpartition("/")
        try:
            found = self._json("/api/models", {"author": owner, "limit": "500"})
        except FetchError:  # the other error is the one to be told
            return ()
        entries = found if isinstance(found, list) else []
        names = [str(entry.get("id")) for entry in entries if isinstance(entry, dict)]
        folded = {name.rpartition("/")[2].casefold(): name for name in names}
        close = difflib.get_close_matches(wanted.casefold(), folded, n=3)
        return tuple(folded[name] for name in close)


def patiently(
    ask: Callable[[], T],
    *,
    is_passing: Callable[[HubUnreachableError], bool] = lambda _exc: True,
    on_wait: Callable[[HubUnreachableError, float], None] = lambda _exc, _wait_s: None,
) -> T:
    """
    Ask again while the hub is busy or out of reach, and give up after :data:`WAITS_S`.

    Args:
        on_wait: Told why, and for how many seconds.
    """
    for pause_s in WAITS_S:
        try:
            return ask()
        except HubUnreachableError as exc:
            wait_s = pause_s if exc.retry_after_s is None else exc.retry_after_s
            if not is_passing(exc) or wait_s > MAX_WAIT_S:
                raise
            on_wait(exc, wait_s)
            time.sleep(wait_s)
    return ask()
