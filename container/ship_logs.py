"""
Sends what vLLM logs to ``LOGGING_ENDPOINT`` as well, and never holds vLLM up.

``logging.json`` is given to vLLM as ``VLLM_LOGGING_CONFIG_PATH``. Its handlers
are vLLM's and uvicorn's own, as their own default configurations have them, so
that stdout stays what it is in each version; only the class of vLLM's is
another, which passes a copy on.

Records go out as a JSON array by POST, 100 at a time or once a second::

    [
        {
            "timestamp": "2026-11-23T10:00:00.123Z",
            "level": "INFO",
            "logger": "vllm.v1.engine.core",
            "message": "…",
            "process": "EngineCore",
            "pid": 42,
            "source": "vllm",
            "exc_info": "…",
        }
    ]

``LOGGING_ENDPOINT``
    An http or https URL. In a container ``localhost`` is the container, so
    ``localhost``, ``127.0.0.1`` and ``::1`` are taken as ``host.docker.internal``.

``LOGGING_LEVEL``
    What is sent: this level and above, ``INFO`` by default, of what vLLM logs at
    all; that is ``VLLM_LOGGING_LEVEL``'s to say (with a log configuration vLLM
    does not heed ``--log-level``).

``LOGGING_ENDPOINT_TOKEN``
    Sent as a bearer token.

While the endpoint does not answer, the log waits in a queue, and is tried again
with pauses of up to 30 s. What does not fit into the queue is dropped and
counted. A batch whose answer was lost is sent again, so that it can arrive twice.
What is queued at the end is sent within 2 s; of a process that vLLM kills, as it
does with its engine when it is told to stop, the last second can be missing.

Prompts are in the log only if vLLM is told to log requests
(``--enable-log-requests``); then they are sent too.
"""

from __future__ import annotations

import argparse
import copy
import functools
import logging
import logging.config
import os
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from outbox import Endpoint, Shipper

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

AS_IN_0_9_2: dict[str, Any] = {
    "version": 1,
    "formatters": {
        "vllm": {
            "format": "%(levelname)s %(asctime)s [%(filename)s:%(lineno)d] %(message)s",
            "datefmt": "%m-%d %H:%M:%S",
        }
    },
    "handlers": {
        "vllm": {
            "class": "logging.StreamHandler",
            "formatter": "vllm",
            "stream": "ext://sys.stdout",
        }
    },
    "loggers": {"vllm": {"level": "INFO"}},
}
"""For a vLLM that has moved its default configuration elsewhere: better plain than not at all."""


def level(env: Mapping[str, str]) -> int:
    """
    Read ``LOGGING_LEVEL``, in whatever case.

    Raises:
        ValueError: It is none.
    """
    name = (env.get("LOGGING_LEVEL") or "INFO").upper()
    if name not in LEVELS:
        raise ValueError(f"LOGGING_LEVEL is none of {', '.join(LEVELS)}")
    return int(getattr(logging, name))


class ShippingHandler(logging.StreamHandler):  # type: ignore[type-arg]  # not generic before 3.11
    """
    Writes a record as always, then passes it on.

    One handler and not two: vLLM prints its banner only while its logger has
    exactly one, named ``vllm``.
    """

    def __init__(self, stream: Any = None, shipper: Shipper | None = None) -> None:
        super().__init__(stream)
        self._shipper = shipper or shipper_of_this_process()
        self._from_level = level(os.environ)

    def emit(self, record: logging.LogRecord) -> None:
        """Write, then ship; neither raises."""
        super().emit(record)
        if record.levelno >= self._from_level:
            self._shipper.put(record)


@functools.cache
def shipper_of_this_process() -> Shipper:
    """Make the one shipper: vLLM and uvicorn configure logging several times."""
    return Shipper(Endpoint.of(os.environ))


def vllm_handler() -> logging.Handler:
    """Make vLLM's own handler, of the class that ships; vLLM is being imported just now."""
    usual = getattr(sys.modules.get("vllm.logger"), "DEFAULT_LOGGING_CONFIG", AS_IN_0_9_2)
    config = copy.deepcopy(usual)
    config["handlers"]["vllm"]["class"] = f"{__name__}.ShippingHandler"
    logging.getLogger("vllm").setLevel(config["loggers"]["vllm"]["level"])
    return _built(config, "vllm")


def uvicorn_handler(like: str) -> logging.Handler:
    """Make uvicorn's own handler; vLLM gives uvicorn the same file, once that is imported."""
    usual = getattr(sys.modules.get("uvicorn.config"), "LOGGING_CONFIG", None)
    return _built(copy.deepcopy(usual), like) if usual else logging.NullHandler()


def _built(config: dict[str, Any], name: str) -> logging.Handler:
    """Build one handler of a dictConfig, as logging itself would."""
    configurator: Any = logging.config.DictConfigurator(config)
    handler = configurator.config["handlers"][name]
    formatters = configurator.config["formatters"]
    formatter = handler["formatter"]
    formatters[formatter] = configurator.configure_formatter(formatters[formatter])
    built: logging.Handler = configurator.configure_handler(handler)
    return built


class QuietPaths(logging.Filter):
    """Keeps ``--disable-access-log-for-endpoints``, which vLLM forgets over a log configuration."""

    def __init__(self) -> None:
        super().__init__()
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        flag = "disable{0}access{0}log{0}for{0}endpoints"
        parser.add_argument(f"--{flag.format('-')}", f"--{flag.format('_')}", dest="paths")
        given = parser.parse_known_args(sys.argv[1:])[0].paths or ""
        self.paths = {path.strip() for path in given.split(",") if path.strip()}

    def filter(self, record: logging.LogRecord) -> bool:
        """Look at the request's path, the third argument of uvicorn's access records."""
        args = record.args
        if not isinstance(args, tuple) or len(args) < 3:
            return True
        return urlsplit(str(args[2])).path not in self.paths
