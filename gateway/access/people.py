"""Accounts of people: made, changed, disabled; each change with its row of audit."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from gateway.access import passwords
from gateway.access.roles import AccessDenied, Role, Scope, checked_role, checked_scope
from gateway.access.tables import PERSON, SECRET, SESSION
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.access.passwords import Hasher
    from gateway.casebook import Casebook

FIRST: Final = "administrator"
"""Name of the account that the first start makes."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)


class Person(msgspec.Struct, frozen=True):
    """One account; times in ns UTC.  ``must_change``: the password was given by somebody else."""

    id: int
    name: str
    role: Role
    scope: Scope
    must_change: bool
    disabled: bool
    made_at: int
    seen_at: int | None


def checked_name(name: str) -> str:
    """The name of an account, in small letters.

    Raises:
        ConfigError: it is none.
    """
    small = name.strip().lower()
    if _NAME.fullmatch(small) is None:
        raise ConfigError(
            f"name {name!r:.80}: small letters, digits, dot, hyphen and underscore, at most 64"
        )
    return small


def person_of(row: sa.Row[Any]) -> Person:
    """A row of `PERSON`, or one that has its columns."""
    return Person(
        id=row.id,
        name=row.name,
        role=row.role,
        scope=Scope(row.region, row.vendor),
        must_change=row.must_change,
        disabled=row.disabled,
        made_at=row.made_at,
        seen_at=row.seen_at,
    )


def people(casebook: Casebook) -> list[Person]:
    """Every account, by name."""
    with casebook.transaction(reading=True) as connection:
        rows = connection.execute(sa.select(PERSON).order_by(PERSON.c.name))
        return [person_of(row) for row in rows]


class People:
    """Changes to accounts by one person, who can only give what he has.

    Args:
        casebook: where they are kept.
        hasher: of passwords.
        actor: who.
        scope: what he sees; accounts beyond it he can neither see nor make.
    """

    def __init__(self, casebook: Casebook, hasher: Hasher, *, actor: str, scope: Scope) -> None:
        self._casebook = casebook
        self._hasher = hasher
        self._actor = actor
        self._scope = scope

    def list(self) -> list[Person]:
        """The accounts within the scope."""
        return [person for person in people(self._casebook) if person.scope.within(self._scope)]

    def add(
        self,
        name: str,
        role: str,
        *,
        region: str = "",
        vendor: str | None = None,
        single_sign_on: bool = False,
    ) -> str:
        """Makes an account; returns its one-time password.

        One for single sign-on alone has none, and the text returned is empty.

        Raises:
            ConfigError: the name is taken, or the role or scope is none.
            AccessDenied: the scope is beyond that of who makes it.
        """
        name = checked_name(name)
        given = checked_role(role)
        scope = self._within(checked_scope(given, region, vendor))
        password = "" if single_sign_on else passwords.one_time()
        kept = self._hasher.hash(password) if password else None
        with self._casebook.transaction() as connection:
            if connection.scalar(sa.select(PERSON.c.id).where(PERSON.c.name == name)) is not None:
                raise ConfigError(f"there is an account {name} already")
            connection.execute(
                sa.insert(PERSON).values(
                    name=name, role=given, region=scope.region, vendor=scope.vendor,
                    password=kept, must_change=bool(password), disabled=False,
                    made_at=self._casebook.now(),
                )
            )  # fmt: skip
            self._audited(connection, "user.add", name, _told(given, scope))
        return password

    def change(
        self,
        name: str,
        *,
        role: str | None = None,
        region: str | None = None,
        vendor: str | None = None,
        disabled: bool | None = None,
    ) -> Person:
        """Changes what an account may; what is None stays, and its sessions hold the new.

        Raises:
            ConfigError: there is no such account within the scope, the change is none, or nobody
                would be left who administers the whole country.
            AccessDenied: it would go beyond the scope of who changes it.
        """
        with self._casebook.transaction() as connection:
            person = self._known(connection, name)
            given = person.role if role is None else checked_role(role)
            kept = person.scope.vendor if given == "vendor" else None
            scope = self._within(
                checked_scope(
                    given,
                    person.scope.region if region is None else region,
                    kept if vendor is None else vendor,
                )
            )
            off = person.disabled if disabled is None else disabled
            narrower = scope != person.scope
            if person.role == "administrator" and (given != "administrator" or off or narrower):
                self._not_the_last(connection, person)
            values = {
                "role": given, "region": scope.region, "vendor": scope.vendor, "disabled": off,
            }  # fmt: skip
            connection.execute(sa.update(PERSON).where(PERSON.c.id == person.id).values(values))
            if off:
                _end_sessions(connection, person.id)
            told = _told(given, scope) | {"disabled": off}
            before = _told(person.role, person.scope) | {"disabled": person.disabled}
            self._audited(connection, "user.change", person.name, {"before": before, "after": told})
            return self._known(connection, person.name)

    def reset(self, name: str) -> str:
        """Gives an account a new one-time password and ends its sessions.

        Raises:
            ConfigError: there is no such account within the scope.
        """
        password = passwords.one_time()
        kept = self._hasher.hash(password)
        with self._casebook.transaction() as connection:
            person = self._known(connection, name)
            _set_password(connection, person.id, kept, must_change=True)
            _end_sessions(connection, person.id)
            self._audited(connection, "user.password", person.name, {"one_time": True})
        return password

    def _known(self, connection: sa.Connection, name: str) -> Person:
        query = sa.select(PERSON).where(PERSON.c.name == name.strip().lower())
        row = connection.execute(query).first()
        person = None if row is None else person_of(row)
        if person is None or not person.scope.within(self._scope):
            raise ConfigError(f"no account {name!r:.80}; `gateway user list` tells them")
        return person

    def _within(self, scope: Scope) -> Scope:
        if not scope.within(self._scope):
            raise AccessDenied("an account cannot see more than who makes it")
        return scope

    @staticmethod
    def _not_the_last(connection: sa.Connection, person: Person) -> None:
        others = sa.select(sa.func.count()).where(
            PERSON.c.role == "administrator",
            PERSON.c.region == "",
            PERSON.c.disabled.is_(sa.false()),
            PERSON.c.id != person.id,
        )
        if not person.scope.region and not connection.scalar(others):
            raise ConfigError(f"{person.name} is the last administrator: make another one first")

    def _audited(
        self, connection: sa.Connection, action: str, name: str, detail: dict[str, Any]
    ) -> None:
        self._casebook.audited(
            connection,
            [
                {
                    "at": self._casebook.now(),
                    "actor": self._actor,
                    "action": action,
                    "subject": name,
                    "detail": detail,
                }
            ],
        )


