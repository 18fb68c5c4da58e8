"""The MQTT 5 source: one `Session` after another, for as long as the gateway runs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import mqtt5

from gateway.errors import SourceError, SourceLost
from gateway.sources import Arrivals
from gateway.sources.link import LinkedSource, Mailbox, connection_error, tls_context
from gateway.sources.mqtt5_session import Chunk, Memory, Session

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from gateway.sources import BrokerSettings


class Mqtt5Source(LinkedSource):
    """Messages of one broker that speaks MQTT 5, acknowledged when they are told to be safe.

    Args:
        settings: the broker and what is wanted of it.
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
            Mailbox(max_messages=1),  # the session has a bounded inbox of its own
            session_expected=session_expected,
            clock=clock,
            rng=rng,
        )
        self._memory = Memory()
        self._session: Session | None = None
        self._latest: Session | None = None  # also when it has ended, until the link knows it

    @property
    def connected(self) -> bool:
        """See `Source.connected`; also right while a full ledger holds the reading up."""
        session = self._latest
        return super().connected and session is not None and session.lost is None

    @property
    def last_error(self) -> str | None:
        """See `Source.last_error`."""
        lost = self._latest.lost if self._latest is not None else None
        if lost is not None and super().connected and not self._link.closing:
            return str(connection_error(self._settings, lost))
        return super().last_error

    def acknowledge(self, arrivals: Arrivals) -> None:
        """See `Source.acknowledge`."""
        chunk = arrivals.token
        if not isinstance(chunk, Chunk):
            raise TypeError(f"acknowledge: not arrivals of this source: {chunk!r}")
        if self._session is not None:
            self._session.acknowledge(chunk)
        else:
            self._memory.record(chunk)

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False
    ) -> None:
        """See `Source.publish`."""
        session = self._session
        if session is None:
            raise SourceLost(f"source {self.name!r}: not connected; nothing published to {topic}")
        try:
            await session.publish(topic, payload, qos=qos, retain=retain)
        except OSError as error:
            raise connection_error(self._settings, error) from error

    async def close(self) -> None:
        """See `Source.close`."""
        self._link.close()
        if self._session is not None:
            await self._session.close()
        self._mailbox.close()

    async def _connect(self) -> None:
        settings = self._settings
        try:
            session = Session(
                settings.host,
                settings.port,
                self._connect_packet(),
                tls=tls_context(settings),
                timeout=settings.connect_timeout,
                memory=self._memory,
                clock=self._clock,
            )
            async with session:
                if self._link.closing:
                    return
                self._session = self._latest = session
                # Beside the reading: the broker's answer may come behind a whole window of
                # queued messages.
                subscribing = asyncio.create_task(self._subscribe(session))
                try:
                    async for chunk in session.chunks():
                        self._mailbox.put(
                            Arrivals(chunk.topics, chunk.payloads, chunk.received_at, chunk)
                        )
                        await self._mailbox.room()
                finally:
                    subscribing.cancel()
        except (OSError, TimeoutError) as error:
            raise connection_error(settings, error) from error
        finally:
            self._session = None

    async def _subscribe(self, session: Session) -> None:
        try:
            await self._ask(session)
        except (SourceError, OSError) as error:
            session.fail(error)

    async def _ask(self, session: Session) -> None:
        settings = self._settings
        answers = await session.subscribe(
            [
                mqtt5.TopicFilter(
                    pattern,
                    max_qos=mqtt5.QoS(settings.qos),
                    # a retained message again at every reconnect would only be a duplicate
                    retain_handling=mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
                )
                for pattern in settings.filters
            ]
        )
        self._subscribed(
            [code.value for code in answers],
            settings.qos,
            session_present=session.connack.session_present,
        )

    def _connect_packet(self) -> mqtt5.ConnectPacket:
        settings = self._settings
        will = None
        if settings.will is not None:
            will = mqtt5.Will(
                settings.will.topic,
                payload=settings.will.payload,
                qos=mqtt5.QoS.AT_LEAST_ONCE,
                retain=settings.will.retain,
            )
        return mqtt5.ConnectPacket(
            settings.client_id,
            username=settings.username,
            password=None if settings.password is None else settings.password.encode(),
            clean_start=False,
            will=will,
            keep_alive=settings.keep_alive,
            session_expiry_interval=settings.session_expiry,
            receive_max=settings.receive_maximum,
            topic_alias_max=settings.topic_aliases,
            max_packet_size=settings.max_packet_size,
        )
