"""How a container ended, told from the daemon's events."""

from __future__ import annotations

import pytest

from workbench.records import Death
from workbench.servers.containers import Ended


def told(*actions: str) -> Death | None:
    """Feed events; ``die 1`` has its exit status with it."""
    ended = Ended()
    for action in actions:
        name, _, code = action.partition(" ") if action.startswith("die") else (action, "", "")
        ended.feed({"Action": name, "Actor": {"Attributes": {"exitCode": code}}})
    return ended.death


@pytest.mark.parametrize(
    ("events", "death"),
    [
        (["start"], None),
        (["start", "die 1"], Death(1)),
        # Docker starts it again, and we end that second life: the first death is the cause.
        (["start", "die 1", "start", "kill", "die 137"], Death(1)),
        (["start", "kill", "die 143"], None),
        (["start", "kill", "kill", "die 137"], None),
        (["start", "oom", "die 137"], Death(137, oom_killed=True)),
        # It recovered; what it died of then is not what ended it now.
        (["start", "die 139", "start", "health_status: healthy", "kill", "die 0"], None),
        (["start", "oom", "die 137", "start", "die 1"], Death(1)),
    ],
)
def test_a_death_that_was_asked_for_is_none(events, death):
    """Stopping is not dying, and a death is remembered until it is healthy again."""
    assert told(*events) == death
