"""What every decoder shares: its call, and what it may know besides the payload.

A decoder other than JSON's turns a payload into a plain document (dict, list, text, number, truth
value, None); the profile's struct is converted from that, so that a wrong type is refused by the
same mechanism and with the same words as in JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from gateway.devices import valid_at
from gateway.records import Device


class Context(msgspec.Struct, gc=False):
    """What a decoder may know of a message besides its payload.

    Attributes:
        topic: the MQTT topic.
        received_at: nanoseconds since 1970 UTC; relative times of a payload count from here.
        levels: the topic's named levels, ``device_id`` among them where the profile names it.
        devices: the registry, for keys and parameters of one device.
        registered: the registry names this profile for the device of the topic.
        envelope: the document of the envelope around the payload, if there is one.
        offset: of the message in the ledger, for decoders that remember (`Memory`).
    """

    topic: str = ""
    received_at: int = 0
    levels: Mapping[str, str] = {}
    devices: Mapping[str, Device] = {}
    registered: bool = False
    envelope: Mapping[str, Any] | None = None
    offset: int = 0

    def device(self, device_id: str) -> Device | None:
        """What the registry says of a device as it was when the message was received.

        When it was measured is not known before the message is read; what a key opens or a factor
        means is settled with the device, not with the registry of today.
        """
        return valid_at(self.devices, device_id, self.received_at)

    def parameter(self, name: str, *device_ids: str) -> Any:  # noqa: ANN401 - any JSON value
        """A registry parameter of the first of these devices that has it, or None.

        The device that the topic names is asked first.
        """
        for device_id in (self.levels.get("device_id", ""), *device_ids):
            device = self.device(device_id)
            if device is not None and name in device.parameters:
                return device.parameters[name]
        return None


Document = dict[str, Any]
Parse = Callable[[bytes, Context], Any]
"""``parse(payload, context)``: the document; raises DecodeError with a reason and where."""


class Memory(Protocol):
    """What a decoder remembers of messages before: the attribute ``memory`` of its parser.

    It is a function of the ledger, as all that processing keeps: a message read again finds what
    was said before it, by its offset, and a snapshot carries it over a restart.  All parsers of one
    processing whose memories have the same name share one.
    """

    name: str

    def kept(self) -> Any:  # noqa: ANN401 - plain data
        """All of it as plain data, for a snapshot."""

    def take(self, kept: Any) -> None:  # noqa: ANN401 - plain data
        """What `kept` gave, in the place of what is remembered.

        Raises:
            ValueError: it is none that `kept` gave.
        """


NO_PAYLOAD: Final = "no_payload"
"""Reason of a message whose envelope carries none, as a LoRaWAN uplink of MAC commands: no fault,
so it is counted as ignored."""
