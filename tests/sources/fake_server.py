"""An MQTT 5 server that does what a test tells it, also what no good server would."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, TypeVar

import mqtt5

if TYPE_CHECKING:
    from collections.abc import Callable

P = TypeVar("P")


class FakeServer:
    """Lets one client at a time in, answers what must be answered, and keeps what it got.

    Args:
        connack: makes the CONNACK of each connection.
        granted: the answer to every subscription.
    """

    def __init__(
        self,
        connack: Callable[[], mqtt5.ConnAckPacket] = mqtt5.ConnAckPacket,
        granted: mqtt5.SubAckReasonCode = mqtt5.SubAckReasonCode.GRANTED_QOS_EXACTLY_ONCE,
    ) -> None:
        self.connack = connack
        self.granted = granted
        self.answers_pings = True
        self.connections = 0
        self.received: list[mqtt5.Packet] = []
        self.raw = b""
        self.ready = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        await asyncio.sleep(0.02)

    def drop(self) -> None:
        """Break the connection."""
        self.ready.clear()
        if self._writer is not None:
            self._writer.transport.abort()

    def send(self, *packets: mqtt5.Packet | bytes) -> None:
        """Send packets in one write."""
        assert self._writer is not None
        self._writer.write(b"".join(p if isinstance(p, bytes) else p.write() for p in packets))

    def got(self, kind: type[P]) -> list[P]:
        """What came of one kind of packet, over all connections."""
        return [packet for packet in self.received if isinstance(packet, kind)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.connections += 1
        buffer = b""
        try:
            while data := await reader.read(65536):
                buffer += data
                self.raw += data
                while buffer:
                    try:
                        packet, size = mqtt5.read(memoryview(buffer))
                    except IndexError:
                        break
                    buffer = buffer[size:]
                    self._act(packet, writer)
        except OSError:
            pass  # the client is gone, which is what some tests are about
        writer.close()

    def _act(self, packet: mqtt5.Packet, writer: asyncio.StreamWriter) -> None:
        self.received.append(packet)
        match packet:
            case mqtt5.ConnectPacket():
                writer.write(self.connack().write())
            case mqtt5.SubscribePacket():
                codes = [self.granted] * len(packet.topic_filters)
                writer.write(mqtt5.SubAckPacket(packet.packet_id, codes).write())
                self.ready.set()
            case mqtt5.PingReqPacket() if self.answers_pings:
                writer.write(mqtt5.PingRespPacket().write())
            case mqtt5.PublishPacket() if packet.packet_id is not None:
                writer.write(mqtt5.PubAckPacket(packet.packet_id).write())
