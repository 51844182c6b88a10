"""
Rules for what Compose itself stops at, or passes over with a warning.
"""

from __future__ import annotations

import difflib
import re

from ...records import Finding, Verdict
from ..effective import Container
from .base import COMPOSE_SERVICES, Rule, found

INTERPOLATION = "https://docs.docker.com/reference/compose-file/interpolation/"

_SERVICE_KEYS = frozenset(
    re.findall(
        r"\w+",
        """annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command
    configs container_name cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period
    cpu_rt_runtime cpu_shares
    cpus cpuset credential_spec depends_on deploy develop device_cgroup_rules devices dns dns_opt
    dns_search domainname entrypoint env_file environment expose extends external_links extra_hosts
    gpus group_add healthcheck hostname image init ipc isolation label_file labels links logging
    mac_address mem_limit mem_reservation mem_swappiness memswap_limit models network_mode networks
    oom_kill_disable oom_score_adj pid pids_limit platform ports post_start pre_stop privileged
    profiles provider pull_policy pull_refresh_after read_only restart runtime scale secrets
    security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty
    ulimits use_api_socket user userns_mode uts volumes volumes_from working_dir""",
    )
)
"""Those of the JSON schema in Compose 2.26, and later ones of the Compose Specification."""


def unknown_service_key(it: Container) -> Finding | None:
    """Compose rejects a file with a key that it does not know."""
    unknown = [
        name
        for name in it.service.fields.nodes
        if name not in _SERVICE_KEYS and not name.startswith("x-")
    ]
    if not unknown:
        return None
    near = difflib.get_close_matches(unknown[0], _SERVICE_KEYS, 1)
    return found(
        it,
        "unknown-service-key",
        Verdict.FAIL,
        seen=it.evidence(*(it.service.line_of(name) for name in unknown)),
        why="Compose knows no such key of a service and rejects the whole file.",
        fix=f"{near[0]}:"
        if near
        else f"x-{unknown[0]}:  # Compose passes over what begins with x-",
        source=COMPOSE_SERVICES,
    )


def variable_missing(it: Container) -> Finding | None:
    """What is required with ${A:?} has to be there before Compose does anything."""
    missing = [text for text in it.scalars if text.required]
    if not missing:
        return None
    names = sorted({name for text in missing for name in text.required})
    return found(
        it,
        "variable-required",
        Verdict.FAIL,
        seen=it.evidence(*(text.line for text in missing)),
        why=f"{', '.join(names)} must be set, and is not: Compose stops before it starts anything.",
        fix="# in .env\n" + "\n".join(f"{name}=" for name in names),
        source=INTERPOLATION,
    )


def variable_unset(it: Container) -> Finding | None:
    """A variable without value and default leaves a hole."""
    unset = [text for text in it.scalars if text.unset]
    if not unset:
        return None
    names = sorted({name for text in unset for name in text.unset})
    return found(
        it,
        "variable-unset",
        Verdict.WARN,
        seen=it.evidence(*(text.line for text in unset)),
        why=f"{', '.join(names)} is not set here and has no default; Compose puts nothing in its "
        "place and warns.",
        fix="\n".join(f"${{{name}:-}}  # or a default after the dash" for name in names),
        source=INTERPOLATION,
    )


def env_file_missing(it: Container) -> Finding | None:
    """Compose does not start without a file that it is told to read."""
    missing = [
        (path, line) for path, line, must in it.service.env_files if must and not path.is_file()
    ]
    if not missing:
        return None
    return found(
        it,
        "env-file-missing",
        Verdict.FAIL,
        seen=it.evidence(*(line for _, line in missing)),
        why=f"{missing[0][0].name} is not there, and Compose stops.",
        fix=f"env_file:\n  - path: {missing[0][0].name}\n    required: false",
        source=COMPOSE_SERVICES + "#env_file",
    )


RULES: tuple[Rule, ...] = (
    unknown_service_key,
    variable_missing,
    env_file_missing,
    variable_unset,
)
