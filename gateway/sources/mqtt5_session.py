"""One MQTT 5 connection with explicit acknowledgement, on `mqtt5` (sans-I/O) and asyncio.

Stands alone: it knows nothing of the gateway but its three source errors.  The form is that of
aiomqtt 3, with a batch form beside it for those who acknowledge after an fsync::

    async with Session("localhost", 1883, ConnectPacket("me", receive_max=100)) as session:
        await session.subscribe([TopicFilter("meters/#", max_qos=QoS.AT_LEAST_ONCE)])
        async for message in session.messages():
            ...
            session.acknowledge_message(message)

        async for chunk in session.chunks():     # the same, everything that came in one read
            ...
            session.acknowledge(chunk)

Nothing is acknowledged that `acknowledge` was not called for, and acknowledgements go out in the
order of receipt [MQTT-4.6.0-2].  QoS 2 is completed exactly once as long as the same `Memory` is
given to the next session; the DUP bit decides nothing.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import mqtt5
from mqtt5 import DisconnectReasonCode as Bye
from mqtt5 import PublishPacket, QoS

from gateway.errors import SourceLost, SourceRefused
from gateway.sources.mqtt5_wire import PUBREC, Malformed, Receipt, Wire

if TYPE_CHECKING:
    import enum
    import ssl
    from collections.abc import AsyncIterator, Callable
    from typing import Self

INBOX_MESSAGES = 4_096
INBOX_BYTES = 8_388_608
PUBLISHES_IN_FLIGHT = 1_000

# Refusals that more attempts will not cure; the others are a matter of time.
_PASSING = {"UNSPECIFIED_ERROR", "SERVER_UNAVAILABLE", "SERVER_BUSY", "CONNECTION_RATE_EXCEEDED"}
_SETTLED = {"NOT_AUTHORIZED", "SESSION_TAKEN_OVER", "ADMINISTRATIVE_ACTION"}


@dataclass(slots=True)
class Memory:
    """What a client must remember from one connection to the next [MQTT-4.1.0]."""

    epoch: int = 0
    receipts: dict[int, Receipt] = field(default_factory=dict)

    def record(self, chunk: Chunk) -> None:
        """Note that a chunk of an ended connection is safe, so its QoS 2 messages are done."""
        for receipt in chunk.receipts.values():
            receipt.recorded = True


@dataclass(slots=True)
class Chunk:
    """The messages of one read, in columns of equal length.

    ``words`` holds the packed acknowledgement of each message, 0 for QoS 0.
    """

    topics: list[str]
    payloads: list[bytes]
    words: list[int]
    received_at: int
    epoch: int
    receipts: dict[int, Receipt]
    size: int

    def __len__(self) -> int:
        return len(self.topics)


@dataclass(frozen=True, slots=True)
class Message:
    """One message, for those who like them one by one."""

    topic: str
    payload: bytes
    qos: int
    packet_id: int | None
    received_at: int
    chunk: Chunk = field(repr=False)
    index: int = field(repr=False)


class Session:
    """One connection to an MQTT 5 server, as an asynchronous context manager.

    Args:
        host: name or address.
        port: TCP port.
        connect: the CONNECT packet; its limits are kept on this side too.
        tls: TLS settings, or None for a plain connection.
        timeout: seconds for TCP and TLS together, and for the CONNACK; after that the keep-alive
            tells whether the server is there.
        memory: what must outlast the connection; give the same object to the next session.
        clock: ns UTC, stamped once a read on what came.

    Raises:
        SourceRefused: the server said no, with its reason.
        SourceLost: no answer in time, or the connection ended.
        OSError: TCP or TLS failed (`ssl.SSLError` is one).
    """

    def __init__(
        self,
        host: str,
        port: int,
        connect: mqtt5.ConnectPacket,
        *,
        tls: ssl.SSLContext | None = None,
        timeout: float = 10.0,
        memory: Memory | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.host = host
        self.port = port
        self.connect = connect
        self.memory = memory if memory is not None else Memory()
        self.memory.epoch += 1
        self.epoch = self.memory.epoch
        self.connack = mqtt5.ConnAckPacket()
        self.lost: Exception | None = None
        self._tls = tls
        self._timeout = timeout
        self._clock = clock
        self._inbox: deque[Chunk] = deque()
        self._inbox_messages = 0
        self._inbox_bytes = 0
        self._news = asyncio.Event()
        self._paused = False
        self._loop = asyncio.get_running_loop()
        self._answers: dict[int, asyncio.Future[mqtt5.Packet]] = {}
        self._greeting: asyncio.Future[mqtt5.ConnAckPacket] | None = None
        self._last_id = 0
        self._window = asyncio.Semaphore(PUBLISHES_IN_FLIGHT)
        self._wire = Wire(self, connect.max_packet_size or 0xFFFF_FFFF, connect.topic_alias_max)
        self._keep_alive = connect.keep_alive
        self._heard_at = self._sent_at = self._loop.time()
        self._pinged_at: float | None = None
        self._ticker: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._timeout):
                await self._loop.create_connection(
                    lambda: self._wire, self.host, self.port, ssl=self._tls
                )
            self._greeting = self._loop.create_future()
            self._write(self.connect.write())
            self.connack = await self._greeted(self._greeting)
            self._welcome()
        except BaseException:
            await self._shut()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Say goodbye and close; the server keeps the session.  Ends `chunks`."""
        if self.lost is None:
            self._write(mqtt5.DisconnectPacket().write())
        await self._shut()

    @property
    def waiting(self) -> int:
        """Messages that were read and not yet taken; reading stops when they become many."""
        return self._inbox_messages

    # --- receiving

    async def chunks(self) -> AsyncIterator[Chunk]:
        """What comes, a chunk a read; raises the reason when the connection has ended."""
        while True:
            while self._inbox:
                chunk = self._inbox.popleft()
                self._inbox_messages -= len(chunk)
                self._inbox_bytes -= chunk.size
                if self._paused and not self._inbox_full:
                    self._resume()
                yield chunk
            if self.lost is not None:
                raise self.lost
            self._news.clear()
            await self._news.wait()

    async def messages(self) -> AsyncIterator[Message]:
        """What comes, one by one; acknowledge each with `acknowledge_message`, in order."""
        async for chunk in self.chunks():
            for i, word in enumerate(chunk.words):
                qos = 0 if word == 0 else 1 if word < PUBREC else 2
                yield Message(
                    chunk.topics[i],
                    chunk.payloads[i],
                    qos,
                    word & 0xFFFF if qos else None,
                    chunk.received_at,
                    chunk,
                    i,
                )

    def acknowledge(self, chunk: Chunk) -> None:
        """PUBACK and PUBREC for all of a chunk in one write; stale chunks are passed over."""
        self._acknowledge(chunk, chunk.words, chunk.receipts)

    def acknowledge_message(self, message: Message) -> None:
        """PUBACK (QoS 1) or PUBREC (QoS 2) for one message."""
        chunk, word = message.chunk, message.chunk.words[message.index]
        receipts = chunk.receipts
        if receipts:
            receipts = {i: r for i, r in receipts.items() if i == word & 0xFFFF}
        self._acknowledge(chunk, [word], receipts)

    def _acknowledge(self, chunk: Chunk, words: list[int], receipts: dict[int, Receipt]) -> None:
        for receipt in receipts.values():
            receipt.recorded = True
        if chunk.epoch != self.epoch:
            # handed over on an earlier connection, and sent again on this one before its fsync
            words = [PUBREC | i for i, r in receipts.items() if r.epoch == self.epoch]
        elif 0 in words:
            words = [word for word in words if word]
        if words and self.lost is None:
            self._write(struct.pack(f">{len(words)}I", *words))

    def first_sight(self, packet: PublishPacket, topic: str, receipts: dict[int, Receipt]) -> bool:
        """Whether a QoS 2 message is to be handed over; sees to it when it is known already."""
        packet_id = packet.packet_id or 0
        content = hash((topic, packet.payload))
        known = self.memory.receipts.get(packet_id)
        if known is None or known.content != content:
            receipt = Receipt(content, self.epoch)
            self.memory.receipts[packet_id] = receipts[packet_id] = receipt
            return True
        known.epoch = self.epoch
        if known.recorded:
            self._write(struct.pack(">I", PUBREC | packet_id))
        return False

    def arrived(
        self,
        topics: list[str],
        payloads: list[bytes],
        words: list[int],
        receipts: dict[int, Receipt],
    ) -> None:
        """Take what one read gave; stop reading when the other side is behind."""
        size = sum(map(len, payloads))
        self._inbox.append(
            Chunk(topics, payloads, words, self._clock(), self.epoch, receipts, size)
        )
        self._inbox_messages += len(topics)
        self._inbox_bytes += size
        self._news.set()
        if self._inbox_full and not self._paused and self._wire.transport is not None:
            self._paused = True
            self._wire.transport.pause_reading()

    @property
    def _inbox_full(self) -> bool:
        return self._inbox_messages >= INBOX_MESSAGES or self._inbox_bytes >= INBOX_BYTES

    def _resume(self) -> None:
        self._paused = False
        # The server's silence was of our making: its PINGRESP waits behind unread data.
        self._heard_at = self._loop.time()
        if self._pinged_at is not None:
            self._pinged_at = self._heard_at
        if self._wire.transport is not None and self.lost is None:
            self._wire.transport.resume_reading()

    # --- sending

    async def subscribe(self, filters: list[mqtt5.TopicFilter]) -> list[mqtt5.SubAckReasonCode]:
        """Subscribe; returns the server's answer to each filter, in order."""
        packet_id, answer = self._expect()
        self._write(mqtt5.SubscribePacket(packet_id, filters).write())
        packet = await answer
        if not isinstance(packet, mqtt5.SubAckPacket):
            raise SourceLost(f"SUBSCRIBE was answered by {type(packet).__name__}")
        return packet.reason_codes

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False
    ) -> None:
        """Send a message; returns when it is written (QoS 0) or acknowledged (QoS 1).

        Raises:
            SourceRefused: the server did not take it.
            SourceLost: the connection has ended; whether the server has it is not known.
        """
        if qos not in (0, 1):
            raise ValueError(f"publish: qos 0 or 1, got {qos}")
        await self._wire.writable.wait()
        if qos == 0:
            self._send(PublishPacket(topic, payload, retain=retain).write())
            return
        async with self._window:
            packet_id, answer = self._expect()
            packet = PublishPacket(
                topic, payload, qos=QoS.AT_LEAST_ONCE, retain=retain, packet_id=packet_id
            )
            self._send(packet.write())
            reply = await answer
        if isinstance(reply, mqtt5.PubAckPacket) and reply.reason_code.value >= 0x80:
            raise SourceRefused(f"publish to {topic}: {_reason(reply.reason_code, reply)}")

    def _send(self, data: bytes) -> None:
        if self.lost is not None:
            raise self.lost
        limit = self.connack.max_packet_size
        if limit is not None and len(data) > limit:
            raise SourceRefused(f"publish: {len(data)} bytes; the broker takes at most {limit}")
        self._write(data)

    def _write(self, data: bytes) -> None:
        if self._wire.transport is not None:
            self._sent_at = self._loop.time()
            self._wire.transport.write(data)

    def _expect(self) -> tuple[int, asyncio.Future[mqtt5.Packet]]:
        if self.lost is not None:
            raise self.lost
        while True:
            self._last_id = self._last_id % 65535 + 1
            if self._last_id not in self._answers:
                break
        answer: asyncio.Future[mqtt5.Packet] = self._loop.create_future()
        self._answers[self._last_id] = answer
        return self._last_id, answer

    async def _greeted(self, greeting: asyncio.Future[mqtt5.ConnAckPacket]) -> mqtt5.ConnAckPacket:
        try:
            async with asyncio.timeout(self._timeout):
                return await greeting
        except TimeoutError as error:
            raise SourceLost(f"no answer to CONNECT within {self._timeout:g} s") from error

    # --- what the wire tells

    def heard(self) -> None:
        """Bytes came: the server is alive."""
        self._heard_at = self._loop.time()

    def control(self, packet: mqtt5.Packet) -> None:
        """Act on anything but a PUBLISH."""
        match packet:
            case mqtt5.PingRespPacket():
                self._pinged_at = None
            case mqtt5.PubRelPacket():
                known = self.memory.receipts.pop(packet.packet_id, None)
                code = mqtt5.PubCompReasonCode.PACKET_ID_NOT_FOUND
                if known is not None:
                    code = mqtt5.PubCompReasonCode.SUCCESS
                self._write(mqtt5.PubCompPacket(packet.packet_id, reason_code=code).write())
            case mqtt5.PubAckPacket() | mqtt5.SubAckPacket() | mqtt5.UnsubAckPacket():
                answer = self._answers.pop(packet.packet_id, None)
                if answer is not None and not answer.done():
                    answer.set_result(packet)
            case mqtt5.ConnAckPacket() if self._greeting and not self._greeting.done():
                self._greeting.set_result(packet)
            case mqtt5.DisconnectPacket():
                text = f"the broker disconnected us: {_reason(packet.reason_code, packet)}"
                settled = packet.reason_code.name in _SETTLED
                self.fail(SourceRefused(text) if settled else SourceLost(text))
            case _:
                raise Malformed(Bye.PROTOCOL_ERROR, f"unexpected {type(packet).__name__}")

    def hang_up(self, code: Bye, text: str) -> None:
        """Tell the server what it did wrong, and end."""
        self._write(mqtt5.DisconnectPacket(reason_code=code).write())
        self.fail(SourceLost(f"protocol error by the broker: {text}"))

    def fail(self, error: Exception) -> None:
        """End the connection for this reason; the first reason counts."""
        if self.lost is not None:
            return
        self.lost = error
        if self._ticker is not None:
            self._ticker.cancel()
        waiting: list[asyncio.Future[mqtt5.Packet] | asyncio.Future[mqtt5.ConnAckPacket]]
        waiting = [*self._answers.values(), *([self._greeting] if self._greeting else [])]
        for answer in waiting:
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # whoever waits is told; nobody waiting is no fault
        self._answers.clear()
        self._news.set()
        if self._wire.transport is not None:
            self._wire.transport.close()

    # --- life and death

    def _welcome(self) -> None:
        connack = self.connack
        if connack.reason_code.value:
            text = f"the broker refused: {_reason(connack.reason_code, connack)}"
            passing = connack.reason_code.name in _PASSING
            raise SourceLost(text) if passing else SourceRefused(text)
        if not connack.session_present:
            self.memory.receipts.clear()
        self._window = asyncio.Semaphore(min(connack.receive_max, PUBLISHES_IN_FLIGHT))
        if connack.server_keep_alive is not None:
            self._keep_alive = connack.server_keep_alive
        if self._keep_alive:
            self._tick()

    def _tick(self) -> None:
        """Ping when one side was silent for half the keep-alive; give up after the other half."""
        half = self._keep_alive / 2
        now = self._loop.time()
        if (
            self._pinged_at is not None
            and not self._paused
            and now - max(self._pinged_at, self._heard_at) >= half
        ):
            self._pinged_at = None
            self.fail(SourceLost(f"no sign of life for {now - self._heard_at:.1f} s (half-open)"))
            if self._wire.transport is not None:
                self._wire.transport.abort()  # nobody is there to take what is still unsent
            return
        if now - min(self._heard_at, self._sent_at) >= half and (
            self._pinged_at is None or now - self._sent_at >= half
        ):
            if self._pinged_at is None:
                self._pinged_at = now
            self._write(mqtt5.PingReqPacket().write())
        self._ticker = self._loop.call_later(max(half / 4, 0.05), self._tick)

    async def _shut(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
        if self._wire.transport is None:
            return
        self._wire.transport.close()
        self.fail(SourceLost("closed by us"))
        try:
            async with asyncio.timeout(1.0):
                await self._wire.gone.wait()
        except TimeoutError:
            self._wire.transport.abort()


def _reason(code: enum.IntEnum, packet: object) -> str:
    """The reason code in words, with the server's own text where it gave one."""
    text = getattr(packet, "reason_str", None)
    name = code.name.replace("_", " ").lower()
    return f"{name} (0x{code.value:02X}){f': {text}' if text else ''}"
