"""
Who listens on a port, here and, under WSL, in Windows.
"""

from __future__ import annotations

import csv
import ipaddress
import re
from dataclasses import dataclass

from . import facts
from .machine import Machine, Owner

DEFAULT_PORT = 8000

_LISTENS = "0A"
"""A socket's state in /proc/net/tcp (include/net/tcp_states.h)."""

# sl local:port remote:port st tx:rx tr:tm retransmits uid timeout inode
_LINE = re.compile(
    r"^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) \S+ ([0-9A-F]{2}) "
    r"\S+ \S+ \S+\s+\d+\s+\d+ (\d+)",
    re.MULTILINE,
)

FORWARDERS = frozenset({"wslrelay.exe", "com.docker.backend.exe", "wslhost.exe"})
"""Programs of Windows that hand a port on to Linux: what they listen on is ours."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A socket that waits for connections."""

    address: str
    inode: str

    @property
    def is_reached(self) -> bool:
        """Whether others than this machine can reach it."""
        return not ipaddress.ip_address(self.address).is_loopback


def port_of(machine: Machine) -> int:
    """Return the port that the server has, or will have."""
    started = _port_of_started(machine)
    if started and listening(machine, started):
        return started
    told = machine.variables.get("WORKBENCH_PORT", "").strip()
    number = int(told) if re.fullmatch(r"[0-9]{1,5}", told) else 0
    return number if 0 < number < 65536 else DEFAULT_PORT


def _port_of_started(machine: Machine) -> int | None:
    """Read which port `workbench up` took; 0 had it take any."""
    told = facts.as_mapping(machine.read(facts.state_dir(machine) / "server.json") or "")
    spec = told.get("spec")
    port = spec.get("port") if isinstance(spec, dict) else None
    return port if isinstance(port, int) else None


def listening(machine: Machine, port: int) -> list[Listening]:
    """List who listens on a port of this Linux."""
    found = {
        Listening(_address(address), inode)
        for path in ("/proc/net/tcp", "/proc/net/tcp6")
        for address, hexadecimal, state, inode in _LINE.findall(machine.read(path) or "")
        if state == _LISTENS and int(hexadecimal, 16) == port
    }
    return sorted(found, key=lambda it: it.address)


def owner(machine: Machine, sockets: list[Listening]) -> str:
    """Name whose they are, as far as this user may know."""
    owners = {machine.owner_of(it.inode) for it in sockets}
    known = sorted(f"{it.name} (pid {it.pid})" for it in owners if it)
    return ", ".join(known) or "a process of another user"


def owner_in_windows(machine: Machine, port: int) -> Owner | None:
    """Find the program of Windows that has a port for itself; ``None`` if none has, or unknown."""
    if not facts.is_wsl(machine):
        return None
    ran = machine.run("netstat.exe", "-ano", "-p", "TCP")
    # The state's word is translated; that there is no other side is not.
    found = re.search(rf"^\s*TCP\s+\S+:{port}\s+\S+:0\s+\S+\s+(\d+)\s*$", ran.out, re.MULTILINE)
    if found is None:
        return None
    pid = int(found[1])
    ran = machine.run("tasklist.exe", "/FI", f"PID eq {pid}", "/FO", "CSV", "/NH")
    row = next((row for row in csv.reader(ran.out.splitlines()) if row[1:2] == [str(pid)]), None)
    name = row[0] if row else "a program"
    return None if name.lower() in FORWARDERS else Owner(pid, name)


def _address(hexadecimal: str) -> str:
    """Read an address as the kernel writes it: words of four bytes, each back to front."""
    words = [bytes.fromhex(hexadecimal[at : at + 8])[::-1] for at in range(0, len(hexadecimal), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
