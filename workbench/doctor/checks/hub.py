"""
The Hugging Face hub: can it be reached, and does it give out the model that is wanted?
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

from .. import facts
from ..machine import Machine, Reply
from .base import Seen, check, passed, skipped, warned

HUB = "https://huggingface.co"

MOST_SKEW_S = 60.0
"""Certificates and signed addresses of storage allow minutes; a clock that drifts goes further."""


@check(
    "hub-answers",
    area="hub",
    source="https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables",
)
def hub_answers(machine: Machine) -> Seen:
    """
    Can the hub be reached?

    Models are fetched from there. What is in models/ already needs no hub.
    """
    if _offline(machine):
        return skipped("HF_HUB_OFFLINE is set: no hub is asked")
    reply = _ask(machine)
    if reply and reply.status < 500:
        return passed(f"{_hub(machine)} answers")
    return warned(
        f"{_hub(machine)}: {f'status {reply.status}' if reply else 'no answer'}",
        fix=f"curl -I {_hub(machine)}   # the network, a proxy?\n"
        "# a mirror's address, in .env: HF_ENDPOINT=https://…",
    )


@check("clock", area="hub", source="https://github.com/microsoft/WSL/issues/8204")
def clock(machine: Machine) -> Seen:
    """
    Is this machine's clock right?

    WSL's stands still while Windows sleeps. With a wrong one certificates are refused, and times of
    requests cannot be compared with the server's.
    """
    reply = None if _offline(machine) else _ask(machine)
    if reply is None or not reply.date:
        return skipped("no other clock could be asked")
    try:
        skew_s = machine.now_s() - parsedate_to_datetime(reply.date).timestamp()
    except ValueError:
        return skipped(f"the hub's clock cannot be read: {reply.date[:40]}")
    if abs(skew_s) <= MOST_SKEW_S:
        return passed("within a minute of the hub's")
    ahead = "ahead of" if skew_s > 0 else "behind"
    return warned(
        f"{abs(skew_s):.0f} s {ahead} the hub's",
        fix="sudo hwclock -s   # or: sudo systemctl restart systemd-timesyncd",
    )


@check("hub-token", area="hub", source="https://huggingface.co/docs/hub/security-tokens")
def hub_token(machine: Machine) -> Seen:
    """
    Is there a token for the hub, and does it look like one?

    Models with a licence to accept, such as Llama, are given out with a token only. Others need
    none.
    """
    token = _token(machine)
    if token is None:
        return skipped("none is set; models without a licence to accept need none")
    if token != token.strip() or not re.fullmatch(r"hf_\w{10,}", token.strip()):
        return warned(
            f"the token has {len(token)} characters and does not look like one",
            why="The hub will refuse it, also for models that need no token.",
            fix=f"# make one at {HUB}/settings/tokens, then in .env\nHF_TOKEN=hf_…",
        )
    return passed("there is one, and it looks like one")


@check("model-access", area="hub", source="https://huggingface.co/docs/hub/models-gated")
def model_access(machine: Machine) -> Seen:
    """
    Does the hub give out the model that is set?

    A model with a licence has to be asked for on its page, by the account that the token is of.
    """
    model = machine.variables.get("WORKBENCH_MODEL", "")
    if reason := _nothing_to_ask(machine, model):
        return skipped(reason)
    token = (_token(machine) or "").strip()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    reply = machine.get(f"{_hub(machine)}/api/models/{model}/auth-check", headers=headers)
    if reply is None:
        return skipped("the hub gives no answer", unsure=True)
    return _judged(model, reply.status)


def _nothing_to_ask(machine: Machine, model: str) -> str | None:
    if "/" not in model or model.startswith(("/", ".", "~")):
        return "no model of the hub is set"
    if machine.exists(machine.home / "models" / model.rpartition("/")[2] / "config.json"):
        return "the model is in models/ already"
    return "HF_HUB_OFFLINE is set: no hub is asked" if _offline(machine) else None


def _judged(model: str, status: int) -> Seen:
    """Source: https://huggingface.co/docs/huggingface_hub, HfApi.auth_check."""
    fixes = {
        401: f"# make a token at {HUB}/settings/tokens, then in .env\nHF_TOKEN=hf_…",
        403: f"# accept the licence: {HUB}/{model}",
        404: f"# look for it: {HUB}/models?search={model.rpartition('/')[2]}",
    }
    if status in fixes:
        return warned(f"{model}: the hub answers {status}", fix=fixes[status])
    if status == 200:
        return passed(f"{model} is given out")
    return skipped(f"the hub answers {status}", unsure=True)


def _hub(machine: Machine) -> str:
    return (machine.variables.get("HF_ENDPOINT") or HUB).rstrip("/")


def _offline(machine: Machine) -> bool:
    return machine.variables.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def _token(machine: Machine) -> str | None:
    """Find it where huggingface_hub does: in the environment, or where `hf auth login` put it."""
    names = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    if named := next((value for name in names if (value := machine.variables.get(name))), None):
        return named
    folder = machine.variables.get("HF_HOME") or facts.expanded(machine, "~/.cache/huggingface")
    path = machine.variables.get("HF_TOKEN_PATH") or f"{folder}/token"
    return (machine.read(path) or "").strip() or None


def _ask(machine: Machine) -> Reply | None:
    return machine.get(f"{_hub(machine)}/api/models/gpt2")


CHECKS = (hub_answers, clock, hub_token, model_access)
