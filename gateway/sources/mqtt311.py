"""The MQTT 3.1.1 source, on paho-mqtt with manual acknowledgement, for brokers without MQTT 5.

paho is driven by the event loop (its documented external-loop interface), so that everything
happens on one thread and reading can be stopped when the ledger is behind.  Three things are not
as with MQTT 5:

* The protocol has no receive maximum: the broker's own limit of messages in flight is the window
  (Mosquitto: ``max_inflight_messages``, 20 by default; raise it for speed).
* paho sends PUBREC before the message is safe, so QoS 2 is never asked of the broker: it delivers
  at QoS 1, and what comes twice is recognised later by content and sequence.
* The size of packets can be limited by the broker only.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from gateway.errors import SourceError, SourceLost, SourceRefused
from gateway.sources import Arrivals
from gateway.sources.link import LinkedSource, Mailbox, connection_error, tls_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.reasoncodes import ReasonCode

    from gateway.sources import BrokerSettings

PACKETS_A_READ = 500
MAILBOX_MESSAGES = 65_535
MAILBOX_BYTES = 32 * 1_048_576

# Return codes of CONNACK that more attempts will not cure; 3, "server unavailable", may pass.
_REFUSALS = {"Unsupported protocol version", "Client identifier not valid"} | {
    "Bad user name or password",
    "Not authorized",
}


class _HonestSocket(ssl.SSLSocket):
    """A TLS socket that is closed when its handshake fails; paho leaves that to chance."""

    def do_handshake(self, block: bool = False) -> None:
        """See `ssl.SSLSocket.do_handshake`."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


@dataclass(slots=True, eq=False)
class _Token:
    """The packet identifiers to acknowledge, and the connection they belong to."""

    connection: _Connection
    ids: list[tuple[int, int]]


