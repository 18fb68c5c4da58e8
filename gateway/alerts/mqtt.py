"""Flags to MQTT: ``supervision/flags/{region}/{kind}/{device_id}``, QoS 1, not retained."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import aiomqtt
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.alerts import Later, Refused
from gateway.errors import SourceError
from gateway.sources.link import connection_error, tls_context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from paho.mqtt import client as paho

    from gateway.alerts.outbox import Letter
    from gateway.alerts.spec import MqttSpec

NOWHERE: Final = "unknown"
"""The level of what is not registered, instead of an empty one."""

_ESCAPED: Final = str.maketrans({char: f"%{ord(char):02X}" for char in "%/+#\0"})
# MQTT 5, 3.4.2.1: what the broker says of the message itself, and not of us or of this moment.
_OF_THE_MESSAGE: Final = frozenset((0x90, 0x95, 0x99))


def topic_of(prefix: str, record: Mapping[str, Any]) -> str:
    """Where a flag is published; what would be a level or a wildcard is escaped as in a URL."""
    levels = (str(record.get(name) or NOWHERE) for name in ("region", "kind", "device_id"))
    return "/".join((prefix, *(level.translate(_ESCAPED) for level in levels)))


class _Client(aiomqtt.Client):
    """aiomqtt, which by itself takes a PUBACK that refuses for one that accepts."""

    refused: ReasonCode | None = None

    def _on_publish(
        self, client: paho.Client, userdata: Any, mid: int, reason_code: ReasonCode,  # noqa: ANN401
        properties: Properties,
    ) -> None:  # fmt: skip
        if reason_code.is_failure:
            self.refused = reason_code
        super()._on_publish(client, userdata, mid, reason_code, properties)


class MqttTarget:
    """Publishes letters over one connection, one after another; made again when it is lost.

    Args:
        spec: the broker.
    """

    def __init__(self, spec: MqttSpec) -> None:
        self._spec = spec
        self._client: _Client | None = None
        self._turn = asyncio.Lock()

    async def send(self, parcel: Sequence[Letter]) -> None:
        """Publishes each letter; returns when the broker has acknowledged them all.

        Raises:
            Later: the broker is away, or does not let us.
            Refused: it refuses a message for what it is.
        """
        async with self._turn:
            for letter in parcel:
                topic = topic_of(self._spec.prefix, letter.record)
                await self._publish(topic, letter.body)

    async def _publish(self, topic: str, body: bytes) -> None:
        client = await self._connected()
        client.refused = None
        wait = self._spec.broker.connect_timeout
        try:
            await client.publish(topic, body, qos=1, retain=False, timeout=wait)
        except aiomqtt.MqttError as fault:
            await self._drop()
            raise Later(f"{self._spec.place}: {fault}") from fault
        except BaseException:
            await self._drop()
            raise
        if client.refused is not None:
            said = f"{self._spec.place} refuses {topic}: {client.refused}"
            if client.refused.value in _OF_THE_MESSAGE:
                raise Refused(said)
            raise Later(said)

    async def _connected(self) -> _Client:
        if self._client is not None:
            return self._client
        broker, place = self._spec.broker, self._spec.place
        try:
            client = _Client(
                broker.host,
                broker.port,
                identifier=broker.client_id,
                username=broker.username,
                password=broker.password,
                tls_context=tls_context(broker),
                protocol=aiomqtt.ProtocolVersion.V5
                if self._spec.version == "mqtt5"
                else aiomqtt.ProtocolVersion.V311,
                keepalive=broker.keep_alive or 60,
                timeout=broker.connect_timeout,
            )
            await client.__aenter__()
        except SourceError as fault:
            raise Later(str(fault)) from fault
        except aiomqtt.MqttError as fault:
            cause = fault.__cause__
            said = connection_error(broker, cause) if isinstance(cause, OSError) else fault
            raise Later(f"{place}: {said}") from fault
        self._client = client
        return client

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
                await client.__aexit__(None, None, None)

    async def probe(self) -> str:
        """Connects, and nothing more.

        Raises:
            Later: the broker is away, or does not let us in.
        """
        async with self._turn:
            await self._connected()
        return f"{self._spec.place} lets us in ({self._spec.version})"

    async def close(self) -> None:
        """Disconnects."""
        await self._drop()
