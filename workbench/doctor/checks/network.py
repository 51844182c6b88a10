"""
The server's port, who can reach it, and proxies in between.
"""

from __future__ import annotations

import ipaddress
import re

from ..machine import Machine
from .base import Seen, check, passed, skipped, warned

DEFAULT_PORT = "8000"

_LISTENS = "0A"
"""A socket's state in /proc/net/tcp (include/net/tcp_states.h)."""

PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@check("port", area="network", source="https://docs.kernel.org/networking/proc_net_tcp.html")
def port(machine: Machine) -> Seen:
    """
    Is the server's port free, or is a model server on it?

    A server cannot start on a port that another program has.
    """
    number = _port(machine)
    if not _listening(machine, number):
        return passed(f"nothing listens on port {number}")
    reply = machine.get(f"http://127.0.0.1:{number}/v1/models")
    if reply and reply.status in (200, 401, 403):
        return passed(f"port {number} has a server with an OpenAI-compatible API")
    return warned(
        f"port {number} is taken" + (f", by a server that answers {reply.status}" if reply else ""),
        fix=f"sudo ss -ltnp 'sport = :{number}'   # who it is\n"
        "workbench up --port 0   # a free one",
    )


@check("open-without-key", area="network", source="https://docs.vllm.ai/en/latest/usage/security/")
def open_without_key(machine: Machine) -> Seen:
    """
    Who can reach the server, and does it ask for a key?

    On 0.0.0.0 everybody in the network can use the card, read the metrics and, without a key, ask
    the model. vLLM guards /v1 only: /metrics and /tokenize answer without the key.
    """
    number = _port(machine)
    addresses = _listening(machine, number)
    if not addresses:
        return skipped(f"nothing listens on port {number}")
    reached = [address for address in addresses if not ipaddress.ip_address(address).is_loopback]
    reply = machine.get(f"http://127.0.0.1:{number}/v1/models")
    keyless = reply is not None and reply.status == 200
    answer = "answers without a key" if keyless else "gives nothing out without a key"
    seen = f"port {number} on {', '.join(addresses)}; /v1/models {answer}"
    if reached and keyless:
        return warned(
            seen,
            fix='# publish on this machine only\nports: ["127.0.0.1:8000:8000"]\n'
            "# or ask for a key, in .env\nVLLM_API_KEY=$(openssl rand -hex 16)",
        )
    return passed(seen)


@check("proxy", area="network", source="https://www.python-httpx.org/environment_variables/")
def proxy(machine: Machine) -> Seen:
    """
    Do requests to this machine's own server go through a proxy?

    A proxy looks for 127.0.0.1 on its own machine, and some hold a stream back until it is whole.
    The workbench itself never sends these through one; curl and other programs do.
    """
    named = [name for name in (*PROXIES, *map(str.upper, PROXIES)) if machine.variables.get(name)]
    if not named:
        return passed("no proxy is set")
    listed = machine.variables.get("no_proxy") or machine.variables.get("NO_PROXY") or ""
    exempt = {part.strip() for part in listed.split(",")}
    if "*" in exempt or {"localhost", "127.0.0.1"} <= exempt:
        return passed(f"{', '.join(named)}; not for this machine (no_proxy)")
    return warned(
        f"{', '.join(named)} set, and no_proxy has not both localhost and 127.0.0.1",
        fix="export no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1",
    )


def _port(machine: Machine) -> int:
    told = machine.variables.get("WORKBENCH_PORT") or DEFAULT_PORT
    return int(told) if told.isdigit() else int(DEFAULT_PORT)


def _listening(machine: Machine, number: int) -> list[str]:
    """List the addresses on which something listens on a port."""
    found = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for address, hexadecimal, state in re.findall(
            r"^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ ([0-9A-F]{2}) ",
            machine.read(path) or "",
            re.MULTILINE,
        ):
            if state == _LISTENS and int(hexadecimal, 16) == number:
                found.append(_address(address))
    return sorted(set(found))


def _address(hexadecimal: str) -> str:
    """Read an address as the kernel writes it: words of four bytes, each back to front."""
    words = [bytes.fromhex(hexadecimal[at : at + 8])[::-1] for at in range(0, len(hexadecimal), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


CHECKS = (port, open_without_key, proxy)
