"""Series measured in the world, turned into captures: real numbers for the whole way.

The rows come from ``corpora/series``.  Nothing is smoothed or left out: zero distances, equal
times and fares that no tariff gives stay as they are.
"""

from __future__ import annotations

import csv
from datetime import datetime
from decimal import Decimal, InvalidOperation
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec

from simulators.capture import BadLine
from simulators.clock import to_ms
from simulators.instrument import half_up, shown
from simulators.line import Message
from simulators.water_meter import FULL_SCALE

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEW_YORK: Final = ZoneInfo("America/New_York")
_NUMBERS: Final = ("distance", "fare", "tip", "tolls", "total")
_TEXTS: Final = ("color", "payment", "pickup_zone", "dropoff_zone")
_FLOW: Final = "Water flow [l/s]"
_LATENCY: Final = 2_000
"""A message arrives two seconds after its reading: the series don't say when."""

WATER_METER: Final = "wm-recorded-branch"


class Recorded(msgspec.Struct, frozen=True):
    """A series as messages in the order of arrival, and the registry of its devices."""

    messages: list[Message]
    registry: list[dict[str, Any]]


class _Row(msgspec.Struct, frozen=True):
    """A row whose faults say where they are."""

    file: str
    number: int
    fields: dict[str, str]

    def decimal(self, name: str) -> Decimal:
        try:
            found = Decimal(self.fields[name])
        except InvalidOperation as error:
            raise self._bad(name) from error
        if not found.is_finite():
            raise self._bad(name)
        return found

    def time(self, name: str) -> datetime:
        try:
            return datetime.fromisoformat(self.fields[name])
        except ValueError as error:
            raise self._bad(name) from error

    def _bad(self, name: str) -> BadLine:
        return BadLine(self.file, self.number, f"{name}: can't read {self.fields[name]!r}")


def _rows(file: str, columns: tuple[str, ...]) -> Iterator[_Row]:
    with Path(file).open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        names = rows.fieldnames or ()
        if missing := [name for name in columns if name not in names]:
            raise BadLine(file, 1, f"no column {', '.join(missing)}; there are: {', '.join(names)}")
        for number, fields in enumerate(rows, 2):
            if None in fields or None in fields.values():
                raise BadLine(file, number, f"a row must have {len(names)} fields")
            yield _Row(file, number, fields)


def nyc_taxi(file: str) -> Recorded:
    """Trips of New York taxis in their own fields and units, on ``nyc-tlc/{taxi}/trips``.

    Times stay local text without a zone, distance is in miles and money in USD; an empty field is
    left out.  The records don't say which taxi drove: rows in the order of pickup go to the lowest
    numbered taxi of their colour that is free, so that no taxi's trips overlap.

    Raises:
        BadLine: a row can't be read.
        OSError: the file can't be read.
    """
    rows = list(_rows(file, ("pickup", "dropoff", "passengers", *_NUMBERS, *_TEXTS)))
    trips = sorted((row.time("pickup"), row.time("dropoff"), row.number, row) for row in rows)
    free: dict[str, list[int]] = {}
    busy: dict[str, list[tuple[datetime, int]]] = {}
    counts: dict[str, int] = {}
    messages = []
    for pickup, dropoff, number, row in trips:
        colour = row.fields["color"]
        waiting, driving = free.setdefault(colour, []), busy.setdefault(colour, [])
        while driving and driving[0][0] <= pickup:
            heappush(waiting, heappop(driving)[1])
        place = heappop(waiting) if waiting else len(driving) + 1
        heappush(driving, (max(pickup, dropoff), place))
        taxi = f"{colour}-{place:04d}"
        counts[taxi] = counts.get(taxi, 0) + 1
        arrival = to_ms(dropoff.replace(tzinfo=_NEW_YORK)) + _LATENCY
        payload = msgspec.json.encode(_trip(row, taxi, counts[taxi]))
        messages.append(Message(arrival, number, f"nyc-tlc/{taxi}/trips", payload))
    return Recorded(sorted(messages), [_taxi(taxi) for taxi in sorted(counts)])


def _trip(row: _Row, taxi: str, trip: int) -> dict[str, Any]:
    fields = row.fields
    body: dict[str, Any] = {"taxi": taxi, "trip": trip}
    body |= {"pickup": fields["pickup"], "dropoff": fields["dropoff"]}
    body["passengers"] = int(row.decimal("passengers"))
    body |= {name: float(row.decimal(name)) for name in _NUMBERS}
    return body | {name: fields[name] for name in _TEXTS if fields[name]}


def _taxi(taxi: str) -> dict[str, Any]:
    return {
        "device_id": taxi,
        "kind": "taximeter",
        "profile": "nyc-tlc-trip-record",
        "parameters": {"time_zone": "America/New_York", "currency": "USD"},
    }


def water_flow(file: str, region: str) -> Recorded:
    """Hourly flow of a pipeline branch as a reference water meter with one register.

    The register is the exact integral of the flow by trapezoids, shown rounded half up
    to 0.001 m3, from 0 at the first row; it runs on through gaps of the series at the mean of both
    ends, as a real register would.

    Raises:
        BadLine: a row can't be read, its time has no zone, or does not come after the row before.
        OSError: the file can't be read.
    """
    topic = f"meters/{region}/water_meter/{WATER_METER}/up"
    messages: list[Message] = []
    total = 0  # in 5e-6 L: the mean of two flows of 0.01 l/s, times milliseconds
    before: tuple[int, int] | None = None
    for row in _rows(file, ("Time", _FLOW)):
        moment, litres = row.time("Time"), row.decimal(_FLOW)
        flow = int(litres * 100)
        if moment.tzinfo is None or flow != litres * 100 or flow < 0:
            raise BadLine(file, row.number, "a time with its zone and a flow of 0.01 l/s steps")
        at = to_ms(moment)
        if before is not None:
            if at <= before[0]:
                raise BadLine(file, row.number, f"{row.fields['Time']} is not after the row before")
            total += (flow + before[1]) * (at - before[0])
        before = (at, flow)
        body = {
            "type": "periodic",
            "seq": len(messages) + 1,
            "ts": at,
            "volume": shown(half_up(total, 200_000), 3, FULL_SCALE),
            # 0.01 l/s is 0.036 m3/h
            "flow_rate": flow * 36 / 1000,
        }
        messages.append(Message(at + _LATENCY, 0, topic, msgspec.json.encode(body)))
    return Recorded(messages, [_branch(region)])


def _branch(region: str) -> dict[str, Any]:
    return {
        "device_id": WATER_METER,
        "kind": "water_meter",
        "profile": "water-meter-reference",
        "region": region,
        # What such a meter is rated for: the flow goes up to 395 m3/h.
        "parameters": {"time_zone": "Europe/Berlin", "q3": 400.0, "q4": 500.0},
    }
