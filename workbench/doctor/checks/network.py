"""
The server's port, and proxies on the way to it.
"""

from __future__ import annotations

from .. import sockets
from ..machine import Machine
from .base import Seen, check, passed, warned

PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@check("port", area="network", source="https://docs.kernel.org/networking/proc_net_tcp.html")
def port(machine: Machine) -> Seen:
    """
    Is the server's port free, or is a model server on it?

    A server cannot start on a port that another program has. Under WSL a program of Windows may
    have it: what Windows sends there does not reach the server.
    """
    number = sockets.port_of(machine)
    found = sockets.listening(machine, number)
    if not found:
        return _free_here(machine, number)
    reply = machine.get(f"http://127.0.0.1:{number}/v1/models")
    owner = sockets.owner(machine, found)
    if reply and reply.status in (200, 401, 403):
        return passed(f"port {number} has a server with an OpenAI-compatible API: {owner}")
    answers = f", and answers {reply.status}" if reply else ""
    return warned(
        f"port {number} is taken: {owner} has it{answers}",
        fix=f"sudo ss -ltnp 'sport = :{number}'   # who it is\n"
        "workbench up --port 0   # a free one",
    )


def _free_here(machine: Machine, number: int) -> Seen:
    if other := sockets.owner_in_windows(machine, number):
        return warned(
            f"port {number} is taken in Windows: {other.name} (pid {other.pid}) has it",
            fix=f"# in PowerShell: who it is\nGet-Process -Id {other.pid}\n"
            "workbench up --port 0   # a free one",
        )
    return passed(f"nothing listens on port {number}")


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


CHECKS = (port, proxy)
