"""
Rules for who gets in, and for what gets out: network, keys, tokens, privileges.
"""

from __future__ import annotations

from ...records import Finding, Verdict
from ..effective import Container
from ..interpolation import literal_part
from .base import COMPOSE_SERVICES, Rule, found

API_KEY = "VLLM_API_KEY"
HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
KEY_CHECK = (
    "vLLM vllm/entrypoints/openai/api_server.py (0.9.2), "
    "vllm/entrypoints/serve/middleware/register.py (0.33.0)"
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def host_network(it: Container) -> Finding | None:
    """On the host's network vLLM listens on every address of the host."""
    if it.service.text("network_mode") != "host":
        return None
    if it.arguments and it.arguments.value("--host") in LOOPBACK:
        return None
    port = (it.arguments.value("--port") if it.arguments else None) or "8000"
    return found(
        it,
        "host-network",
        Verdict.WARN,
        seen=it.evidence(it.service.line_of("network_mode")),
        why="vLLM listens on 0.0.0.0: on the host's network everybody who reaches the machine "
        "reaches it. In Docker Desktop it is the other way round: localhost refuses, unless host "
        "networking is switched on there.",
        fix=f'ports:\n  - "127.0.0.1:{port}:{port}"  # and no network_mode: host',
        source="https://docs.docker.com/engine/network/drivers/host/; vLLM "
        "vllm/entrypoints/launchers/launcher.py, 0.33.0: args.host or ''",
    )


def ports_without_effect(it: Container) -> Finding | None:
    """Docker publishes nothing from the host's network."""
    if it.service.text("network_mode") != "host" or not it.service.ports:
        return None
    return found(
        it,
        "ports-without-effect",
        Verdict.WARN,
        seen=it.evidence(it.service.line_of("network_mode"), it.service.line_of("ports")),
        why="On the host's network published ports are discarded: vLLM has its own port there.",
        fix="# delete network_mode: host",
        source="https://docs.docker.com/engine/network/drivers/host/",
    )


def port_open_without_key(it: Container) -> Finding | None:
    """A port on every address, and a server that asks nobody for a key."""
    public = [port for port in it.service.ports if not port.is_loopback]
    if not public or _has_key(it):
        return None
    ports = "\n".join(
        f'  - "127.0.0.1:{port.published or port.target}:{port.target}"' for port in public
    )
    return found(
        it,
        "port-open-without-key",
        Verdict.WARN,
        seen=it.evidence(*(port.line for port in public)),
        why="A port without an address is published on every one, past the host's firewall, and "
        "vLLM is not given an API key: who reaches the machine can use it.",
        fix=f"ports:\n{ports}\nenvironment:\n  {API_KEY}: ${{{API_KEY}:-}}  # with a key in .env",
        source="https://docs.docker.com/engine/network/port-publishing/; " + KEY_CHECK,
    )


def openai_api_key(it: Container) -> Finding | None:
    """The name is the client's; the server reads another."""
    variable = it.service.environment.get("OPENAI_API_KEY")
    if variable is None or _has_key(it) or it.service.passes(API_KEY):
        return None
    return found(
        it,
        "openai-api-key-in-server",
        Verdict.WARN,
        seen=it.evidence(variable.line),
        why=f"Clients read OPENAI_API_KEY. The server reads {API_KEY} or --api-key; so it asks "
        "nobody for a key.",
        fix=f"environment:\n  {API_KEY}: ${{{API_KEY}:-}}  # empty: no key is asked for",
        source="vLLM vllm/envs.py, 0.9.2 to 0.33.0",
    )


def hub_token_not_passed(it: Container) -> Finding | None:
    """A token in the host's shell is not one in the container."""
    model = it.model or ""
    if not model.startswith("meta-llama/") or it.service.passes(*HUB_TOKENS):
        return None
    if it.service.get("secrets") or (it.arguments and it.arguments.has("--hf-token")):
        return None
    return found(
        it,
        "hf-token-not-passed",
        Verdict.FAIL,
        seen=f"{it.evidence(it.line_with(model))}\nservice {it.service.name} has no HF_TOKEN",
        why=f"{model} is gated. A token that is exported on the host reaches the container only if "
        "it is named under environment; without it the hub answers 401.",
        fix="environment:\n  HF_TOKEN: ${HF_TOKEN:-}",
        source="huggingface_hub/utils/_auth.py, 0.33 and 2.4; " + COMPOSE_SERVICES + "#environment",
    )


def secret_in_file(it: Container) -> Finding | None:
    """A compose file is committed and passed on; a secret in it too."""
    environment = it.service.environment
    written = {
        name: environment[name].line
        for name in (API_KEY, *HUB_TOKENS)
        if name in environment and literal_part(environment[name].raw).strip("$ ")
    }
    for option, name in (("--api-key", API_KEY), ("--hf-token", "HF_TOKEN")):
        values = it.arguments.values(option) if it.arguments else ()
        if any(value in text.raw for value in values for text in it.service.texts("command")):
            written[name] = it.line_with(option)
    if not written:
        return None
    return found(
        it,
        "secret-in-file",
        Verdict.WARN,
        seen=it.evidence(*written.values()),
        why="Whoever gets the file gets the secret, and git keeps it.",
        fix="environment:\n"
        + "\n".join(f"  {name}: ${{{name}:-}}" for name in written)
        + "\n# and in .env, which git ignores:\n# "
        + "\n# ".join(f"{name}=…" for name in written),
        source="https://docs.docker.com/compose/how-tos/environment-variables/best-practices/",
    )


def privileged(it: Container) -> Finding | None:
    """A GPU needs devices, not everything."""
    if it.service.text("privileged") != "true":
        return None
    instead = "devices:\n  - /dev/dxg" if it.on_wsl else "devices:\n  - /dev/kfd\n  - /dev/dri"
    return found(
        it,
        "privileged",
        Verdict.WARN,
        seen=it.evidence(it.service.line_of("privileged")),
        why="The container may do to the host whatever root may. vLLM needs its GPU only.",
        fix=f"{instead}  # and no privileged: true" if it.is_rocm else "# delete privileged: true",
        source=COMPOSE_SERVICES + "#privileged; " + "https://docs.docker.com/engine/security/",
    )


def logging_variables_unread(it: Container) -> Finding | None:
    """The names that vLLM reads begin with VLLM_."""
    environment = it.service.environment
    if it.is_wrapped:  # the program before vLLM may well read them
        return None
    unread = [name for name in ("LOGGING_ENDPOINT",) if it.service.value(name)]
    if "LOGGING_LEVEL" in environment and "VLLM_LOGGING_LEVEL" not in environment:
        unread.append("LOGGING_LEVEL")
    if not unread:
        return None
    level = it.service.value("LOGGING_LEVEL") or "info"
    return found(
        it,
        "logging-variables-unread",
        Verdict.WARN,
        seen=it.evidence(*(environment[name].line for name in unread)),
        why=f"vLLM does not read {' or '.join(unread)}: nobody in the container does.",
        fix=f"environment:\n  VLLM_LOGGING_LEVEL: {level}  # an endpoint is for the client's side",
        source="vLLM vllm/envs.py, 0.9.2 to 0.33.0",
    )


def _has_key(it: Container) -> bool:
    given = it.arguments.values("--api-key") if it.arguments else ()
    return any(given) or bool(it.service.value(API_KEY))


RULES: tuple[Rule, ...] = (
    hub_token_not_passed,
    secret_in_file,
    port_open_without_key,
    host_network,
    ports_without_effect,
    openai_api_key,
    privileged,
    logging_variables_unread,
)
