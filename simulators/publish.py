"""Messages to a broker: MQTT QoS 1, a bounded number in flight, none forgotten when a link breaks.

A message that was not acknowledged is sent again after the link is back, before any younger one;
that may deliver it twice, as QoS 1 allows.
"""

from __future__ import annotations

import asyncio
import ssl
from random import Random
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiomqtt
import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulators.line import Message

log = structlog.get_logger(__name__)

IN_FLIGHT: Final = 200
_LONGEST_PAUSE: Final = 30.0


class BrokerUnreachable(Exception):
    """The first connection failed: most likely the address or the password is wrong."""


class Secret(str):
    """A password that does not show itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Broker(msgspec.Struct, frozen=True):
    """Where to publish."""

    host: str
    port: int
    tls: bool = False
    ca_file: str | None = None
    username: str | None = None
    password: Secret | None = None

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
    ) -> Broker:
        """Reads ``mqtt://host[:port]`` or ``mqtts://host[:port]``.

        Raises:
            ValueError: another scheme, no host, a bad port, or a password inside the address.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise ValueError(f"a broker is mqtt://host:port or mqtts://host:port, got {url!r}")
        if parts.password or parts.username:
            raise ValueError("a password in an address ends up in logs: use --password-env")
        tls = parts.scheme == "mqtts"
        return cls(
            host=parts.hostname,
            port=parts.port or (8883 if tls else 1883),
            tls=tls,
            ca_file=ca_file,
            username=username,
            password=None if password is None else Secret(password),
        )

    def client(self) -> aiomqtt.Client:
        """A client that is not yet connected; needs a running loop."""
        client = aiomqtt.Client(
            self.host,
            self.port,
            username=self.username,
            password=self.password,
            tls_context=ssl.create_default_context(cafile=self.ca_file) if self.tls else None,
            max_inflight_messages=IN_FLIGHT,
        )
        # aiomqtt warns beyond this number; ours is bounded by the number of senders
        client.pending_calls_threshold = IN_FLIGHT + 1
        return client


class Pace:
    """When a simulated moment is due on the wall clock.

    A run that began in the past goes ``factor`` times as fast until it has caught up with the
    present; it never sends what has not happened yet.

    Args:
        factor: simulated seconds a second; infinite means as fast as it goes.
        start: the run's first simulated moment, ms.
        now: the wall clock, ms.
    """

    def __init__(self, factor: float, start: int, now: Callable[[], int]) -> None:
        self._factor = factor
        self._start = start
        self._now = now
        self._begun = now()

    def wait(self, moment: int) -> float:
        """Seconds until ``moment`` is due; 0 or less when it is."""
        due = max(self._begun + (moment - self._start) / self._factor, moment)
        return (due - self._now()) / 1000


class Publisher:
    """Publishes messages in order until they or the time end.

    Args:
        broker: where to.
        messages: what; taken one by one.
        pace: when.
        stop: set it to end: what is in flight is still acknowledged.
    """

    def __init__(
        self, broker: Broker, messages: Iterator[Message], pace: Pace, stop: asyncio.Event
    ) -> None:
        self.acknowledged = 0
        self.last = 0
        self._broker = broker
        self._messages = messages
        self._pace = pace
        self._stop = stop
        self._taken = 0
        self._open: dict[int, Message] = {}
        self._again: list[int] = []
        self._turn = asyncio.Lock()
        self._jitter = Random(broker.port)

    async def run(self) -> None:
        """Returns when all is acknowledged or ``stop`` was set.

        Raises:
            BrokerUnreachable: the first connection failed; later ones are tried for ever.
        """
        asyncio.get_running_loop().set_exception_handler(_callback_failed)
        connected_once, pause = False, 0.5
        while True:
            try:
                async with self._broker.client() as client:
                    connected_once, pause = True, 0.5
                    await self._session(client)
                    return
            except* aiomqtt.MqttError as lost:
                reason = _first(lost)
            if not connected_once:
                raise BrokerUnreachable(f"{self._broker.host}:{self._broker.port}: {reason}")
            if self._stop.is_set():
                log.warning("stopped without a broker", unacknowledged=len(self._open))
                return
            log.warning("broker lost", reason=reason, unacknowledged=len(self._open), retry_s=pause)
            await self._idle(pause * self._jitter.uniform(0.5, 1.0))
            pause = min(_LONGEST_PAUSE, pause * 2)

    async def _session(self, client: aiomqtt.Client) -> None:
        self._again = sorted(self._open, reverse=True)
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self._watch(client))
            async with asyncio.TaskGroup() as senders:
                for _ in range(IN_FLIGHT):
                    senders.create_task(self._send(client))
            watch.cancel()

    @staticmethod
    async def _watch(client: aiomqtt.Client) -> None:
        """Fails at once when the link breaks; nothing is subscribed."""
        async for _ in client.messages:
            pass

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            # the lock is let go just before the call that hands over to the socket: order is kept
            async with self._turn:
                number = await self._next()
            if number is None:
                return
            message = self._open[number]
            try:
                await client.publish(message.topic, message.payload, qos=1)
            except (OSError, ValueError) as gone:
                # the socket may be closed before aiomqtt hears that the link is lost
                raise aiomqtt.MqttError(str(gone)) from gone
            del self._open[number]
            self.acknowledged += 1

    async def _next(self) -> int | None:
        """The number of the next message once it is due, or None at the end."""
        if self._again:
            number = self._again.pop()
        else:
            message = None if self._stop.is_set() else next(self._messages, None)
            if message is None:
                return None
            # taken is taken: if the link breaks while this one waits, it is among the open ones
            self._taken = number = self._taken + 1
            self._open[number] = message
        moment = self._open[number].received_at
        if (wait := self._pace.wait(moment)) > 0:
            await self._idle(wait)
            if self._stop.is_set():
                del self._open[number]
                return None
        self.last = max(self.last, moment)
        return number

    async def _idle(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return


def _first(group: BaseExceptionGroup[aiomqtt.MqttError]) -> str:
    """The words of the first error within nested groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)


def _callback_failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tells of a failed callback of the loop.

    aiomqtt may ask the loop to watch a socket that the broker has closed a moment before; the lost
    link is noticed and mended all the same, so that is one line and no traceback.
    """
    if "_writer" in repr(context.get("handle")):
        log.warning("link closed while it was set up", reason=str(context.get("exception")))
    else:
        loop.default_exception_handler(context)