def _told(role: str, scope: Scope) -> dict[str, Any]:
    told = {"role": role, "region": scope.region}
    return told if scope.vendor is None else told | {"vendor": scope.vendor}


def _set_password(
    connection: sa.Connection, person_id: int, kept: str, *, must_change: bool
) -> None:
    change = sa.update(PERSON).where(PERSON.c.id == person_id)
    connection.execute(change.values(password=kept, must_change=must_change))


def _end_sessions(connection: sa.Connection, person_id: int, *, but: Sequence[str] = ()) -> None:
    ended = sa.delete(SESSION).where(SESSION.c.person_id == person_id)
    connection.execute(ended.where(SESSION.c.hash.not_in(but)))


def set_own_password(
    casebook: Casebook, hasher: Hasher, person: Person, password: str, *, session: str
) -> None:
    """Sets the password that a person has chosen; all but this session end.

    Raises:
        ConfigError: it may not be set.
    """
    kept = hasher.hash(passwords.checked(password, person.name))
    with casebook.transaction() as connection:
        _set_password(connection, person.id, kept, must_change=False)
        _end_sessions(connection, person.id, but=[session])
        row = {
            "at": casebook.now(), "actor": person.name, "action": "user.password",
            "subject": person.name, "detail": {},
        }  # fmt: skip
        casebook.audited(connection, [row])


def first_administrator(casebook: Casebook, hasher: Hasher) -> str | None:
    """Makes the first account where there is none; returns its one-time password.

    Two processes that start at once make one.
    """
    with casebook.transaction(reading=True) as connection:
        if connection.scalar(sa.select(PERSON.c.id).limit(1)) is not None:
            return None
    password = passwords.one_time()
    kept = hasher.hash(password)
    with casebook.transaction() as connection:
        if connection.scalar(sa.select(PERSON.c.id).limit(1)) is not None:
            return None
        now = casebook.now()
        connection.execute(
            sa.insert(PERSON).values(
                name=FIRST, role="administrator", region="", vendor=None, password=kept,
                must_change=True, disabled=False, made_at=now,
            )
        )  # fmt: skip
        row = {
            "at": now, "actor": "gateway", "action": "user.add", "subject": FIRST,
            "detail": {"role": "administrator", "region": ""},
        }  # fmt: skip
        casebook.audited(connection, [row])
    return password


def secret(casebook: Casebook, name: str) -> bytes:
    """A secret of this casebook, made when it is first asked for: 32 random bytes."""
    query = sa.select(SECRET.c.value).where(SECRET.c.name == name)
    with casebook.transaction(reading=True) as connection:
        found = connection.scalar(query)
    if found is None:
        with casebook.transaction() as connection:
            found = connection.scalar(query)
            if found is None:
                found = secrets.token_bytes(32)
                connection.execute(sa.insert(SECRET).values(name=name, value=found))
    return bytes(found)
