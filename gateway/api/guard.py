"""What stands before every request: host, size, headers of safety; and the rate of each caller."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from gateway.api.problems import Busy, TooManyRequests, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY: Final = 256 * 1024
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_CONTENT_POLICY: Final = b"default-src 'none'; frame-ancestors 'none'"
_KEPT: Final = 10_000


class Guard:
    """Refuses what no handler should see, and adds headers to every answer.

    Args:
        app: behind it.
        hosts: names that a browser may know us by, against DNS rebinding; empty for any.
        secure: whether we speak TLS.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], secure: bool) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._headers = list(_HEADERS)
        if secure:
            self._headers.append((b"strict-transport-security", b"max-age=31536000"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        sending = self._with_headers(send)
        if self._hosts and _host(headers.get(b"host", b"")) not in self._hosts:
            await problem(421, "misdirected")(scope, receive, sending)
            return
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            told = f"a request has at most {LARGEST_BODY:,} bytes"
            await problem(413, "too-large", told)(scope, receive, sending)
            return
        await self._app(scope, _bounded(receive), sending)

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                policy = (b"content-security-policy", _CONTENT_POLICY)
                message["headers"] = [
                    *message["headers"],
                    *(each for each in (*self._headers, policy) if each[0] not in given),
                ]
            await send(message)

        return sending


def _host(header: bytes) -> str:
    """The name in a Host header, without its port."""
    text = header.decode("latin-1").lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def _bounded(receive: Receive) -> Receive:
    """A body that says no length ends where it becomes too large; its handler finds it cut off."""
    taken = 0

    async def receiving() -> Message:
        nonlocal taken
        message = await receive()
        if message["type"] == "http.request":
            taken += len(message.get("body", b""))
            if taken > LARGEST_BODY:
                return {"type": "http.disconnect"}
        return message

    return receiving


class Rates:
    """How often each caller may ask: a bucket of tokens that fills with time.

    Args:
        per_second: tokens that come.
        burst: tokens that a bucket holds.
        clock: seconds.
    """

    def __init__(
        self, per_second: float, burst: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, cost: float = 1.0) -> None:
        """Takes tokens of a caller.

        Raises:
            TooManyRequests: he has none left.
        """
        now = self._clock()
        with self._lock:
            held, at = self._held.pop(caller, (float(self._burst), now))
            held = min(self._burst, held + (now - at) * self._per_second)
            if held < cost:
                self._held[caller] = held, now
                raise TooManyRequests(max(1, round((cost - held) / self._per_second)))
            self._held[caller] = held - cost, now
            if len(self._held) > _KEPT:
                self._held.popitem(last=False)


class Slots:
    """How many of one thing go on at once, in all and of one account: nobody has all of them.

    Args:
        most: in all.
        each: of one account.
    """

    def __init__(self, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}

    def take(self, name: str) -> None:
        """Takes one.

        Raises:
            Busy: there is none left, or this account has its part.
        """
        with self._lock:
            own = self._held.get(name, 0)
            if own >= self._each or sum(self._held.values()) >= self._most:
                raise Busy("too many at once: try again when one has ended", 5)
            self._held[name] = own + 1

    def give_back(self, name: str) -> None:
        """Gives one back that was taken."""
        with self._lock:
            self._held[name] -= 1
            if not self._held[name]:
                del self._held[name]
