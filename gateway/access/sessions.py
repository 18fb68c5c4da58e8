"""Who is asking: logins, sessions and API tokens.

A session's key and a token are random and opaque; the casebook has their SHA-256 only (they have
256 bits, so a slow hash would gain nothing).  What a person may do is read anew at each request: a
change of role, or a disabled account, holds at once.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import sqlalchemy as sa

from gateway.access import throttle
from gateway.access.people import Person, person_of
from gateway.access.roles import (
    ALLOWED,
    PERMISSIONS,
    AccessDenied,
    Permission,
    Role,
    Scope,
)
from gateway.access.tables import PERSON, SESSION, TOKEN
from gateway.errors import ConfigError, GatewayError

if TYPE_CHECKING:
    from collections.abc import Collection

    from gateway.access.passwords import Hasher
    from gateway.casebook import Casebook

_SECOND: Final = 1_000_000_000
IDLE_S: Final = 30 * 60
LONGEST_S: Final = 12 * 3600
_NOTED_S: Final = 60
"""Uses of a session or token are noted once a minute: a look must not cost an fsync."""
LONGEST_TOKEN_DAYS: Final = 366
MOST_TOKENS: Final = 20
_TOKEN: Final = "mgw"  # noqa: S105 - what a token begins with, so that scanners of code find one


class LoginRefused(GatewayError):
    """Name or password is wrong, or the account is disabled; which of these is not said."""


class NotKnown(GatewayError):
    """The session or token is none, has expired, or was revoked."""


class Principal(msgspec.Struct, frozen=True):
    """Who asks, what he may, and of what part of the world.

    ``via`` is how he showed who he is; ``key`` the hash of his session, None of a token;
    ``must_change`` that he can do nothing but set his password.
    """

    person: Person
    permissions: frozenset[Permission]
    via: Literal["session", "token"]
    key: str | None = None
    token_id: int | None = None

    @property
    def name(self) -> str:
        """The name of the account."""
        return self.person.name

    @property
    def role(self) -> Role:
        """The role of the account."""
        return self.person.role

    @property
    def scope(self) -> Scope:
        """What of the world he sees."""
        return self.person.scope

    @property
    def must_change(self) -> bool:
        """Whether the password has to be set first."""
        return self.person.must_change and self.via == "session"

    def may(self, permission: Permission) -> bool:
        """Whether something is allowed."""
        return permission in self.permissions

    def need(self, permission: Permission) -> None:
        """Does nothing where something is allowed.

        Raises:
            AccessDenied: it is not.
        """
        if permission not in self.permissions:
            raise AccessDenied(f"{self.role} {self.name} has no permission {permission!r}")


class Session(msgspec.Struct, frozen=True):
    """A new session: the key for the cookie, and what shows that a change is meant."""

    key: str
    csrf: str
    expires_at: int
    principal: Principal


class Token(msgspec.Struct, frozen=True):
    """A token as lists show it; times in ns UTC."""

    id: int
    owner: str
    title: str
    permissions: tuple[str, ...]
    made_at: int
    expires_at: int
    used_at: int | None
    revoked_at: int | None


def csrf_of(key: str) -> str:
    """What a page sends back in a header with each change: it can be read by our pages only."""
    return hmac.new(key.encode(), b"csrf", hashlib.sha256).hexdigest()


def log_in(
    casebook: Casebook, hasher: Hasher, name: str, password: str, *, address: str
) -> Session:
    """Begins a session.

    Raises:
        Throttled: there were too many failures.
        LoginRefused: name or password is wrong.
    """
    throttle.attempt(casebook, name, address)
    query = sa.select(PERSON).where(PERSON.c.name == name.strip().lower())
    with casebook.transaction(reading=True) as connection:
        row = connection.execute(query).first()
    right = hasher.verify(None if row is None else row.password, password)
    if row is None or not right or row.disabled:
        # An unknown name is not kept: it may be a password typed into the wrong field.
        known = "unknown account" if row is None else row.name
        casebook.record(
            actor=known, action="login.refused", subject=known, detail={"address": address}
        )
        raise LoginRefused("name or password is wrong, or the account is disabled")
    return _begun(casebook, row, address, {"address": address})


def log_in_as(casebook: Casebook, name: str, *, address: str, by: str) -> Session:
    """Begins a session of somebody whom another one vouches for, such as single sign-on.

    His name there is taken as it is, but for capitals: the sign of the kelvin is a small k to
    `str.lower`, and to a provider another letter, so another person.

    Raises:
        LoginRefused: there is no account of that name, or it is disabled.
    """
    small = name.lower() if name.isascii() else ""
    query = sa.select(PERSON).where(PERSON.c.name == small)
    with casebook.transaction(reading=True) as connection:
        row = connection.execute(query).first()
    detail = {"address": address, "by": by}
    if row is None or row.disabled:
        known = "unknown account" if row is None else row.name
        casebook.record(actor=known, action="login.refused", subject=known, detail=detail)
        raise LoginRefused("there is no account of this name here, or it is disabled")
    return _begun(casebook, row, address, detail)


def _begun(casebook: Casebook, row: sa.Row[Any], address: str, detail: dict[str, Any]) -> Session:
    """A new session of an account."""
    now = casebook.now()
    key = secrets.token_urlsafe(32)
    kept = _hash(key)
    expires = now + LONGEST_S * _SECOND
    with casebook.transaction() as connection:
        throttle.succeeded(connection, row.name, address)
        connection.execute(sa.delete(SESSION).where(SESSION.c.expires_at <= now))
        connection.execute(
            sa.insert(SESSION).values(
                hash=kept, person_id=row.id, made_at=now, used_at=now, expires_at=expires,
                address=address,
            )
        )  # fmt: skip
        connection.execute(sa.update(PERSON).where(PERSON.c.id == row.id).values(seen_at=now))
        casebook.audited(connection, [_row(now, row.name, "login", row.name, detail)])
    person = person_of(row)
    principal = Principal(person, ALLOWED[person.role], "session", key=kept)
    return Session(key, csrf_of(key), expires, principal)


def of_session(casebook: Casebook, key: str, *, used: bool = True) -> Principal:
    """Who a session is of.

    Args:
        casebook: where sessions are kept.
        key: of the session.
        used: whether somebody asks for something, which keeps it from ending.

    Raises:
        NotKnown: it is none, or has expired.
    """
    kept, now = _hash(key), casebook.now()
    query = (
        sa.select(PERSON, SESSION.c.used_at, SESSION.c.expires_at)
        .join(SESSION, SESSION.c.person_id == PERSON.c.id)
        .where(SESSION.c.hash == kept)
    )
    with casebook.transaction(reading=True) as connection:
        row = connection.execute(query).first()
    if (
        row is None
        or row.disabled
        or now >= row.expires_at
        or now >= row.used_at + IDLE_S * _SECOND
    ):
        raise NotKnown("the session has ended: log in again")
    if used and now >= row.used_at + _NOTED_S * _SECOND:
        with casebook.transaction() as connection:
            connection.execute(sa.update(SESSION).where(SESSION.c.hash == kept).values(used_at=now))
    person = person_of(row)
    return Principal(person, ALLOWED[person.role], "session", key=kept)


def log_out(casebook: Casebook, principal: Principal) -> None:
    """Ends a session."""
    with casebook.transaction() as connection:
        connection.execute(sa.delete(SESSION).where(SESSION.c.hash == principal.key))
        row = _row(casebook.now(), principal.name, "logout", principal.name, {})
        casebook.audited(connection, [row])


def make_token(
    casebook: Casebook,
    owner: Person,
    *,
    title: str,
    permissions: Collection[str] | None,
    days: float,
    actor: str,
) -> tuple[Token, str]:
    """Makes a token of a person; the text of it is given this once.

    Args:
        casebook: where its hash is kept.
        owner: whose role and scope it has.
        title: what it is for.
        permissions: what of the owner's it may; None for all.
        days: until it expires.
        actor: who makes it.

    Raises:
        ConfigError: it would last too long, or there are too many.
        AccessDenied: it would be allowed more than its owner.
    """
    wanted = sorted(ALLOWED[owner.role] if permissions is None else set(permissions))
    unknown = [each for each in wanted if each not in PERMISSIONS]
    if unknown:
        raise ConfigError(f"no permission {unknown[0]!r:.40}; known are {', '.join(PERMISSIONS)}")
    beyond = [each for each in wanted if each not in ALLOWED[owner.role]]
    if beyond:
        raise AccessDenied(f"{owner.role} {owner.name} has no permission {beyond[0]!r}")
    if not 0 < days <= LONGEST_TOKEN_DAYS:
        raise ConfigError(f"a token lasts at most {LONGEST_TOKEN_DAYS} days")
    title = title.strip()
    if not title or len(title) > 100 or not title.isprintable():
        raise ConfigError("a token has a title of 1 to 100 characters: what it is for")
    text, now = secrets.token_urlsafe(32), casebook.now()
    expires = now + round(days * 86_400 * _SECOND)
    with casebook.transaction() as connection:
        held = sa.select(sa.func.count()).where(
            TOKEN.c.person_id == owner.id, TOKEN.c.revoked_at.is_(None), TOKEN.c.expires_at > now
        )
        if (connection.scalar(held) or 0) >= MOST_TOKENS:
            raise ConfigError(f"{owner.name} has {MOST_TOKENS} tokens: revoke one first")
        inserted = connection.execute(
            sa.insert(TOKEN).values(
                hash=_hash(text), person_id=owner.id, title=title, permissions=wanted,
                made_at=now, expires_at=expires,
            )
        )  # fmt: skip
        number = int(inserted.inserted_primary_key[0])  # type: ignore[index]
        detail = {"owner": owner.name, "title": title, "permissions": wanted, "days": days}
        casebook.audited(connection, [_row(now, actor, "token.add", f"token {number}", detail)])
    made = Token(number, owner.name, title, tuple(wanted), now, expires, None, None)
    return made, f"{_TOKEN}_{number}_{text}"


def of_token(casebook: Casebook, text: str) -> Principal:
    """Who a token is of.

    Raises:
        NotKnown: it is none, has expired, or was revoked.
    """
    prefix, _, rest = text.partition("_")
    number, _, secret = rest.partition("_")
    unknown = NotKnown("the token is none, has expired, or was revoked")
    if prefix != _TOKEN or not number.isascii() or not number.isdigit() or len(number) > 12:
        raise unknown
    query = (
        sa.select(PERSON, TOKEN.c.hash, TOKEN.c.permissions, TOKEN.c.expires_at, TOKEN.c.used_at,
                  TOKEN.c.revoked_at, TOKEN.c.id.label("token_id"))
        .join(TOKEN, TOKEN.c.person_id == PERSON.c.id)
        .where(TOKEN.c.id == int(number))
    )  # fmt: skip
    with casebook.transaction(reading=True) as connection:
        row = connection.execute(query).first()
    now = casebook.now()
    if (
        row is None
        or not hmac.compare_digest(row.hash, _hash(secret))
        or row.disabled
        or row.revoked_at is not None
        or now >= row.expires_at
    ):
        raise unknown
    if row.used_at is None or now >= row.used_at + _NOTED_S * _SECOND:
        with casebook.transaction() as connection:
            connection.execute(
                sa.update(TOKEN).where(TOKEN.c.id == row.token_id).values(used_at=now)
            )
    person = person_of(row)
    held = frozenset(each for each in ALLOWED[person.role] if each in row.permissions)
    return Principal(person, held, "token", token_id=row.token_id)


def tokens(casebook: Casebook, owner: Person | None = None) -> list[Token]:
    """Tokens of a person, or of all, the newest first."""
    query = (
        sa.select(TOKEN, PERSON.c.name)
        .join(PERSON, PERSON.c.id == TOKEN.c.person_id)
        .order_by(TOKEN.c.id.desc())
    )
    if owner is not None:
        query = query.where(TOKEN.c.person_id == owner.id)
    with casebook.transaction(reading=True) as connection:
        return [
            Token(
                row.id, row.name, row.title, tuple(row.permissions), row.made_at, row.expires_at,
                row.used_at, row.revoked_at,
            )
            for row in connection.execute(query)
        ]  # fmt: skip


def revoke(casebook: Casebook, number: int, *, owner: Person | None, actor: str) -> None:
    """Ends a token, of this owner or of anybody.

    Raises:
        ConfigError: there is none.
    """
    now = casebook.now()
    change = sa.update(TOKEN).where(TOKEN.c.id == number, TOKEN.c.revoked_at.is_(None))
    if owner is not None:
        change = change.where(TOKEN.c.person_id == owner.id)
    with casebook.transaction() as connection:
        if not connection.execute(change.values(revoked_at=now)).rowcount:
            raise ConfigError(f"no token {number}")
        casebook.audited(connection, [_row(now, actor, "token.revoke", f"token {number}", {})])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _row(at: int, actor: str, action: str, subject: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {"at": at, "actor": actor, "action": action, "subject": subject, "detail": detail}
