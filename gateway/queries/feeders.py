"""The balance of a master meter and its members, struck again by the check's own code.

The days are those of `gateway.checks.energy_balance`: they begin at midnight UTC, and registers are
compared at whole hours at which all meters are known.  What a day may lose hangs on what the check
has learned of the feeder before: of a flagged feeder the flag's evidence tells it, and of others it
is learned again from the days before those asked for.  Water and gas are added up in the same way;
no check judges their loss, so they have no tolerance.
"""
# ruff: noqa: S608 - what is put into statements is our own names; users' values are parameters

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gateway.checks.energy_balance import CODE, BalanceSettings, FeederBalance, as_flagged
from gateway.checks.register_steps import RegisterSteps
from gateway.checks.surroundings import Apart
from gateway.devices import Registry
from gateway.profiles.layout import Layout, Register
from gateway.quantities import BY_NAME
from gateway.queries.check_settings import settings_of
from gateway.records import Reading
from gateway.store.schema import table
from gateway.times import DAY, SECOND, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.checks.feeders import FeederDay
    from gateway.queries.seen import Seen

REGISTERS: Final = {
    "electricity_meter": ("energy_import", "energy_export"),
    "water_meter": ("volume", "volume_reverse"),
    "gas_meter": ("volume",),
}
"""By kind: the register that counts, and the one that counts against it."""
JUDGED: Final = "electricity_meter"
"""The kind whose loss a check judges."""
MOST_HOURS: Final = 72_000
"""Hours of meters that are read for one balance: a hundred meters for a month."""
_LEARNED: Final = 14
"""Days before the first one from which the technical loss is learned again."""
_HOUR: Final = 3_600 * SECOND
_BESIDE: Final = 2 * _HOUR
"""What is read before the first day in any case: where the registers stood."""
_HOURS: Final = 24
_AHEAD: Final = 60
_PATIENCE: Final = 3 * _HOUR
"""For how long it is usual that some meter has not reported an hour yet."""


class Struck(NamedTuple):
    """The balance of one master."""

    since: int
    days: list[FeederDay]
    missing: list[str]


