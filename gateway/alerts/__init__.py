"""Flags leave the gateway: to MQTT, to webhooks, as an e-mail digest.

Each alert follows the store on its own, as a sink does:

    store ──changes of flags──▶ Follower ──letters──▶ Outbox ──parcels──▶ Courier ──▶ target
                                                   (alerts.sqlite)

The *follower* decides what is told of a flag and remembers what was told; the *outbox* keeps both,
on disk; the *courier* hands letters to the *target* until it has taken them.  So a target that is
down blocks nothing, and a kill at any moment loses nothing: at least once, with a key by which a
receiver knows what it has already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.alerts.outbox import Letter

__all__ = ["AlertError", "Later", "Refused", "Target"]


class AlertError(GatewayError):
    """A target did not take a parcel; the message never carries a secret."""


class Later(AlertError):
    """It may take it later: it is away, slow, busy, or does not let us in.

    Args:
        message: where, and what was got.
        wait: seconds that the target asked for; 0 where it asked for nothing.
    """

    retry = True

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class Refused(AlertError):
    """It refuses this parcel for what it is: trying again will not help."""


class Target(Protocol):
    """Where letters go; every method is called on one event loop."""

    async def send(self, parcel: Sequence[Letter]) -> None:
        """Hands over a parcel; returns when the target has it.

        Raises:
            Later: it may be taken later.
            Refused: it never will.
        """
        ...

    async def probe(self) -> str:
        """Tries whether the target is there and lets us in, without telling anybody anything.

        Returns:
            What was found, in a few words.

        Raises:
            Later: it is not there, or does not let us in.
        """
        ...

    async def close(self) -> None:
        """Lets go of connections; calling it again does nothing."""
        ...
