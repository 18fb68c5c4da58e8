"""Slowing down who guesses passwords, by account and by address.

An attempt is counted before its password is looked at, so that many at once gain nothing; one that
succeeds clears its account.  After `FREE` failures each next one must wait twice as long as the one
before: an account at most a minute, so that nobody can lock another one out for long; an address
(of IPv6 its /64) a quarter of an hour.  The counts outlive a restart.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from gateway.access.tables import FAILURE
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from gateway.casebook import Casebook

FREE: Final = 5
_SECOND: Final = 1_000_000_000
_FORGOTTEN: Final = 24 * 3600 * _SECOND
_ACCOUNT_S: Final = 60
_ADDRESS_S: Final = 900
_ADDRESS_FREE: Final = 20
"""Many people may sit behind one address."""
_LONGEST: Final = 64


class Throttled(GatewayError):
    """Too many failures; ``wait`` seconds until the next attempt is looked at."""

    retry = True

    def __init__(self, wait: int) -> None:
        super().__init__(f"too many failed logins: wait {wait} s")
        self.wait = wait


def attempt(casebook: Casebook, name: str, address: str) -> None:
    """Counts an attempt.

    Raises:
        Throttled: it comes too early, and was not counted.
    """
    now = casebook.now()
    limits = ((_account(name), FREE, _ACCOUNT_S), (_address(address), _ADDRESS_FREE, _ADDRESS_S))
    with casebook.transaction() as connection:
        connection.execute(sa.delete(FAILURE).where(FAILURE.c.at < now - _FORGOTTEN))
        waits = [_wait(connection, subject, free, most, now) for subject, free, most in limits]
        if max(waits) > 0:
            raise Throttled(max(waits))
        for subject, _, _ in limits:
            changed = connection.execute(
                sa.update(FAILURE)
                .where(FAILURE.c.subject == subject)
                .values(failures=FAILURE.c.failures + 1, at=now)
            )
            if not changed.rowcount:
                connection.execute(sa.insert(FAILURE).values(subject=subject, failures=1, at=now))


def succeeded(connection: sa.Connection, name: str, address: str) -> None:
    """Takes the attempt back; the account begins anew, the address only loses this one."""
    connection.execute(sa.delete(FAILURE).where(FAILURE.c.subject == _account(name)))
    connection.execute(
        sa.update(FAILURE)
        .where(FAILURE.c.subject == _address(address), FAILURE.c.failures > 0)
        .values(failures=FAILURE.c.failures - 1)
    )


def _wait(connection: sa.Connection, subject: str, free: int, most: int, now: int) -> int:
    row = connection.execute(sa.select(FAILURE).where(FAILURE.c.subject == subject)).first()
    if row is None or row.failures < free:
        return 0
    seconds = min(2 ** min(row.failures - free, 20), most)
    left = row.at + seconds * _SECOND - now
    return -(-left // _SECOND) if left > 0 else 0


def _account(name: str) -> str:
    return f"account {name.strip().lower()[:_LONGEST]}"


def _address(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return f"address {address[:_LONGEST]}"
    if parsed.version == 6:
        return f"address {ipaddress.ip_network((parsed, 64), strict=False)}"
    return f"address {parsed}"
