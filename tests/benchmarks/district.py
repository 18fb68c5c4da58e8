"""A large district at rest: a hundred thousand instruments, ten million readings, flags.

Readings go into the store's tables by SQL, as no gateway could write them in a minute; all else by
the gateway's own ways.  Its last readings are of now, so that what comes in live goes on from them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from gateway.access.passwords import Hasher
from gateway.access.people import first_administrator, people, set_own_password
from gateway.casebook import Casebook
from gateway.checks import CATALOGUE
from gateway.records import Device
from gateway.store.duckdb import DuckDBStore
from gateway.store.schema import table
from tests.store.made import flag, results

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.load import Instrument

SECOND = 1_000_000_000
QUARTER = 900
YEAR = 35_040
"""Quarters of an hour in it."""
KINDS = (
    ("electricity_meter", 60),
    ("water_meter", 20),
    ("gas_meter", 10),
    ("fuel_dispenser", 5),
    ("taximeter", 5),
)
PASSWORD = "a sentence of my own"
FEEDER = 20
"""The master of a feeder: one of those with a year of readings; the twelve behind it are below."""
MEMBERS = range(FEEDER + 1, FEEDER + 13)
STATION = range(90, 94)
"""The devices of a station: the gauge of its three tanks, and three dispensers."""
SITE = "station"
_MONTH = 31 * 86_400
_PAUSE = 400
"""Seconds between two sales of a dispenser."""
VALUES = {
    "energy_import": "100000 - j * 0.1 + i % 7",
    "power_active": "0.5 + sin(j / 10.0) * 0.3 + random() * 0.1",
    "voltage": "220 + random() * 4",
    "volume": "5000 - j * 0.01",
    "total_distance": "90000 - j * 0.2",
    "tank_volume": "20000 + sin(j / 30.0) * 5000",
}


@dataclass(frozen=True)
class Size:
    """How large a district is; ``year_long`` of its electricity meters have a year of readings."""

    devices: int = 100_000
    readings: int = 10_000_000
    flags: int = 20_000
    year_long: int = 60


def device_id(number: int) -> str:
    """Instrument ``number`` of the district."""
    return f"d-{number:06d}"


def make(data: Path, size: Size, now: int, live: list[Instrument]) -> int:
    """Makes a data directory that a gateway can start on.

    Args:
        data: an empty folder.
        size: of the district.
        now: ns UTC, the time of the last readings.
        live: instruments that will publish; registered along with the others.

    Returns:
        The ledger offset at which the gateway will go on.
    """
    data.mkdir(parents=True)
    rng = random.Random(3)
    with Casebook(data) as casebook:
        casebook.import_devices(_devices(size, now, live, rng), source="bench", actor="bench")
        hasher = Hasher(cost=(1, 64))
        first_administrator(casebook, hasher)
        (person,) = people(casebook)
        set_own_password(casebook, hasher, person, PASSWORD, session="")
    begin = size.readings + 1
    store = DuckDBStore(data / "store.duckdb", memory_limit="1GB")
    store.commit(results(flags=_flags(size, now, begin, rng), next_offset=begin))
    store.close()
    _readings(data / "store.duckdb", size, now // SECOND)
    return begin


def _devices(size: Size, now: int, live: list[Instrument], rng: random.Random) -> list[Device]:
    kinds = [kind for kind, share in KINDS for _ in range(share)]
    known = [(device_id(i), kinds[i % 100]) for i in range(size.devices - len(live))]
    known += [(each.device_id, each.kind) for each in live]
    return [
        Device(
            device_id=identity,
            kind=kind,
            vendor=f"Vendor {i % 7}",
            model=f"Model {i % 31}",
            serial_number=f"S{i}",
            owner=f"Owner {i % 500}",
            site=SITE if i in STATION else f"site {i % 1500}",
            region=f"33{1 + i % 9:02d}{1 + i // 1000 % 9:02d}",
            longitude=118 + 3 * rng.random(),
            latitude=28 + 2.5 * rng.random(),
            verified_until=now + 10**9 * SECOND,
            parameters=_relations(i),
        )
        for i, (identity, kind) in enumerate(known)
    ]


def _relations(number: int) -> dict[str, object]:
    """What a device draws from, or which is above it."""
    if number in MEMBERS:
        return {"parent": device_id(FEEDER)}
    if number in STATION[1:]:
        gauge = device_id(STATION[0])
        return {
            "tank": dict.fromkeys("12", gauge),
            "tank_channel": {"1": "1", "2": str(1 + number % 3)},
        }
    return {}


def _flags(size: Size, now: int, begin: int, rng: random.Random) -> list[object]:
    """Flags of the last month; their messages are among the first that come in live."""
    kinds = [kind for kind, share in KINDS for _ in range(share)]
    codes = [info for info in CATALOGUE.values() if info.severity != "info"]
    made = []
    for i in range(size.flags):
        number = rng.randrange(size.devices // 2)
        since = now - rng.randrange(30 * 86_400) * SECOND
        info = rng.choice(codes)
        made.append(
            flag(
                i, id=f"flag-{i}", device_id=device_id(number), kind=kinds[number % 100],
                code=info.code, severity=info.severity, since=since, until=since + 3600 * SECOND,
                measured_at=since, ledger_offset=begin + i,
            )
        )  # fmt: skip
    return made


def _readings(store: Path, size: Size, now: int) -> None:
    """Some quarters of an hour of all, a year of some: of device ``i``, ``j`` quarters ago."""
    now -= now % QUARTER
    each = (size.readings - size.year_long * YEAR) // size.devices
    connection = duckdb.connect(str(store))
    connection.execute("SET threads = 2")
    first = 0
    for kind, share in KINDS:
        columns = connection.execute(f"DESCRIBE {table(kind)}").fetchall()
        fixed = {
            "position": f"row_number() OVER () + {size.readings}",
            "device_id": "printf('d-%06d', i)",
            "event": "'periodic'",
            "quality": "'raw'",
            "profile": f"'{kind.replace('_', '-')}-reference@1.0.0'",
            "ledger_offset": f"(j * {size.devices} + i) % {size.readings}",
            "sequence": f"{YEAR} - j",
            "measured_at": f"make_timestamp_ns(({now} - j * {QUARTER}) * 1000000000)",
            "received_at": f"make_timestamp_ns(({now} - j * {QUARTER} + 2) * 1000000000)",
        }
        picked = ", ".join(
            f'({(fixed | VALUES).get(name, "NULL")})::{sql} AS "{name}"'
            for name, sql, *_ in columns
        )
        everybody = (
            f"range({size.devices}) a(i), range({each}) b(j) "
            f"WHERE i % 100 >= {first} AND i % 100 < {first + share}"
        )
        # In the order in which they came in, which is what lets the store skip what is not asked.
        come_in = "ORDER BY j DESC, i"
        if first == 0:
            long = f"range({size.year_long}) a(i), range({each}, {YEAR}) b(j)"
            connection.execute(f"INSERT INTO {table(kind)} SELECT {picked} FROM {long} {come_in}")
        connection.execute(f"INSERT INTO {table(kind)} SELECT {picked} FROM {everybody} {come_in}")
        first += share
    _station(connection, size, now)
    connection.execute(f"UPDATE checkpoint SET position = {size.readings * 2}")
    connection.execute("CHECKPOINT")
    connection.close()


def _station(connection: duckdb.DuckDBPyConnection, size: Size, now: int) -> None:
    """A month of sales of the station's dispensers, and of gauge readings of its tanks."""
    gauge, *dispensers = STATION
    of_sales = (
        f"SELECT printf('d-%06d', i) AS device, 'transaction' AS event, (1 + j % 2)::VARCHAR, "
        f"{now} - j * {_PAUSE} - i AS moment, 30.0, NULL::DOUBLE "
        f"FROM range({dispensers[0]}, {dispensers[-1] + 1}) a(i), range({_MONTH // _PAUSE}) b(j)"
    )
    of_gauge = (
        f"SELECT '{device_id(gauge)}', 'periodic', i::VARCHAR, {now} - j * {QUARTER}, NULL, "
        f"15000.0 + j % 96 * 90 FROM range(1, 4) a(i), range({_MONTH // QUARTER}) b(j)"
    )
    connection.execute(
        f"INSERT INTO {table('fuel_dispenser')} (position, device_id, event, channel, measured_at, "
        "received_at, sequence, quality, currency, profile, ledger_offset, volume, started_at, "
        "ended_at, tank_volume) "
        f"SELECT row_number() OVER () + {size.readings}, device, event, channel, "
        "make_timestamp_ns(moment * 1000000000), make_timestamp_ns((moment + 2) * 1000000000), "
        "1, 'raw', "
        f"'CNY', 'fuel-dispenser-reference@1.0.0', moment % {size.readings}, volume, "
        "make_timestamp_ns((moment - 60) * 1000000000), make_timestamp_ns(moment * 1000000000), "
        "level "
        f"FROM ({of_sales} UNION ALL {of_gauge}) x(device, event, channel, moment, volume, level)"
    )
