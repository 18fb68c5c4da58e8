"""Flags to a webhook: POST of JSON, signed by the Standard Webhooks scheme, version 1.0.0.

``webhook-id`` is the letter's key and stays the same at every attempt; ``webhook-timestamp`` is of
the attempt; ``webhook-signature`` is made anew with it.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec

from gateway.alerts import Later, Refused
from gateway.alerts.signing import signatures
from gateway.alerts.spec import WebhookSpec
from gateway.retry_after import asked_wait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.alerts.outbox import Letter

_SHOWN: Final = 200
# What a server says of the message itself; the rest is about us, the address, or this moment.
_OF_THE_MESSAGE: Final = frozenset((400, 406, 409, 411, 412, 413, 414, 415, 416, 422, 431, 451))


def envelope(letter: Letter) -> bytes:
    """The body: ``type``, ``timestamp`` of the event, and the flag as ``data``."""
    record: dict[str, Any] = letter.record
    kind = "test" if letter.event == "test" else f"flag.{letter.event}"
    return msgspec.json.encode({"type": kind, "timestamp": record.get("told_at"), "data": record})


class WebhookTarget:
    """Posts letters, one a request; redirects are not followed.

    Args:
        spec: the address and the keys.
        clock: wall time in s.
    """

    def __init__(self, spec: WebhookSpec, clock: Callable[[], float] = time.time) -> None:
        self._spec = spec
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            context: ssl.SSLContext | bool = True
            if self._spec.ca_file is not None:
                try:
                    context = ssl.create_default_context(cafile=self._spec.ca_file)
                except (OSError, ssl.SSLError) as fault:
                    raise Later(f"ca_file {self._spec.ca_file}: {fault}") from fault
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._spec.parallel, ssl=context),
                timeout=aiohttp.ClientTimeout(total=self._spec.timeout),
                headers={"User-Agent": "metering-gateway"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def send(self, parcel: Sequence[Letter]) -> None:
        """Posts each letter; returns when each was answered by a 2xx.

        Raises:
            Later: the server is away or busy, does not let us in, or answers nonsense.
            Refused: it refuses a letter for what it is.
        """
        for letter in parcel:
            await self._post(letter)

    async def _post(self, letter: Letter) -> None:
        body = envelope(letter)
        now = int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": letter.key,
            "webhook-timestamp": str(now),
            "webhook-signature": signatures(self._spec.keys, letter.key, now, body),
        }
        status, said, wait = await self._ask("POST", headers, body)
        if 200 <= status < 300:
            return
        told = f"{self._spec.place} answers {status}" + (f": {said}" if said else "")
        if status in _OF_THE_MESSAGE:
            raise Refused(told)
        raise Later(told, wait)

    async def _ask(
        self, method: str, headers: dict[str, str], body: bytes | None
    ) -> tuple[int, str, float]:
        """Status, the beginning of the answer, and the seconds that the server asks us to wait."""
        session, place = self._opened(), self._spec.place
        try:
            async with session.request(
                method, self._spec.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                said = b""
                if not answer.ok:
                    said = await answer.content.read(_SHOWN)
                answer.close()  # what may come after it is nobody's concern
                wait = asked_wait(answer.headers.get("Retry-After"), self._clock())
                return answer.status, " ".join(said.decode(errors="replace").split()), wait
        except TimeoutError as fault:
            raise Later(f"{place}: no answer within {self._spec.timeout:g} s") from fault
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            # Their own texts may have the address with its path in it.
            words = getattr(fault, "strerror", None) or getattr(fault, "message", "")
            told = " ".join(str(words).split())[:_SHOWN]
            raise Later(f"{place}: {type(fault).__name__} {told}".rstrip()) from fault

    async def probe(self) -> str:
        """Asks the server for its options: any answer shows that it is there.

        Raises:
            Later: it is not.
        """
        status, _, _ = await self._ask("OPTIONS", {}, None)
        if status >= 500:
            raise Later(f"{self._spec.place} answers {status}")
        return f"{self._spec.place} answers (OPTIONS: {status})"

    async def close(self) -> None:
        """Closes the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
