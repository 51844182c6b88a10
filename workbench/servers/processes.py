"""
Which processes belong to a server, told so that it stays true.

vLLM is two or three processes (API server, EngineCore, perhaps a Worker). If
the first is killed the others live on and keep memory and port. All share the session
that the first began (``start_new_session``), and Linux gives a process id to
nobody else while it is still the id of a session; so the session is the
handle that survives whatever dies. vLLM rewrites its processes' titles and
with them ``/proc/PID/environ``, so a mark in the environment would be lost.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """
    The session of a started server, as written into ``server.json``.

    Args:
        leader: Process id of the first process, and id of the session.

        started_ticks: The leader's start in clock ticks since boot. Wall
            clocks jump under WSL when Windows sleeps; this does not.

        boot_id: Names the boot of the kernel, and the process-id namespace
            (a container's), in which the ids mean something.
    """

    leader: int
    started_ticks: int
    boot_id: str

    @classmethod
    def of(cls, leader: int) -> ProcessGroup:
        """Describe the session that process *leader* began."""
        stat = _stat(leader)
        return cls(leader, stat.started_ticks if stat else 0, _boot_id())

    def members(self) -> tuple[int, ...]:
        """List its living processes, the leader first if it lives."""
        if self.boot_id != _boot_id():
            return ()
        leader = _stat(self.leader)
        if leader and leader.started_ticks != self.started_ticks:
            return ()  # the id went to a stranger, so no process of ours is left
        return tuple(
            stat.pid for stat in _all_stats() if stat.session == self.leader and stat.state != "Z"
        )

    def stop(self, *, grace_s: float) -> bool:
        """
        End all members: SIGTERM, then SIGKILL for whoever is left after *grace_s*.

        Returns:
            Whether there was a process to end.
        """
        if not self.members():
            return False
        for signum, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, grace_s)):
            self._signal(signum)
            deadline = time.monotonic() + wait_s
            while self.members() and time.monotonic() < deadline:
                time.sleep(POLL_S)
        return True

    def terminate(self) -> None:
        """Ask all members to end, and do not wait for it."""
        self._signal(signal.SIGTERM)

    def _signal(self, signum: signal.Signals) -> None:
        for pid in self.members():
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                pass  # it ended between the look and the signal, which is what is wanted


class Child:
    """
    A process that was started here and may outlive whoever started it.

    ``subprocess.Popen`` warns when it is forgotten while its process runs,
    which is what a server is for.
    """

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.pid = popen.pid
        self._exit_code: int | None = None
        popen.returncode = 0  # no word of it again: it is asked after by its id, below

    def poll(self) -> int | None:
        """Return its exit status, negative for a signal; ``None`` while it runs."""
        return self._wait(os.WNOHANG)

    def wait(self) -> None:
        """Wait until it has ended, so that it does not stay a zombie."""
        self._wait(0)

    def _wait(self, options: int) -> int | None:
        if self._exit_code is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:  # somebody else has waited for it
                return None
            if pid:
                self._exit_code = os.waitstatus_to_exitcode(status)
        return self._exit_code


@dataclass(frozen=True, slots=True)
class _Stat:
    pid: int
    state: str
    session: int
    started_ticks: int


def _stat(pid: int) -> _Stat | None:
    """Read /proc/PID/stat; fields are numbered as in proc(5), from 1."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name (field 2) is in brackets and may hold spaces and brackets itself.
    rest = text[text.rindex(")") + 2 :].split()
    return _Stat(pid, state=rest[0], session=int(rest[3]), started_ticks=int(rest[19]))


def _all_stats() -> Iterator[_Stat]:
    pids = sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return (stat for pid in pids if (stat := _stat(pid)))


def rss_bytes(pids: Iterable[int]) -> int:
    """Sum the resident memory of processes; pages they share count once for each."""
    return sum(map(_rss_bytes, pids))


def _rss_bytes(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _boot_id() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def port_owner(port: int) -> str | None:
    """Name who listens on a local TCP *port*, if this user may know."""
    import psutil  # not at the top: only a failed start asks

    try:
        found = next(
            (
                connection.pid
                for connection in psutil.net_connections("tcp")
                if connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == port
                and connection.pid
            ),
            None,
        )
        return f"{psutil.Process(found).name()} (pid {found})" if found else None
    except psutil.Error:
        return None