class _Connection:
    """One connection: paho's client, driven by the loop, from CONNECT to its end."""

    def __init__(
        self, settings: BrokerSettings, mailbox: Mailbox, clock: Callable[[], int]
    ) -> None:
        self.settings = settings
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.greeting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.granted: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._mailbox = mailbox
        self._clock = clock
        self._topics: list[str] = []
        self._payloads: list[bytes] = []
        self._ids: list[tuple[int, int]] = []
        self._published: dict[int, asyncio.Future[None]] = {}
        self._fd = -1
        self._reading = False
        self._writing = False
        self._waiting: asyncio.Task[None] | None = None
        self._client = self._prepare()

    def _prepare(self) -> paho.Client:
        settings = self.settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            clean_session=False,
            protocol=paho.MQTTv311,
            manual_ack=True,
        )
        client.connect_timeout = settings.connect_timeout
        context = tls_context(settings)
        if context is not None:
            context.sslsocket_class = _HonestSocket
            client.tls_set_context(context)
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.password)
        if settings.will is not None:
            will = settings.will
            client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_socket_close = lambda *_: self._unwatch()
        # With this set paho never writes by itself: it asks, possibly from connect()'s thread.
        client.on_socket_register_write = self._on_writable_wanted
        return client

    # --- paho's callbacks, on the loop's thread

    def _on_connect(
        self,
        _client: object,
        _userdata: object,
        flags: paho.ConnectFlags,
        code: ReasonCode,
        _properties: object,
    ) -> None:
        if self.greeting.done():
            return
        if code.is_failure:
            text = f"the broker refused: {code.getName().lower()}"
            refused = code.getName() in _REFUSALS
            self.greeting.set_exception(SourceRefused(text) if refused else SourceLost(text))
        else:
            self.greeting.set_result(bool(flags.session_present))

    def _on_disconnect(
        self,
        _client: object,
        _userdata: object,
        _flags: object,
        code: ReasonCode,
        _properties: object,
    ) -> None:
        name = str(code).lower()
        text = "no sign of life (half-open)" if "keep alive" in name else name
        if "unspecified" in name:
            text = "the broker closed it"
        self.end(SourceLost(f"connection ended: {text}"))

    def _on_subscribe(
        self,
        _client: object,
        _userdata: object,
        _mid: int,
        codes: list[ReasonCode],
        _properties: object,
    ) -> None:
        if not self.granted.done():
            self.granted.set_result([code.value for code in codes])

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        # paho decodes the topic when asked and fails on bytes that are not UTF-8
        topic = message._topic  # noqa: SLF001
        self._topics.append(topic.decode(errors="backslashreplace"))
        self._payloads.append(bytes(message.payload))
        if message.qos:
            self._ids.append((message.mid, message.qos))

    def _on_publish(
        self, _client: object, _userdata: object, mid: int, _code: object, _properties: object
    ) -> None:
        waiter = self._published.pop(mid, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _on_writable_wanted(self, *_: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._write)

    # --- the socket

    async def open(self) -> bool:
        """Connect; returns whether the broker had kept our session."""
        settings = self.settings
        async with asyncio.timeout(settings.connect_timeout + 1):
            await self._in_thread(
                lambda: self._client.connect(settings.host, settings.port, settings.keep_alive)
            )
        sock: Any = self._client.socket()
        if sock is None:
            raise SourceLost("the connection ended at once")
        self._fd = sock.fileno()
        self._read_on()
        self._write()
        ticking = asyncio.create_task(self._tick())
        self.ended.add_done_callback(lambda _: ticking.cancel())
        async with asyncio.timeout(settings.connect_timeout):
            return await self.greeting

    async def _in_thread(self, blocking: Callable[[], object]) -> None:
        """Run a blocking call in a thread of its own, which does not hold up the program's end."""
        done: asyncio.Future[None] = self._loop.create_future()

        def tell(error: Exception | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        def run() -> None:
            error = None
            try:
                blocking()
            except Exception as caught:  # noqa: BLE001  # handed to whoever awaits
                error = caught
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(tell, error)

        threading.Thread(target=run, name="mqtt311-connect", daemon=True).start()
        await done

    async def _tick(self) -> None:
        """Let paho keep the connection alive: it pings, and gives up when no answer comes."""
        while True:
            self._client.loop_misc()
            await asyncio.sleep(min(1.0, max(self.settings.keep_alive, 1) / 4))

    def _read_on(self) -> None:
        if not self._reading and not self.ended.done():
            self._reading = True
            self._loop.add_reader(self._fd, self._read)

    def _read_off(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._fd)

    def _read(self) -> None:
        client = self._client
        try:
            for _ in range(PACKETS_A_READ):
                before = len(self._topics)
                if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    break
                sock: Any = client.socket()
                pending = sock is not None and getattr(sock, "pending", int)()
                if len(self._topics) == before and not pending:
                    break
        except (OSError, ValueError) as error:
            self.end(connection_error(self.settings, error))
        if self._topics:
            token = _Token(self, self._ids)
            arrivals = Arrivals(self._topics, self._payloads, self._clock(), token)
            self._topics, self._payloads, self._ids = [], [], []
            self._mailbox.put(arrivals)
        if self._mailbox.full and self._reading:
            self._read_off()
            self._waiting = asyncio.create_task(self._wait_for_room())

    async def _wait_for_room(self) -> None:
        await self._mailbox.room()
        self._read_on()

    def _write(self) -> None:
        if self._fd < 0 or self.ended.done():
            return
        client = self._client
        if client.want_write():
            client.loop_write()
        if client.want_write() and not self._writing and not self.ended.done():
            self._writing = True
            self._loop.add_writer(self._fd, self._write)
        elif self._writing and not client.want_write():
            self._writing = False
            self._loop.remove_writer(self._fd)

    def _unwatch(self) -> None:
        self._read_off()
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)

    def end(self, error: SourceError) -> None:
        """Stop watching the socket and tell everybody who waits; the first reason counts."""
        if self.ended.done():
            return
        self._unwatch()
        if self._waiting is not None:
            self._waiting.cancel()
        waiters: list[asyncio.Future[Any]] = [self.greeting, self.granted, self.ended]
        for waiter in [*waiters, *self._published.values()]:
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # whoever waits is told; nobody waiting is no fault

    # --- what the source asks

    def subscribe(self) -> None:
        """Ask for the topics; the answer comes in ``granted``."""
        qos = min(self.settings.qos, 1)
        self._client.subscribe([(pattern, qos) for pattern in self.settings.filters])
        self._write()

    def acknowledge(self, ids: list[tuple[int, int]]) -> None:
        """PUBACK these, in order."""
        if self.ended.done():
            return
        for mid, qos in ids:
            self._client.ack(mid, qos)
        self._write()

    async def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        """Queue, write, and wait for what the QoS promises."""
        if self.ended.done():
            raise SourceLost("not connected")
        info = self._client.publish(topic, payload, qos=qos, retain=retain)
        done: asyncio.Future[None] = self._loop.create_future()
        self._published[info.mid] = done
        self._write()
        try:
            await done
        finally:
            self._published.pop(info.mid, None)

    async def close(self) -> None:
        """Say goodbye; the broker keeps the session."""
        if not self.ended.done():
            self._client.disconnect()
            self._write()
        self.end(SourceLost("closed by us"))
        sock: Any = self._client.socket()
        if sock is not None:
            sock.close()


class Mqtt311Source(LinkedSource):
    """Messages of one broker that speaks MQTT 3.1.1, acknowledged when they are told to be safe.

    Args:
        settings: the broker and what is wanted of it; QoS 2 is taken as 1, and
            ``receive_maximum``, ``session_expiry`` and ``max_packet_size`` are the broker's to set.
        session_expected: whether the broker ought to know us already (the ledger is not empty);
            if it does not, messages were lost and the log says so.
        clock: ns UTC.
        rng: spreads reconnects.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        session_expected: bool = False,
        clock: Callable[[], int] = time.time_ns,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(
            settings,
            Mailbox(MAILBOX_MESSAGES, MAILBOX_BYTES),
            session_expected=session_expected,
            clock=clock,
            rng=rng,
        )
        self._connection: _Connection | None = None

    def acknowledge(self, arrivals: Arrivals) -> None:
        """See `Source.acknowledge`."""
        token = arrivals.token
        if not isinstance(token, _Token):
            raise TypeError(f"acknowledge: not arrivals of this source: {token!r}")
        token.connection.acknowledge(token.ids)

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False
    ) -> None:
        """See `Source.publish`."""
        if self._connection is None:
            raise SourceLost(f"source {self.name!r}: not connected; nothing published to {topic}")
        await self._connection.publish(topic, payload, qos=qos, retain=retain)

    async def close(self) -> None:
        """See `Source.close`."""
        self._link.close()
        if self._connection is not None:
            await self._connection.close()
        self._mailbox.close()

    async def _connect(self) -> None:
        connection = _Connection(self._settings, self._mailbox, self._clock)
        try:
            session_present = await connection.open()
            if self._link.closing:
                return
            self._connection = connection
            connection.subscribe()
            codes = await connection.granted
            self._subscribed(codes, min(self._settings.qos, 1), session_present=session_present)
            await connection.ended
        except (OSError, TimeoutError) as error:
            raise connection_error(self._settings, error) from error
        finally:
            self._connection = None
            await connection.close()
