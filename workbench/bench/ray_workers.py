"""
The same load from the machines of a Ray cluster: ``--workers ray://HOST:PORT``.

A :class:`Relay` on each node starts processes there and passes on what they say, so that the
lead (:mod:`.crew`) has one crew of all. What a node needs besides Ray is this package, which
goes there with the connection: what sends needs nothing but the standard library.

A node's clock is its own. It is measured before the load and when it has ended (:mod:`.clocks`),
and all times are moved to this machine's. TTFT and gaps are differences on one machine, which
no clock's error touches; it is in what lies between requests of different machines.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import ConfigError, MissingDependencyError, WorkbenchError
from . import clocks
from .arrivals import Times
from .clocks import Offset
from .crew import Word, lead
from .http1 import Target
from .load import Interrupted, Load, OnProgress, Workers
from .loop import CHECK_S
from .processes import Processes, suited
from .sockets import CONNECT_S
from .split import Share, shifted, split

START_S = 60.0
"""The package has to come to the node, and its Ray has to start a process."""

CLOSE_S = 5.0
BEGIN_S = 0.5
"""Above any round trip within a continent; who hears it later begins late, and that is measured."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PACKAGE = Path(__file__).parents[1]
EXAMPLES = "ray://HOST:10001; on one of the cluster's machines also `auto`, or HOST:6379."


def checked(address: str) -> str:
    """
    Return a cluster's address as Ray takes it.

    Raises:
        ConfigError: It is none.
    """
    if address == "local":
        raise ConfigError(
            "`local` would be a cluster of this machine alone.",
            hint="Several processes here need no Ray: --processes N.",
            key="workers",
        )
    if address != "auto" and not re.fullmatch(r"(ray://)?(\[[\da-fA-F:]+\]|[\w.-]+):\d+", address):
        raise ConfigError(
            f"{address!r} is no address of a Ray cluster.", hint=EXAMPLES, key="workers"
        )
    return address


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """
    Be connected to a cluster meanwhile, if one is named; who is connected already stays so.

    Raises:
        MissingDependencyError: Ray is not installed.

        ConfigError: No cluster answers there, or one of another version.
    """
    if address is None:
        yield
        return
    checked(address)
    ray = _library()
    if ray.is_initialized():
        yield
        return
    answering(address)
    try:
        ray.init(
            address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"py_modules": [str(PACKAGE)], "excludes": ["__pycache__"]},
        )
    except (ConnectionError, RuntimeError, ValueError, ImportError) as exc:
        raise _no_cluster(address, exc) from exc
    try:
        yield
    finally:
        with undisturbed():
            ray.shutdown()


def answering(address: str) -> None:
    """
    See that something listens there: Ray itself waits for two minutes.

    Raises:
        ConfigError: Nothing does.
    """
    if address == "auto":
        return  # Ray knows where it is, or that there is none
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    except OSError as exc:
        raise _no_cluster(address, exc) from exc


