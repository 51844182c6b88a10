"""
What makes records of outcomes, in the writer's thread: hashing is nothing to wait for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ..records import Outcome
from .contents import HIDDEN, Contents
from .hashing import Hasher, load_or_make_key
from .record import TelemetryRecord, record_of


class Recorder:
    """
    Makes the records of one session.

    Args:
        key_path: Where the key of its hashes is; read, or made, when the first record needs it.

        hasher: How prompts and users are hashed with it.
    """

    def __init__(
        self,
        key_path: Path,
        *,
        session: str,
        user: str | None,
        hasher: type[Hasher],
        contents: Contents,
    ) -> None:
        self.last_error: str | None = None
        self._key_path = key_path
        self._session = session
        self._user = user
        self._kind = hasher
        self._contents = contents
        self._hasher: Hasher | None = None

    def __call__(
        self, outcome: Outcome, backend: str | None, base_url: str | None, tags: Mapping[str, str]
    ) -> TelemetryRecord:
        """
        Make a record.

        Raises:
            StoreError: The key cannot be read or made.
        """
        if self._hasher is None:
            self._hasher = self._kind(load_or_make_key(self._key_path))
        make = partial(
            record_of,
            outcome,
            session=self._session,
            prompt_hash=self._hasher.prompt(outcome.messages),
            user_hash=None if self._user is None else self._hasher.user(self._user),
            backend=backend,
            base_url=base_url,
            tags=tags,
        )
        try:
            return make(contents=self._contents)
        except Exception as error:
            # Most likely the caller's own redaction. The numbers are worth their row, and
            # what could not be redacted is not written.
            record = make(contents=HIDDEN)
            self.last_error = f"Contents were not kept: {type(error).__name__}"
            return record
