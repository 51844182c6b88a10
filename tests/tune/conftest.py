"""A project whose engine is scripted, as for a switch."""

from tests.switch.conftest import home, session, typed

__all__ = ["home", "session", "typed"]
