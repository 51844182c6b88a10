"""
What runs in the container before vLLM, and then becomes vLLM.

::

    python3 /workbench/start.py vllm serve --model …

1. Under WSL it gives vLLM what it lacks there (``wsl.py``).
2. With ``LOGGING_ENDPOINT`` it has vLLM's log sent there too (``ship_logs.py``).
3. It says in one line what it did, and replaces itself by the rest of its arguments.

Nothing that the user has set is overridden. It runs in whatever Python the
image has, 3.10 or later, and needs only the standard library.

Exit statuses: 2 nothing to run, 65 and 73 see ``wsl.py``, 126 and 127 as a
shell has them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

import wsl

HERE = Path(__file__).resolve().parent


def main(command: list[str]) -> int:
    """Prepare, then become *command*; it returns only if that is not possible."""
    if not command:
        return failed(2, "nothing to run; the service's entrypoint ends with: vllm serve")
    root = Path(os.environ.get("START_ROOT", "/"))  # the tests have another
    try:
        done = [*wsl.prepare(root, os.environ), *ship_the_log(os.environ)]
    except wsl.PrepareError as exc:
        return failed(exc.status, str(exc))
    sys.stdout.write(f"start.py: {'; '.join(done) or 'nothing to prepare'}\n")
    sys.stdout.flush()  # what is still buffered does not survive the exec
    return become(command)


def ship_the_log(env: MutableMapping[str, str]) -> list[str]:
    """Point vLLM at the log configuration that also ships, if an endpoint is set."""
    if not env.get("LOGGING_ENDPOINT"):
        return []
    from outbox import Endpoint
    from ship_logs import level

    try:
        endpoint = Endpoint.of(env)
        level(env)
    except ValueError as exc:  # a log that cannot be shipped is no reason not to serve
        return [f"the log is not shipped: {exc}"]
    if env.get("VLLM_LOGGING_CONFIG_PATH") or env.get("VLLM_CONFIGURE_LOGGING") == "0":
        return ["the log is not shipped: VLLM_LOGGING_CONFIG_PATH or VLLM_CONFIGURE_LOGGING is set"]
    env["VLLM_LOGGING_CONFIG_PATH"] = str(HERE / "logging.json")
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), env.get("PYTHONPATH")]))
    return [f"the log goes to {endpoint.shown} too"]


def become(command: list[str]) -> int:
    """Replace this process, so that signals and the exit status are vLLM's own."""
    try:
        os.execvp(command[0], command)
    except FileNotFoundError:
        return failed(127, f"there is no {command[0]} on PATH: is vLLM in this image?")
    except OSError as exc:
        return failed(126, f"{command[0]} cannot be run: {exc.strerror}")


def failed(status: int, why: str) -> int:
    """Say *why* on stderr."""
    sys.stderr.write(f"start.py: {why}.\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
