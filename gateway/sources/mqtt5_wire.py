"""MQTT 5 bytes to columns: the reading half of `mqtt5_session`, an asyncio protocol."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import Protocol, cast

import mqtt5
import structlog
from mqtt5 import DisconnectReasonCode as Bye
from mqtt5 import PublishPacket, QoS

from gateway.errors import SourceLost

log = structlog.get_logger(__name__)

READ_BUFFER = 262_144

# Fixed header and remaining length of a four-byte acknowledgement, above the packet identifier.
PUBACK = 0x4002_0000
PUBREC = 0x5002_0000


class Malformed(Exception):
    """The server broke the protocol; say why and hang up."""

    def __init__(self, code: Bye, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True, eq=False)
class Receipt:
    """A QoS 2 message that was handed over and is not yet released by the server.

    ``content`` guards against a server that restarts from an old state and gives the same
    identifier to another message.
    """

    content: int
    epoch: int
    recorded: bool = False


class Handler(Protocol):
    """Who is told what the wire reads."""

    def heard(self) -> None:
        """Bytes came: the server is alive."""

    def control(self, packet: mqtt5.Packet) -> None:
        """Anything but a PUBLISH came."""

    def first_sight(self, packet: PublishPacket, topic: str, receipts: dict[int, Receipt]) -> bool:
        """Whether a QoS 2 message is to be handed over."""

    def arrived(
        self,
        topics: list[str],
        payloads: list[bytes],
        words: list[int],
        receipts: dict[int, Receipt],
    ) -> None:
        """The messages of one read."""

    def hang_up(self, code: Bye, text: str) -> None:
        """The server broke the protocol."""

    def fail(self, error: Exception) -> None:
        """The connection has ended."""


def frame_size(view: memoryview) -> int | None:
    """Length of the first packet in ``view`` by its fixed header; None if that is incomplete."""
    size = 0
    for i in range(1, min(len(view), 5)):
        size |= (view[i] & 0x7F) << 7 * (i - 1)
        if view[i] < 0x80:
            return size + i + 1
    return None


def read_publish_leniently(frame: memoryview) -> PublishPacket | None:
    """Topic, identifier and payload of a PUBLISH whose properties or UTF-8 are not as they ought.

    A persistent session sends a rejected message again after every reconnect, so one bad message
    would stop the stream for ever; kept as evidence it costs one row of quarantine.

    Returns:
        None when even that much cannot be read.
    """
    data = bytes(frame)
    qos = data[0] >> 1 & 3
    at = 1
    while data[at] >= 0x80:
        at += 1
    at += 1
    try:
        (length,) = struct.unpack_from(">H", data, at)
        topic = data[at + 2 : at + 2 + length].decode(errors="backslashreplace")
        at += 2 + length
        packet_id = None
        if qos:
            (packet_id,) = struct.unpack_from(">H", data, at)
            at += 2
        properties = shift = 0
        while True:
            properties |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if data[at - 1] < 0x80:
                break
    except (struct.error, IndexError):
        return None
    if not topic or qos == 3 or packet_id == 0 or at + properties > len(data):
        return None
    return PublishPacket(topic, data[at + properties :], qos=QoS(qos), packet_id=packet_id)


class Wire(asyncio.BufferedProtocol):
    """Bytes to columns: reads into one buffer, parses in place, hands over a chunk a read."""

    def __init__(self, handler: Handler, max_packet_size: int, topic_alias_max: int) -> None:
        self._handler = handler
        self._max_packet_size = max_packet_size
        self._topic_alias_max = topic_alias_max
        self._base = memoryview(bytearray(READ_BUFFER))
        self._view = self._base
        self._end = 0
        self._need = 0
        self._aliases: dict[int, str] = {}
        self._broken = False
        self.transport: asyncio.Transport | None = None
        self.gone = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self.gone.set()
        self.writable.set()
        self._handler.fail(exc or SourceLost("the broker closed the connection"))

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.writable.clear()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self.writable.set()

    def get_buffer(self, sizehint: int) -> memoryview:
        """The room behind what is not yet parsed."""
        del sizehint
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what is whole; a protocol error ends the connection."""
        self._end += nbytes
        self._handler.heard()
        if self._end < self._need or self._broken:
            if self._broken:
                self._end = 0
            return
        try:
            used = self._parse()
            self._keep(used)
        except Malformed as error:
            self._broken = True
            self._end = 0
            self._handler.hang_up(error.code, str(error))

    def _parse(self) -> int:
        """Read whole packets off the front; returns how many bytes were used."""
        topics: list[str] = []
        payloads: list[bytes] = []
        words: list[int] = []
        receipts: dict[int, Receipt] = {}
        view, start, end = self._view[: self._end], 0, self._end
        read, publish, at_least_once = mqtt5.read, PublishPacket, QoS.AT_LEAST_ONCE
        try:
            while start < end:
                try:
                    packet, size = read(view[start:])
                except IndexError:  # not all there yet
                    break
                except BaseException as error:  # noqa: BLE001  # the parser's panics are no Exception
                    packet, size = self._salvage(view[start:], error)
                start += size
                if type(packet) is not publish:
                    self._handler.control(packet)
                elif packet.topic_alias is None and packet.qos is at_least_once:
                    topics.append(packet.topic)
                    payloads.append(packet.payload)
                    words.append(PUBACK | cast("int", packet.packet_id))
                else:
                    topic = packet.topic if packet.topic_alias is None else self._resolve(packet)
                    word = self._word(packet, topic, receipts)
                    if word is not None:
                        topics.append(topic)
                        payloads.append(packet.payload)
                        words.append(word)
        finally:
            if topics:
                self._handler.arrived(topics, payloads, words, receipts)
        return start

    def _word(self, packet: PublishPacket, topic: str, receipts: dict[int, Receipt]) -> int | None:
        """The acknowledgement of a message, 0 for QoS 0; None if it was handed over before."""
        if packet.qos == QoS.AT_MOST_ONCE:
            return 0
        if packet.qos == QoS.AT_LEAST_ONCE:
            return PUBACK | cast("int", packet.packet_id)
        if self._handler.first_sight(packet, topic, receipts):
            return PUBREC | cast("int", packet.packet_id)
        return None

    def _salvage(self, frame: memoryview, error: BaseException) -> tuple[mqtt5.Packet, int]:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise error
        size = frame_size(frame)
        if size is not None and size <= len(frame) and frame[0] >> 4 == 3:
            packet = read_publish_leniently(frame[:size])
            if packet is not None:
                log.warning("malformed publish kept as it is", topic=packet.topic, error=str(error))
                return packet, size
        raise Malformed(Bye.MALFORMED_PACKET, f"malformed packet: {error}") from error

    def _resolve(self, packet: PublishPacket) -> str:
        alias = packet.topic_alias or 0
        if alias > self._topic_alias_max:
            raise Malformed(
                Bye.TOPIC_ALIAS_INVALID,
                f"topic alias {alias} is above the agreed {self._topic_alias_max}",
            )
        if packet.topic:
            self._aliases[alias] = packet.topic
        elif alias not in self._aliases:
            raise Malformed(
                Bye.PROTOCOL_ERROR, f"topic alias {alias} was never set on this connection"
            )
        return self._aliases[alias]

    def _keep(self, used: int) -> None:
        """Move what is left to the front, into a buffer that holds the packet's rest."""
        left = self._view[used : self._end]
        total = frame_size(left)
        if total is not None and total > self._max_packet_size:
            raise Malformed(
                Bye.PACKET_TOO_LARGE,
                f"a packet of {total} bytes; max_packet_size is {self._max_packet_size}",
            )
        self._need = total or 0
        if self._need > len(self._base):
            if len(self._view) < self._need:
                self._view = memoryview(bytearray(self._need))
        else:
            self._view = self._base
        self._end = len(left)
        self._view[: self._end] = left.tobytes()
