"""What every connection to a broker shares: TLS, back-off, and one log line a change of state."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

import structlog

from gateway.errors import SourceError, SourceLost, SourceRefused
from gateway.sources import MIB

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from gateway.sources import Arrivals, BrokerSettings

log = structlog.get_logger(__name__)

# A link that held this long was good: the next attempt may follow quickly.
STABLE_AFTER = 5.0
# Seconds that a connection has to end by itself when the source is closed.
FAREWELL = 1.5


def tls_context(settings: BrokerSettings) -> ssl.SSLContext | None:
    """The TLS settings of a broker, read anew so that renewed certificates are taken up.

    Returns:
        None when the connection is not encrypted.

    Raises:
        SourceRefused: a certificate file is missing or unreadable.
    """
    if not settings.encrypted:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.cert_file is not None:
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except OSError as error:
        files = [str(f) for f in (settings.ca_file, settings.cert_file, settings.key_file) if f]
        raise SourceRefused(
            f"TLS files {', '.join(files)}: {error}; check that they exist, are PEM and belong "
            "together"
        ) from error
    return context


def connection_error(settings: BrokerSettings, error: Exception) -> SourceError:
    """The error of ours for one of the operating system or of the TLS library."""
    where = f"{settings.host}:{settings.port}"
    if isinstance(error, SourceError):
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        return SourceRefused(
            f"{where}: the broker's certificate is not accepted: {error.verify_message}; renew it "
            "or correct ca_file"
        )
    if isinstance(error, ssl.SSLError):
        return SourceRefused(f"{where}: TLS failed: {error.reason or error}")
    if isinstance(error, TimeoutError):
        return SourceLost(f"{where}: no answer within {settings.connect_timeout:g} s")
    return SourceLost(f"{where}: {error or type(error).__name__}")


class Mailbox:
    """Arrivals on their way from a connection to the ledger; full means: stop reading.

    Args:
        max_messages: `full` from this many messages on.
        max_bytes: `full` from this many bytes of payload on.
    """

    def __init__(self, max_messages: int = 4096, max_bytes: int = 8 * MIB) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._items: deque[tuple[Arrivals, int]] = deque()
        self._messages = 0
        self._bytes = 0
        self._closed = False
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether nothing more should be read from the network for now."""
        return self._messages >= self._max_messages or self._bytes >= self._max_bytes

    def put(self, arrivals: Arrivals) -> None:
        """Hand over; what was read is never refused, so look at `full` before reading more."""
        size = sum(map(len, arrivals.payloads))
        self._items.append((arrivals, size))
        self._messages += len(arrivals)
        self._bytes += size
        self._arrived.set()

    async def room(self) -> None:
        """Wait until it is not `full`, or closed."""
        while self.full and not self._closed:
            self._room.clear()
            await self._room.wait()

    def close(self) -> None:
        """End the iteration after what is already inside."""
        self._closed = True
        self._arrived.set()
        self._room.set()

    async def __aiter__(self) -> AsyncIterator[Arrivals]:
        while True:
            while self._items:
                arrivals, size = self._items.popleft()
                self._messages -= len(arrivals)
                self._bytes -= size
                self._room.set()
                yield arrivals
            if self._closed:
                return
            self._arrived.clear()
            await self._arrived.wait()


