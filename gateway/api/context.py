"""What handlers work with: the world, who asks, and answers in one form."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from fastapi import Depends, Request
from starlette.responses import Response

from gateway.access import sessions
from gateway.access.passwords import Hasher
from gateway.access.people import secret
from gateway.access.sessions import NotKnown, Principal, csrf_of
from gateway.api.guard import Rates
from gateway.api.problems import CrossSite, MustChangePassword
from gateway.errors import ConfigError
from gateway.queries.privacy import Pseudonyms, privacy_of
from gateway.queries.quality import QualityCounts
from gateway.queries.seen import Seen
from gateway.times import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.access.roles import Permission
    from gateway.access.single_sign_on import SingleSignOn
    from gateway.queries.seen import World
    from gateway.status import Status

SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
CSRF_HEADER: Final = "x-csrf-token"
_DATE: Final = len("2026-03-01")
_EXPORT_COST: Final = 10.0


class Api:
    """Everything that the handlers share.

    Args:
        world: what can be asked.
        status: the gateway's state as it was last told; None before the first.
        hasher: of passwords.
        rates: of callers.
        secure: whether we speak TLS, so that cookies are sent over nothing else.
        single_sign_on: the provider, where there is one.
    """

    def __init__(
        self,
        world: World,
        *,
        status: Callable[[], Status | None],
        hasher: Hasher | None = None,
        rates: Rates | None = None,
        secure: bool = False,
        single_sign_on: SingleSignOn | None = None,
    ) -> None:
        self.world = world
        self.casebook = world.casebook
        self.status = status
        self.hasher = hasher or Hasher()
        self.rates = rates or Rates(50.0, 200)
        self.logins = Rates(1.0, 20)
        self.secure = secure
        self.single_sign_on = single_sign_on
        self.quality = QualityCounts(world)
        self.names = Pseudonyms(secret(world.casebook, "pseudonyms"))

    @property
    def cookie(self) -> str:
        """The name of the cookie; browsers give ``__Host-`` to no other host and over TLS only."""
        return "__Host-gateway" if self.secure else "gateway"

    def looked(self, caller: Principal, what: str, subject: str, **detail: object) -> None:
        """Has the audit say that somebody looked at what tells of people.

        It is written before anything is answered: what cannot be noted is not shown.
        """
        self.looked_at_all(caller, what, [subject], **detail)

    def looked_at_all(
        self, caller: Principal, what: str, subjects: Sequence[str], **detail: object
    ) -> None:
        """The same of several at once, an entry each: all of them or none."""
        told = {key: value for key, value in detail.items() if value is not None}
        if caller.token_id is not None:
            told["token"] = caller.token_id
        self.casebook.record_each(
            actor=caller.name, action=f"look.{what}", subjects=subjects, detail=told
        )


def api_of(request: Request) -> Api:
    """What the handlers share."""
    api: Api = request.app.state.api
    return api


def address_of(request: Request) -> str:
    """From where a request comes; of a socket without one, nothing."""
    return request.client.host if request.client is not None else ""


def same_site(request: Request) -> None:
    """Does nothing where a page of ours, or no browser at all, sends this.

    Raises:
        CrossSite: another site's page does.
    """
    fetched = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    if fetched not in {"same-origin", "none"} or (
        origin is not None and origin.partition("://")[2] != host
    ):
        raise CrossSite("a change has to come from a page of this gateway")


def identified(request: Request) -> Principal:
    """Who it is that was let in by this request, looked up anew.

    It counts as no request: neither against his rate nor as a use of his session.

    Raises:
        NotKnown: nobody that is known any more.
    """
    api = api_of(request)
    header = request.headers.get("authorization")
    if header is not None:
        return sessions.of_token(api.casebook, header.partition(" ")[2].strip())
    key = request.cookies.get(api.cookie, "")
    return sessions.of_session(api.casebook, key, used=False)


def authenticated(request: Request) -> Principal:
    """Who asks, whether or not he has to change his password first.

    Raises:
        NotKnown: nobody that is known.
        TooManyRequests: he asks too often.
        CrossSite: a change by session without the token of its page.
    """
    api = api_of(request)
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer":
            raise NotKnown("a bearer token is needed")
        caller = _counted(api, request, lambda: sessions.of_token(api.casebook, text.strip()))
    else:
        key = request.cookies.get(api.cookie)
        if key is None:
            api.rates.take(f"address {address_of(request)}")
            raise NotKnown("log in, or show a bearer token")
        caller = _counted(api, request, lambda: sessions.of_session(api.casebook, key))
        if request.method not in SAFE:
            same_site(request)
            given = request.headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(given.encode(), csrf_of(key).encode()):
                raise CrossSite(f"header {CSRF_HEADER} is missing or not the session's")
    api.rates.take(f"person {caller.person.id}")
    return caller


def _counted(api: Api, request: Request, find: Callable[[], Principal]) -> Principal:
    """Who a secret is of; wrong ones cost the address that shows them."""
    try:
        return find()
    except NotKnown:
        api.rates.take(f"address {address_of(request)}")
        raise


def person(request: Request) -> Principal:
    """Who asks.

    Raises:
        MustChangePassword: he has not set a password of his own.
    """
    caller = authenticated(request)
    if caller.must_change:
        raise MustChangePassword("set a password of your own first: PUT /api/v1/session/password")
    return caller


async def _shared(request: Request) -> Api:
    """`api_of` as a dependency; a plain function would be sent to a thread for nothing."""
    return api_of(request)


Caller = Annotated[Principal, Depends(person)]
Context = Annotated[Api, Depends(_shared)]


def seen_by(api: Api, caller: Principal, permission: Permission) -> Seen:
    """What somebody sees, for one part of the API.

    Raises:
        AccessDenied: this part is not for him.
        StoreUnavailable: processing cannot be asked.
    """
    caller.need(permission)
    api.world.directory.refresh()
    return Seen(api.world, caller.scope, privacy_of(caller.permissions))


def export_cost(api: Api, caller: Principal) -> None:
    """An export counts as several requests."""
    api.rates.take(f"person {caller.person.id}", _EXPORT_COST)


def moment(text: str | None, name: str) -> int | None:
    """A time, RFC 3339 or a date (its beginning in UTC), as ns.

    Raises:
        ConfigError: it is neither.
    """
    if text is None:
        return None
    try:
        return nanoseconds(f"{text}T00:00:00Z" if len(text) == _DATE else text)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}, or as a date: 2026-03-01") from None


def answer(
    request: Request,
    content: object,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    etag: str | None = None,
) -> Response:
    """JSON with an ETag, or 304 where the caller has it already.

    Args:
        request: that is answered.
        content: to be encoded.
        status: of the answer.
        headers: more of them.
        etag: a version, where there is a better one than the hash of the content.
    """
    body = msgspec.json.encode(content)
    tag = etag or f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    told = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization"}
    told |= headers or {}
    if request.method in SAFE and status == 200:
        known = request.headers.get("if-none-match", "")
        if tag in (each.strip().removeprefix("W/") for each in known.split(",")):
            return Response(status_code=304, headers=told)
    return Response(body, status, media_type="application/json", headers=told)
