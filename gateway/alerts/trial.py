"""Trying a target out, for ``gateway alert test`` and ``gateway doctor``."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.alerts.outbox import Letter
from gateway.alerts.running import target_of
from gateway.messages import LANGUAGES, Texts
from gateway.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.alerts.spec import AlertSpec

EVENT: Final = "test"


def trial_letter(gateway: str, at: int) -> Letter:
    """A letter that nobody can take for a flag.

    Args:
        gateway: name of the gateway.
        at: ns UTC, now.
    """
    key = f"test-{secrets.token_hex(8)}"
    told = rfc3339(at)
    record: dict[str, Any] = {
        "event": EVENT,
        "version": 1,
        "key": key,
        "told_at": told,
        "id": key,
        "device_id": gateway,
        "kind": EVENT,
        "code": EVENT,
        "severity": "info",
        "measured_at": told,
        "from": told,
        "to": told,
        "evidence": {},
        "title": {each: Texts(each).word("event", EVENT) for each in LANGUAGES},
        "status": EVENT,
    }
    return Letter(0, key, key, EVENT, "info", at, msgspec.json.encode(record))


def send_trial(spec: AlertSpec, clock: Callable[[], int] = time.time_ns) -> Letter:
    """Sends a letter past the outbox, and returns it when the target has it.

    Raises:
        AlertError: the target did not take it; the message says why.
    """
    letter = trial_letter(spec.gateway, clock())

    async def send() -> None:
        target = target_of(spec, clock)
        try:
            await target.send([letter])
        finally:
            await target.close()

    asyncio.run(send())
    return letter


def probe(spec: AlertSpec) -> str:
    """Whether the target is there and lets us in, in a few words; nobody is told anything.

    Raises:
        AlertError: it is not there, or does not let us in.
    """

    async def ask() -> str:
        target = target_of(spec)
        try:
            return await target.probe()
        finally:
            await target.close()

    return asyncio.run(ask())
