"""Orders of people to processing, in the casebook: messages in quarantine to be decided again.

The API writes what is asked for; the worker, which alone has the store, takes the orders up one
after another, keeps how far it has come in the store with the results themselves
(`gateway.store.Reprocessing`), and says here what became of them.  So an order survives a kill at
any moment, and none is done twice.
"""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import sqlalchemy as sa

from gateway.access.roles import Scope
from gateway.errors import GatewayError
from gateway.registry.tables import read_ids_within
from gateway.store import Reprocessing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.casebook import Casebook

MOST_OPEN: Final = 10
"""Orders that may wait or be at work at a time."""
MOST_ATTEMPTS: Final = 3
"""How often processing may die at one place of an order before the order is given up."""
_METADATA: Final = sa.MetaData()

ORDER: Final = sa.Table(
    "reprocess_order",
    _METADATA,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("vendor", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("profile", sa.Text),
    sa.Column("messages", sa.Integer, nullable=False),
    sa.Column("below", sa.BigInteger),
    sa.Column("begun_at", sa.BigInteger),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("stuck_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("outcome", sa.JSON),
    sa.Column("fault", sa.Text),
    sqlite_autoincrement=True,
)

State = Literal["waiting", "running", "done", "failed"]


class OrderRefused(GatewayError):
    """An order that is not taken: the same one waits, too many do, or there is nothing to do."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Messages in quarantine to be decided again: of a reason, of a profile, within a scope.

    ``region`` and ``vendor`` are the scope of who asked, at that time.  ``messages`` is how many
    there were then.  ``below``: only messages of ledger offsets below it, set when it was begun.
    ``attempts`` counts how often it was taken up at the same place, ``stuck_at``.  ``outcome`` is
    there when it was done, ``fault`` when it was given up.  Times in ns UTC.
    """

    number: int = 0
    at: int
    actor: str
    region: str
    vendor: str | None
    reason: str | None
    profile: str | None
    messages: int
    below: int | None = None
    begun_at: int | None = None
    attempts: int = 0
    stuck_at: int = -1
    ended_at: int | None = None
    outcome: Reprocessing | None = None
    fault: str | None = None

    @property
    def scope(self) -> Scope:
        """Within which its messages lie."""
        return Scope(self.region, self.vendor)

    @property
    def state(self) -> State:
        """Whether it waits, is at work, was done, or was given up."""
        if self.ended_at is not None:
            return "done" if self.fault is None else "failed"
        return "waiting" if self.begun_at is None else "running"


def give(
    casebook: Casebook,
    *,
    actor: str,
    scope: Scope,
    messages: int,
    reason: str | None = None,
    profile: str | None = None,
) -> Order:
    """Takes an order down, with a row of audit.

    Raises:
        OrderRefused: there is nothing to do, the same is asked already, or too many wait.
    """
    order = Order(
        at=casebook.now(),
        actor=actor,
        region=scope.region,
        vendor=scope.vendor,
        reason=reason,
        profile=profile,
        messages=messages,
    )
    if not messages:
        raise OrderRefused("nothing in quarantine that could be decided again is of this choice")
    with casebook.transaction() as connection:
        waiting = _open(connection)
        for other in waiting:
            if (other.scope, other.reason, other.profile) == (scope, reason, profile):
                raise OrderRefused(f"order {other.number} of {other.actor} is for the same")
        if len(waiting) >= MOST_OPEN:
            raise OrderRefused(f"{len(waiting)} orders wait: ask again when some are done")
        values = msgspec.structs.asdict(order)
        del values["number"], values["outcome"]
        made = connection.execute(sa.insert(ORDER).values(**values))
        order = msgspec.structs.replace(order, number=int(made.inserted_primary_key[0]))  # type: ignore[index]
        casebook.audited(connection, [_audited(order, order.at, actor, "quarantine.reprocess", {})])
    return order


class Taken(msgspec.Struct, frozen=True):
    """An order to be worked on, and the devices within its scope by the registry of now.

    ``devices`` is None where all are, also those that nobody has registered.
    """

    order: Order
    devices: list[str] | None


def take_up(casebook: Casebook, *, below: int, latest: Reprocessing | None) -> Taken | None:
    """The order that is to be worked on now; None where there is none.

    Args:
        casebook: with the orders.
        below: the offset that processing has reached: what comes later is no part of it.
        latest: how far the latest order has come, as the store says.
    """
    with casebook.transaction(reading=True) as connection:
        if not (waiting := _open(connection)):
            return None
    order = waiting[0]
    reached = latest.reached if latest is not None and latest.number == order.number else -1
    fields = {
        "begun_at": order.begun_at or casebook.now(),
        "below": below if order.below is None else order.below,
        "attempts": order.attempts + 1 if order.stuck_at == reached else 1,
        "stuck_at": reached,
    }
    with casebook.transaction() as connection:
        connection.execute(sa.update(ORDER).where(ORDER.c.number == order.number).values(**fields))
        devices = None
        if not order.scope.everything:
            devices = read_ids_within(connection, order.region, order.vendor)
    return Taken(msgspec.structs.replace(order, **fields), devices)


def end(casebook: Casebook, order: Order, outcome: Reprocessing, fault: str | None = None) -> None:
    """Says what became of an order, with a row of audit; of one that has ended, nothing."""
    now = casebook.now()
    told = {name: getattr(outcome, name) for name in outcome.__struct_fields__}
    with casebook.transaction() as connection:
        ended = connection.execute(
            sa.update(ORDER)
            .where(ORDER.c.number == order.number, ORDER.c.ended_at.is_(None))
            .values(ended_at=now, outcome=told, fault=fault)
        )
        if ended.rowcount:
            del told["number"], told["reached"]
            detail = told if fault is None else told | {"fault": fault}
            row = _audited(order, now, getpass.getuser(), "quarantine.reprocessed", detail)
            casebook.audited(connection, [row])


def orders(casebook: Casebook, scope: Scope, limit: int = 20) -> list[Order]:
    """The latest orders of which all lies within a scope, the newest first."""
    conditions = [ORDER.c.region.startswith(scope.region, autoescape=True)]
    if scope.vendor is not None:
        conditions.append(ORDER.c.vendor == scope.vendor)
    query = sa.select(ORDER).where(*conditions).order_by(ORDER.c.number.desc()).limit(limit)
    with casebook.transaction(reading=True) as connection:
        return [_order(row) for row in connection.execute(query)]


def _open(connection: sa.Connection) -> Sequence[Order]:
    query = sa.select(ORDER).where(ORDER.c.ended_at.is_(None)).order_by(ORDER.c.number)
    return [_order(row) for row in connection.execute(query)]


def _order(row: sa.Row[Any]) -> Order:
    fields = dict(row._mapping)  # noqa: SLF001 - its public name
    if fields["outcome"] is not None:
        fields["outcome"] = msgspec.convert(fields["outcome"], Reprocessing)
    return Order(**fields)


def _audited(
    order: Order, at: int, actor: str, action: str, detail: dict[str, Any]
) -> dict[str, Any]:
    names = ("reason", "profile", "region", "vendor")
    told = {name: value for name in names if (value := getattr(order, name))}
    return {
        "at": at,
        "actor": actor,
        "action": action,
        "subject": f"order {order.number}",
        "detail": told | {"messages": order.messages} | detail,
    }
