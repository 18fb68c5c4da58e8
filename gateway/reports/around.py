"""The readings around a flag: drawn, and as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.quantities import BY_NAME, KINDS, export_key
from gateway.queries import readings as reading_queries
from gateway.queries.readings import Order, ReadingChoice
from gateway.reports.paper import Figure, Heading, Notice, Table, Text
from gateway.reports.periods import ZONE
from gateway.reports.plots import Line, readings
from gateway.reports.words import label, offset, quantity, told_number, unit_of, wall
from gateway.times import SECOND, nanoseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.flags.records import FlagView
    from gateway.messages import Texts
    from gateway.reports.evidence import Request
    from gateway.reports.paper import Block
    from gateway.reports.plots import Limits

_EACH_SIDE: Final = 40
"""Readings before the flag's span and behind it that are drawn."""
_MOST_INSIDE: Final = 400
_LISTED: Final = 8
"""Readings before and behind the flag's beginning that are printed as numbers."""
_MOST_COLUMNS: Final = 5
_REGISTERS: Final = (
    "energy_import", "volume", "energy", "totaliser_volume", "total_distance", "fare", "amount",
    "tank_volume",
)  # fmt: skip

Record = dict[str, Any]


def around(
    request: Request, view: FlagView, evidence: Record, limits: Limits | None, texts: Texts
) -> Iterator[Block]:
    """A plot of the quantity that the flag is about, and the numbers next to its beginning."""
    yield Heading(texts("evidence.around_title"))
    if "readings" not in request.permissions:
        yield Notice(texts("evidence.no_readings_right"))
        return
    flag = view.flag
    found = _read(request, view)
    name = _quantity(flag.kind, evidence, found)
    if name is None:
        yield Text(texts("evidence.no_readings"))
        return
    key, unit = _key(flag.kind, name, found)
    lines = [each for each in found if _number(each, key) is not None]
    if len(lines) > 1:
        at = [nanoseconds(each["measured_at"]) / SECOND for each in lines]
        line = Line(at, [float(each[key]) for each in lines])
        band = limits if evidence.get("quantity") == name and _fits(limits, line) else None
        span = flag.since / SECOND, flag.until / SECOND
        name_and_unit = f"{quantity(texts, name)} {unit}".strip()
        yield Figure(
            readings(line, span, band, ZONE, name_and_unit),
            texts("evidence.around_caption", quantity=name_and_unit, count=len(lines)),
        )
    yield from _numbers(view, lines, evidence, texts)


def _fits(limits: Limits | None, line: Line) -> bool:
    """Whether a band of what was expected would not dwarf the readings."""
    if limits is None:
        return False
    low, high = min(line.values), max(line.values)
    room = 20 * (high - low or abs(high) or 1.0)
    return limits.high - limits.low <= room and low - room <= limits.low <= high + room


def _read(request: Request, view: FlagView) -> list[Record]:
    """Readings before, within and behind a flag's span, in the order of time."""
    flag, seen = view.flag, request.seen

    def ask(since: int | None, until: int | None, order: Order, limit: int) -> list[Record]:
        choice = ReadingChoice(kind=flag.kind, channel=flag.channel, since=since, until=until)
        page = reading_queries.page(
            seen, flag.device_id, choice, order=order, cursor=None, limit=limit
        )
        return page.items

    before = ask(None, flag.since, "newest", _EACH_SIDE)
    inside = ask(flag.since, flag.until + 1, "oldest", _MOST_INSIDE)
    behind = ask(flag.until + 1, None, "oldest", _EACH_SIDE)
    return [*reversed(before), *inside, *behind]


def _quantity(kind: str, evidence: Record, found: Sequence[Record]) -> str | None:
    """What to draw: the flag's quantity, else one of its inputs, else the instrument's register."""
    inputs = evidence.get("inputs")
    wanted = [evidence.get("quantity"), *(inputs if isinstance(inputs, dict) else ()), *_REGISTERS]
    known = BY_NAME[kind]
    for name in wanted:
        if not isinstance(name, str) or name not in known:
            continue
        if known[name].type not in {"number", "money"}:
            continue
        key, _ = _key(kind, name, found)
        if any(key in each for each in found):
            return name
    return None


def _key(kind: str, name: str, found: Sequence[Record]) -> tuple[str, str]:
    """The key that readings have for a quantity, money in the currency that they carry."""
    known = BY_NAME[kind][name]
    if not known.unit.startswith("CUR"):
        return export_key(known), unit_of(kind, name)
    keys = {key for each in found for key in each if key.startswith(f"{name}_")}
    for key in sorted(keys):
        currency = key.removeprefix(f"{name}_")[:3].upper()
        if export_key(known, currency) == key:
            return key, unit_of(kind, name, currency)
    return export_key(known), unit_of(kind, name)


def _number(record: Record, key: str) -> float | None:
    found = record.get(key)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _numbers(
    view: FlagView, found: Sequence[Record], evidence: Record, texts: Texts
) -> Iterator[Block]:
    """The readings next to the flag's beginning, each quantity that any of them has."""
    first = next(
        (n for n, each in enumerate(found)
         if each["ledger_offset"] == view.flag.ledger_offset), None,
    )  # fmt: skip
    at = first
    if at is None:
        at = next(
            (n for n, each in enumerate(found)
             if nanoseconds(each["measured_at"]) >= view.flag.since), len(found),
        )  # fmt: skip
    begin = max(0, at - _LISTED)
    shown = found[begin : at + _LISTED + 1]
    if not shown:
        return
    names = [
        export_key(each) for each in KINDS[view.flag.kind]
        if each.type in {"number", "money"} and any(export_key(each) in r for r in shown)
    ]  # fmt: skip
    inputs = evidence.get("inputs")
    about = (evidence.get("quantity"), *(inputs if isinstance(inputs, dict) else ()))
    about = tuple(f"{each}_" for each in about)
    names = sorted(names, key=lambda name: not f"{name}_".startswith(about))[:_MOST_COLUMNS]
    channels = any(each.get("channel") for each in shown)
    measured = label(texts("evidence.measured"))
    columns = [f"{measured} ({offset(view.flag.since)})", label(texts("evidence.offset"))]
    columns += [texts("evidence.channel")] if channels else []
    rows = []
    for each in shown:
        row = [wall(nanoseconds(each["measured_at"])), str(each["ledger_offset"])]
        row += [str(each.get("channel") or "")] if channels else []
        rows.append(row + [told_number(each.get(name)) for name in names])
    fixed = len(columns)
    yield Text(texts("evidence.numbers"))
    yield Table(
        columns + names, rows, numeric=list(range(fixed, fixed + len(names))),
        widths=[5, 2, *([2] if channels else []), *[3] * len(names)],
        marked=None if first is None else first - begin,
    )  # fmt: skip
