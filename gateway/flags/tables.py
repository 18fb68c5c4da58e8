"""The tables of people's decisions in the casebook: states of flags, events, suppressions.

Every function works on a connection of the casebook, within its transaction.  Events are only
added: in SQLite triggers refuse to change or remove one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from gateway.flags.records import Case, Event, Suppression
from gateway.records import Flag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_METADATA: Final = sa.MetaData()
AT_ONCE: Final = 1_000

STATE: Final = sa.Table(
    "flag_state",
    _METADATA,
    sa.Column("flag_id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("flag", sa.JSON, nullable=False),
)
EVENT: Final = sa.Table(
    "flag_event",
    _METADATA,
    sa.Column("flag_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("condition", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
)
SUPPRESSION: Final = sa.Table(
    "suppression",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("device_id", "site", "region", "kind")),
    sa.Column("codes", sa.JSON, nullable=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("lifted_from", sa.BigInteger),
    sa.Column("lifted_at", sa.BigInteger),
    sa.Column("lifted_by", sa.Text),
    sa.Column("lifted_reason", sa.Text),
    sqlite_autoincrement=True,
)


def parts(items: Sequence[str]) -> Iterator[Sequence[str]]:
    """Ids, as many at once as a statement may well have."""
    for at in range(0, len(items), AT_ONCE):
        yield items[at : at + AT_ONCE]


def read_cases(connection: sa.Connection, ids: Sequence[str]) -> dict[str, Case]:
    """What people have said of these flags, by flag; nothing of those without a decision."""
    found: dict[str, Case] = {}
    for part in parts(ids):
        query = sa.select(STATE).where(STATE.c.flag_id.in_(part))
        found.update((row.flag_id, _case(row)) for row in connection.execute(query))
    return found


def read_case_ids(connection: sa.Connection) -> list[str]:
    """Every flag that somebody has decided about."""
    query = sa.select(STATE.c.flag_id).order_by(STATE.c.flag_id)
    return list(connection.scalars(query))


def read_dismissed(connection: sa.Connection) -> list[str]:
    """The flags of which people said last that nothing is wrong, also where that is closed."""
    closed = sa.and_(
        STATE.c.state == "closed",
        sa.exists().where(
            EVENT.c.flag_id == STATE.c.flag_id,
            EVENT.c.number == STATE.c.version,
            EVENT.c.before == "dismissed",
        ),
    )
    query = sa.select(STATE.c.flag_id).where(sa.or_(STATE.c.state == "dismissed", closed))
    return list(connection.scalars(query.order_by(STATE.c.flag_id)))


def read_events(connection: sa.Connection, flag_id: str) -> list[Event]:
    """Every decision about a flag, the oldest first."""
    query = sa.select(EVENT).where(EVENT.c.flag_id == flag_id).order_by(EVENT.c.number)
    return [Event(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - its public name


def write(connection: sa.Connection, cases: Sequence[Case], events: Sequence[Event]) -> None:
    """Adds events and moves the states on; ``cases[i]`` is the state after ``events[i]``."""
    new = [_case_row(case) for case in cases if case.version == 1]
    old = [
        {f"new_{name}": value for name, value in _case_row(case).items()}
        | {"version_before": case.version - 1}
        for case in cases
        if case.version > 1
    ]
    if events:
        connection.execute(sa.insert(EVENT), [msgspec.structs.asdict(event) for event in events])
    if new:
        connection.execute(sa.insert(STATE), new)
    if old:
        change = (
            sa.update(STATE)
            .where(
                STATE.c.flag_id == sa.bindparam("new_flag_id"),
                STATE.c.version == sa.bindparam("version_before"),
            )
            .values({name: sa.bindparam(f"new_{name}") for name in STATE.c.keys()[1:]})
        )
        connection.execute(change, old)


def read_suppressions(connection: sa.Connection) -> list[Suppression]:
    """Every window, also those that were lifted, in the order in which they were made."""
    rows = connection.execute(sa.select(SUPPRESSION).order_by(SUPPRESSION.c.id))
    return [_suppression(row) for row in rows]


def read_suppression(connection: sa.Connection, number: int) -> Suppression | None:
    """One window."""
    query = sa.select(SUPPRESSION).where(SUPPRESSION.c.id == number)
    row = connection.execute(query).first()
    return None if row is None else _suppression(row)


def add_suppression(connection: sa.Connection, window: Suppression) -> int:
    """Adds a window; returns its number."""
    values = msgspec.structs.asdict(window)
    del values["id"]
    inserted = connection.execute(
        sa.insert(SUPPRESSION).values(**values | {"codes": list(window.codes)})
    )
    return int(inserted.inserted_primary_key[0])  # type: ignore[index]


def lift_suppression(connection: sa.Connection, number: int, fields: Mapping[str, Any]) -> None:
    """Says of a window from when on it does not hold."""
    connection.execute(sa.update(SUPPRESSION).where(SUPPRESSION.c.id == number).values(**fields))


def _case_row(case: Case) -> dict[str, Any]:
    values = {name: getattr(case, name) for name in Case.__struct_fields__}
    return values | {"flag": msgspec.to_builtins(case.flag)}


def _case(row: sa.Row[Any]) -> Case:
    return Case(**{**row._mapping, "flag": msgspec.convert(row.flag, Flag)})  # noqa: SLF001 - its public name


def _suppression(row: sa.Row[Any]) -> Suppression:
    return Suppression(**{**row._mapping, "codes": tuple(row.codes)})  # noqa: SLF001 - its public name