@contextmanager
def undisturbed() -> Iterator[None]:
    """
    Hold Ctrl-C back until the end of this.

    A call of Ray's client that is broken off can leave its connection so that
    all later ones wait for ever. So nothing that waits long may be in here.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # where no signal is handled
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def _library() -> Any:
    try:
        import ray
    except ImportError as exc:
        raise MissingDependencyError(
            "--workers spreads the load over a Ray cluster, and Ray is not installed.",
            hint="pip install 'vllm-workbench[ray]'",
            package="ray",
            key="workers",
        ) from exc
    return ray


def _no_cluster(address: str, exc: Exception) -> ConfigError:
    said = str(exc).strip().splitlines() or [type(exc).__name__]
    return ConfigError(
        f"No Ray cluster can be used at {address}: {said[0]}",
        hint=f"Is it up (`ray status` there), with this Ray and Python? Its address: {EXAMPLES}",
        key="workers",
    )


def run(
    target: Target,
    requests: Sequence[bytes],
    due_s: Times,
    *,
    address: str,
    processes: int | None = None,
    concurrency: int | None = None,
    stop_s: float | None = None,
    patience_s: float = 600.0,
    on_progress: OnProgress | None = None,
) -> Load:
    """
    Do what :func:`workbench.bench.processes.run` does, from each node of a cluster.

    Args:
        processes: On each node; ``None``: what suits it.

    Raises:
        WorkbenchError: The cluster cannot be used, a node failed before the beginning,
            or all did after it.

        Interrupted: By the user; it has what there was until then.
    """
    whole = Share(
        target=target,
        requests=requests,
        due_s=due_s,
        concurrency=concurrency,
        stop_s=stop_s,
        patience_s=patience_s,
    )
    with connected(address), Nodes(whole, processes) as crew:
        crew.start()
        try:
            return replace(lead(crew, crew.shares, on_progress), workers=crew.told())
        except Interrupted as exc:
            raise Interrupted(replace(exc.load, workers=crew.told())) from None


# --- On a node ---


class Relay(Processes):
    """Runs on a node: a crew there, and the clock that its times are of."""

    def clock(self) -> float:
        """Return what its monotonic clock says."""
        return time.monotonic()

    def machine(self) -> str:
        """Say which machine it is: two nodes may be one."""
        return BOOT_ID.read_text()


# --- Here ---


@dataclass(slots=True, eq=False)
class Node:
    """
    One of the cluster, and what is known of its clock.

    Args:
        members: By the order in which it has them, their numbers in the whole crew.
    """

    name: str
    actor: Any
    members: list[int]
    clock: Offset = field(default_factory=lambda: Offset(offset_s=0.0, error_s=0.0))
    speak: set[int] = field(default_factory=set)
    lost: bool = False


class Nodes:
    """A crew of all nodes' processes; a context that leaves none behind."""

    begins_in_s = BEGIN_S

    def __init__(self, whole: Share, processes: int | None) -> None:
        self._ray = _library()
        found = [each for each in self._ray.nodes() if each["Alive"] and _cores(each)]
        used = found[: whole.streams]
        if not used:
            raise ConfigError("The Ray cluster has no node with a core.", key="workers")
        each = [processes or suited(-(-whole.streams // len(used)), _cores(node)) for node in used]
        owners = _in_turn(each)[: whole.streams]
        self.shares = split(whole, len(owners))
        self._nodes: list[Node] = []
        for at, node in enumerate(used):
            members = [number for number, owner in enumerate(owners) if owner == at]
            self._nodes.append(Node(_name(node), self._actor(node["NodeID"]), members))
        self._asked: dict[Any, Node] = {}

    def _actor(self, node_id: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # While one of its methods waits for words, others are called.
        options = {"num_cpus": 1, "max_concurrency": 4, "max_restarts": 0}
        there = NodeAffinitySchedulingStrategy(node_id, soft=False)
        with undisturbed():
            return self._ray.remote(Relay).options(**options, scheduling_strategy=there).remote()

    def start(self) -> None:
        """
        Have each node start its processes, and lay its clock beside this one.

        Raises:
            WorkbenchError: One of them cannot.
        """
        for node in self._nodes:
            with self._named(node):
                self._check(node)
                node.clock = self._measured(node)
        for node in self._nodes:
            shares = [self.shares[number] for number in node.members]
            node.speak = set(node.members)
            with self._named(node):
                self._got(node.actor.start, shares)
            with undisturbed():
                self._asked[node.actor.heard.remote()] = node

    def _got(self, method: Any, *arguments: Any) -> Any:
        """Call what may take a while, and let Ctrl-C through a few times a second."""
        with undisturbed():
            asked = [method.remote(*arguments)]
        until_s = time.monotonic() + START_S
        while time.monotonic() < until_s:
            with undisturbed():
                ready, _ = self._ray.wait(asked, timeout=CHECK_S)
                if ready:
                    return self._ray.get(asked[0])
        raise self._ray.exceptions.GetTimeoutError(f"no answer in {START_S:g} s")

    def _check(self, node: Node) -> None:
        """See that an address of this machine is not meant for another."""
        machine = self._got(node.actor.machine)
        host = self.shares[0].target.host
        if _is_loopback(host) and machine != BOOT_ID.read_text():
            raise ConfigError(
                f"{host} is this machine here, and on the worker {node.name} another one.",
                hint="An address that all of them reach: --base-url http://HOST:PORT/v1",
                key="base_url",
            )

    def heard(self) -> list[tuple[int, Word]]:
        """Wait for words a quarter of a second at most; return them, with who said each."""
        with undisturbed():
            ready, _ = self._ray.wait(list(self._asked), num_returns=1, timeout=CHECK_S)
            return [word for ref in ready for word in self._words(ref, self._asked[ref])]

    def _words(self, ref: Any, node: Node) -> list[tuple[int, Word]]:
        try:
            said: list[tuple[int, Word]] = self._ray.get(ref)
            words = [(node.members[at], self._here(word, node)) for at, word in said]
        except self._ray.exceptions.RayError as exc:
            node.lost = True
            gone = _lost(node, exc)
            words = [(number, gone) for number in node.speak]
        node.speak -= {number for number, word in words if isinstance(word, (Load, BaseException))}
        if node.speak:
            self._asked[node.actor.heard.remote()] = node
        del self._asked[ref]
        return words

    def _here(self, word: Word, node: Node) -> Word:
        """Move a word to this machine's clock, and name who failed."""
        match word:
            case Load():
                node.clock = clocks.between(node.clock, self._measured(node))
                return shifted(word, -node.clock.offset_s)
            case Interrupted():
                return Interrupted(shifted(word.load, -node.clock.offset_s))
            case WorkbenchError():
                node.lost = True
                return type(word)(f"Worker {node.name}: {word.message}", hint=word.hint)
            case _:
                return word

    def _measured(self, node: Node) -> Offset:
        def asked() -> float:
            with undisturbed():
                now_s: float = self._ray.get(node.actor.clock.remote(), timeout=START_S)
            return now_s

        return clocks.measured(asked)

    def begin(self, at_s: float) -> None:
        """Tell all when to begin, each by its own clock."""
        with undisturbed():
            for node in self._nodes:
                node.actor.begin.remote(at_s + node.clock.offset_s)

    def stop(self) -> None:
        """Have all stop, and say what they have until then."""
        with undisturbed():
            for node in self._nodes:
                node.actor.stop.remote()

    def told(self) -> Workers:
        """Say who they were, and how well their clocks are known."""
        return Workers(
            names=tuple(node.name for node in self._nodes),
            processes=len(self.shares),
            clock_error_s=max(node.clock.error_s for node in self._nodes),
            lost=tuple(node.name for node in self._nodes if node.lost),
        )

    @contextmanager
    def _named(self, node: Node) -> Iterator[None]:
        """Say of an error which node it was."""
        try:
            yield
        except self._ray.exceptions.GetTimeoutError as exc:
            raise WorkbenchError(
                f"Worker {node.name} did not start in {START_S:g} s.",
                hint="It takes one free core of each node: what `ray status` shows as CPU.",
            ) from exc
        except self._ray.exceptions.RayError as exc:
            raise _lost(node, exc) from exc

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *_error: object) -> None:
        with undisturbed():
            for node in self._nodes:
                with suppress(self._ray.exceptions.RayError):  # gone, which is what was wanted
                    self._ray.get(node.actor.close.remote(), timeout=0 if node.lost else CLOSE_S)
                self._ray.kill(node.actor)


def _in_turn(counts: Sequence[int]) -> list[int]:
    """Deal out: each a first one, then each that takes more a second …"""
    return [
        at for turn in range(max(counts)) for at, count in enumerate(counts) if turn < count
    ]  # fmt: skip


def _cores(node: dict[str, Any]) -> int:
    return int(node["Resources"].get("CPU", 0))


def _name(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerAddress']} ({node['NodeID'][:6]})"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _lost(node: Node, exc: Exception) -> WorkbenchError:
    # Ray's message is a paragraph; what it begins with is the kind.
    return WorkbenchError(
        f"Worker {node.name} is lost ({type(exc).__name__}).",
        hint="Ray's logs on that machine say why: /tmp/ray/session_latest/logs.",
    )
