"""What an encoder gives: packets, each a topic and a payload."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec


class Packet(NamedTuple):
    """One MQTT message of a device."""

    topic: str
    payload: bytes


Encode = Callable[[dict[str, Any]], Iterable[Packet]]
"""Puts one reading (a body in the reference JSON format) into packets, none or several."""


def reference_json(region: str, kind: str, device_id: str) -> Encode:
    """The open JSON format of a kind: the body as it is."""
    topic = f"meters/{region}/{kind}/{device_id}/up"
    encode = msgspec.json.Encoder().encode
    return lambda body: (Packet(topic, encode(body)),)