class Link:
    """State of one connection over all its attempts, and the loop that keeps it up.

    Args:
        settings: where to connect, and the back-off's bounds.
        rng: spreads the attempts of many gateways.
    """

    def __init__(self, settings: BrokerSettings, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng
        self._closing = asyncio.Event()
        self._state = "new"
        self._connected_at = 0.0
        self.connected = False
        self.reconnects = 0
        self.last_error: str | None = None
        self._log = log.bind(source=settings.name, broker=f"{settings.host}:{settings.port}")

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""
        return self._closing.is_set()

    def close(self) -> None:
        """End `keep` at its next wait."""
        self._closing.set()

    def up(self, **facts: object) -> None:
        """The broker accepted us and our subscriptions."""
        if self._connected_at:
            self.reconnects += 1
        self._connected_at = time.monotonic()
        self.connected = True
        self.last_error = None
        self._state = "connected"
        self._log.info("connected", **facts)

    def trouble(self, event: str, text: str) -> None:
        """Say something that does not end the connection, and keep it for the status."""
        self.last_error = text
        self._log.warning(event, error=text)

    def _down(self, error: SourceError) -> None:
        self.connected = False
        self.last_error = str(error)
        state = "refused by the broker" if isinstance(error, SourceRefused) else "connection lost"
        if state != self._state:  # a change of state is worth a line, an attempt is not
            self._state = state
            self._log.warning(state, error=str(error))

    async def keep(self, connect: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run ``connect`` again and again until `close`.

        Args:
            connect: one connection's life; calls `up`, and raises SourceError at its end.
        """
        attempts = 0
        while not self.closing:
            try:
                await self._until_closed(connect())
            except SourceError as error:
                if self.closing:
                    break
                if self.connected and time.monotonic() - self._connected_at > STABLE_AFTER:
                    attempts = 0
                self._down(error)
                await self._pause(attempts, refused=isinstance(error, SourceRefused))
                attempts += 1
        self.connected = False

    async def _until_closed(self, connection: Coroutine[Any, Any, None]) -> None:
        """Await a connection's life; after `close` it has a moment for a farewell."""
        living = asyncio.create_task(connection)
        closing = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait({living, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not living.done():
                await asyncio.wait({living}, timeout=FAREWELL if self.connected else 0)
            if living.done():
                living.result()
        finally:
            closing.cancel()
            if not living.done():
                living.cancel()
                await asyncio.wait({living})

    async def _pause(self, attempts: int, *, refused: bool) -> None:
        longest = self._settings.reconnect_max
        delay = longest if refused else self._settings.reconnect_min * 2.0 ** min(attempts, 30)
        delay = min(delay, longest) * self._rng.uniform(0.5, 1.0)
        try:
            async with asyncio.timeout(delay):
                await self._closing.wait()
        except TimeoutError:
            return


class LinkedSource:
    """What the sources of all protocols do alike; one `_connect` makes it a source.

    Args:
        settings: the broker and what is wanted of it.
        mailbox: between the connection and whoever pulls `arrivals`.
        session_expected: whether the broker ought to know us already (the ledger is not empty);
            if it does not, messages were lost and the log says so.
        clock: ns UTC.
        rng: spreads reconnects.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        mailbox: Mailbox,
        *,
        session_expected: bool,
        clock: Callable[[], int],
        rng: random.Random | None,
    ) -> None:
        self.name = settings.name
        self.sessions_lost = 0
        self._settings = settings
        self._mailbox = mailbox
        self._session_expected = session_expected
        self._clock = clock
        self._link = Link(settings, rng or random.Random())  # noqa: S311  # a delay is no secret

    @property
    def connected(self) -> bool:
        """Whether the broker is there and has accepted the subscriptions."""
        return self._link.connected

    @property
    def reconnects(self) -> int:
        """How often the connection was made again."""
        return self._link.reconnects

    @property
    def last_error(self) -> str | None:
        """What is wrong now; None when all is well."""
        return self._link.last_error

    async def run(self) -> None:
        """See `Source.run`."""
        try:
            await self._link.keep(self._connect)
        finally:
            self._mailbox.close()

    def arrivals(self) -> AsyncIterator[Arrivals]:
        """See `Source.arrivals`."""
        return aiter(self._mailbox)

    @abstractmethod
    async def _connect(self) -> None:
        """One connection's life; calls `_subscribed`, raises SourceError at its end."""

    def _subscribed(self, codes: list[int], wanted: int, *, session_present: bool) -> None:
        """Judge the broker's answer to the subscriptions, and say what is not as it ought.

        Args:
            codes: the broker's answer to each of ``settings.filters``: the QoS it grants, or
                0x80 and above for a refusal.
            wanted: the QoS that was asked for.
            session_present: whether the broker had kept our session.

        Raises:
            SourceRefused: not one was granted.
        """
        filters = self._settings.filters
        pairs = list(zip(filters, codes, strict=True))
        refused = [f"{pattern} (0x{code:02X})" for pattern, code in pairs if code >= 0x80]
        if len(refused) == len(pairs):
            raise SourceRefused(
                f"the broker refused every subscription: {', '.join(refused)}; check its access "
                "rules for this user"
            )
        lost = self._session_expected and not session_present
        self._session_expected = True
        self._link.up(session_present=session_present, topics=filters)
        if lost:
            self.sessions_lost += 1
            self._link.trouble(
                "session lost",
                "the broker has forgotten our session; what it had queued for us is lost. Check "
                "its persistence and session expiry",
            )
        lower = [pattern for pattern, code in pairs if code < wanted]
        if lower:
            self._link.trouble(
                "subscription granted at a lower QoS", f"{', '.join(lower)}: asked for {wanted}"
            )
        if refused:
            self._link.trouble("subscription refused", ", ".join(refused))