def strike(
    seen: Seen,
    master: str,
    members: Sequence[str],
    *,
    kind: str,
    since: int,
    until: int,
    evidence: Mapping[str, Any] | None = None,
) -> Struck:
    """Strikes the balance of one master again.

    Args:
        seen: who looks; that the devices may be seen is for the caller to know.
        master: the meter above.
        members: the meters below it, now or before.
        kind: of all of them, of `REGISTERS`.
        since: ns, the midnight at which the first day begins.
        until: ns, not included.
        evidence: of a flag that touches these days; it tells what had been learned.
    """
    names = [master, *members]
    most = MOST_HOURS // (len(names) * _HOURS)
    since = max(since, until - most * DAY)
    registry = seen.world.directory.registry
    known = Registry(version for name in names for version in registry.versions(name))
    stub = _reading(kind, master, until - 1, _profile(seen, master, kind), (None,))
    settings = settings_of(seen, known, stub, CODE, kind) if kind == JUDGED else None
    chosen = BalanceSettings() if settings is None else settings.of(CODE, BalanceSettings)
    memory = None if evidence is None else as_flagged(evidence, chosen)
    lead = _BESIDE
    if memory is None:
        lead = max(_BESIDE, min(_LEARNED, most - (until - since) // DAY) * DAY)
    days: list[FeederDay] = []

    def watch(name: str, day: FeederDay) -> None:
        if name == master and day.since >= since:
            days.append(day)

    layout = _layout(kind)
    surroundings = Apart(layout, settings or settings_of(seen, known, None, CODE, kind), known)
    if memory is not None:
        surroundings.groups[f"{CODE} {master}"] = memory
    # What the flag's evidence tells has these days in it.
    balance = FeederBalance(surroundings, layout.names, watch, learns=memory is None)
    steps: dict[str, RegisterSteps] = {name: RegisterSteps() for name in names}
    for reading in _readings(seen, kind, names, since - lead, until):
        surroundings.clock = reading.measured_at
        memory_of_one = steps[reading.device_id]
        balance.run(memory_of_one, None, reading, reading.measured_at, False, [])
    under_way = balance.under_way(master)
    if under_way is not None and under_way.since >= since:
        days.append(under_way)
    return Struck(since, days, balance.missing(master, _PATIENCE))


def _readings(
    seen: Seen, kind: str, names: Sequence[str], since: int, until: int
) -> Iterator[Reading]:
    """Of each meter the readings beside each whole hour, in the order of measurement.

    Between two readings a register is taken to grow evenly, so others are not needed.  The reading
    at the hour itself, where there is one, is enough.
    """
    registers = REGISTERS[kind]
    columns = ", ".join(
        f"{pick}({name}, measured_at)" for pick in ("arg_min", "arg_max") for name in registers
    )
    found = seen.world.store.ask(
        f"SELECT device_id, epoch_ns(min(measured_at)), epoch_ns(max(measured_at)), {columns}, "
        f"any_value(profile) FROM {table(kind)} WHERE device_id IN (SELECT value FROM chosen) "
        # Names of a feeder mostly stand together: a look at the ends spares the others a look-up.
        "AND device_id BETWEEN ? AND ? AND event = 'periodic' "
        "AND (channel IS NULL OR channel = 'total') "
        f"AND {registers[0]} IS NOT NULL AND measured_at >= make_timestamp_ns(?) "
        "AND measured_at < make_timestamp_ns(?) "
        f"AND measured_at <= received_at + INTERVAL {_AHEAD} SECOND "
        f"GROUP BY device_id, epoch_ns(measured_at) // {_HOUR} ORDER BY 1, 2",
        [min(names), max(names), since, until],
        chosen=list(names),
    )
    width = len(registers)
    made: list[tuple[int, int, Reading]] = []
    # The member that is looked for first comes last: an hour is seen to be incomplete at once.
    place = {name: -number for number, name in enumerate(names)}
    for row, following in pairwise([*found, ("",)]):
        name, first, last = row[:3]
        profile, order = row[-1], place[name]
        values = row[3 : 3 + width]
        made.append((first, order, _reading(kind, name, first, profile, values)))
        whole = following[0] == name and following[1] % _HOUR == 0
        if last != first and not whole:
            values = row[3 + width : 3 + 2 * width]
            made.append((last, order, _reading(kind, name, last, profile, values)))
    made.sort(key=lambda each: each[:2])
    return (reading for _, _, reading in made)


def _layout(kind: str) -> Layout:
    """Of the registers; their faces are not known: an hour in which one turns over is left out."""
    names = REGISTERS[kind]
    return Layout(
        kind, "periodic", "", names, dict.fromkeys(names, Register()), None,
        sequence_per_channel=False, measured=True,
    )  # fmt: skip


def _profile(seen: Seen, device_id: str, kind: str) -> str:
    held = seen.world.directory.summaries.get(device_id, ())
    return next((each.profile for each in held if each.kind == kind), "")


def _reading(kind: str, name: str, measured: int, profile: str, values: tuple[Any, ...]) -> Reading:
    return Reading(
        name, kind, "periodic", None, measured, measured, None, "raw", (), None, profile, 0,
        REGISTERS[kind], values,
    )  # fmt: skip


def record(struck: Struck, kind: str) -> dict[str, Any]:
    """The balance of a master: what it gave, what its members took, and what was lost, by day."""
    days = [_day(each, judged=kind == JUDGED) for each in struck.days]
    supplied, lost = (sum(day[name] for day in days) for name in ("supplied", "loss"))
    known = [day["verdict"] for day in days if day["verdict"] != "unknown"]
    return {
        "unit": BY_NAME[kind][REGISTERS[kind][0]].unit,
        "quantity": REGISTERS[kind][0],
        "judged": kind == JUDGED,
        "supplied": supplied,
        "used": supplied - lost,
        "loss": lost,
        "loss_percent": percent(lost, supplied),
        "verdict": known[-1] if known else "unknown",
        "waiting_for": struck.missing,
        "days": days,
    }


def _day(day: FeederDay, *, judged: bool) -> dict[str, Any]:
    """A day; the loss as percent of what the master gave, and between which it is no finding."""
    known = judged and day.low is not None and day.high is not None
    verdict = "unknown"
    if known and day.low is not None and day.high is not None:
        verdict = "balanced" if day.low <= day.loss <= day.high else "unbalanced"
    told = {
        "from": rfc3339(day.since),
        "hours": day.hours,
        "supplied": day.master,
        "used": day.master - day.loss,
        "loss": day.loss,
        "loss_percent": percent(day.loss, day.master),
        "verdict": verdict,
        "learned": day.learned if known else None,
    }
    for name in ("expected", "low", "high"):
        value = getattr(day, name) if known else None
        told[f"{name}_percent"] = None if value is None else percent(value, day.master)
    return told


def percent(part: float, whole: float) -> float | None:
    """A part as percent; None of nothing."""
    return 100.0 * part / whole if whole > 0 else None
