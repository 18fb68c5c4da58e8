"""Digital calibration certificates (DCC, XML schema 3.x of PTB): what the registry needs of one.

Read are the administrative data, so the number, the dates, the laboratory and the items with their
identifications; the statements on conformity and on the next calibration; and of the results every
table that has an error of indication, point by point.  The schema itself is not checked, and of a
signature it is told that it is there, not that it holds: the laboratory's key is not ours to trust.

A date is a day of ``zone`` where it says no offset.  The verification counts from the beginning of
the last day of work on; the validity ends with its last day.  A period is counted as certificates
of verification do: six months from 1 March end with 31 August.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway import dsi, xml_tree
from gateway.times import SECOND, nanoseconds
from gateway.xml_tree import Element, XmlError

if TYPE_CHECKING:
    from collections.abc import Iterator

SPACE: Final = "https://ptb.de/dcc"
MAX_ITEMS: Final = 1_000
MAX_POINTS: Final = 1_000
_ROOT: Final = "digitalCalibrationCertificate"

_DATE: Final = re.compile(r"(\d{4}-\d\d-\d\d)(Z|[+-]\d\d:\d\d)?", re.ASCII)
_PERIOD: Final = re.compile(r"P(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})D)?", re.ASCII)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PASSED: Final = {
    "pass": "pass", "conditionalPass": "pass", "fail": "fail", "conditionalFail": "fail",
}  # fmt: skip
_LONGEST: Final = 256


class Period(msgspec.Struct, frozen=True):
    """A length of time in the calendar, as xs:duration writes it: ``P6M``, ``P1Y6M``, ``P90D``."""

    months: int
    days: int

    @classmethod
    def read(cls, text: str) -> Period:
        """The period that a text says.

        Raises:
            ValueError: it is none of years, months and days, or none at all.
        """
        found = _PERIOD.fullmatch(text)
        years, months, days = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
        if not years + months + days:
            raise ValueError(f"{text[:40]!r} is no period; write it like P6M, P1Y or P90D")
        return cls(12 * years + months, days)

    def last_day(self, first: dt.date) -> dt.date:
        """The last day of a period that begins with a day.

        Raises:
            ValueError: beyond the calendar.
        """
        month = first.month - 1 + self.months
        year, month = first.year + month // 12, month % 12 + 1
        if year > 9999:
            raise ValueError("the period ends after the year 9999")
        # The 31st of a shorter month is its last day, and the period ends with it.
        following = dt.date(year + month // 12, month % 12 + 1, 1)
        longest = (following - dt.timedelta(days=1)).day
        if first.day > longest:
            return dt.date(year, month, longest) + dt.timedelta(days=self.days)
        return dt.date(year, month, first.day) + dt.timedelta(days=self.days - 1)


class Identification(msgspec.Struct, frozen=True):
    """A name that somebody gave an item; ``issuer`` is ``manufacturer``, ``owner``, ..."""

    issuer: str
    value: str


class Item(msgspec.Struct, frozen=True):
    """A calibrated instrument, and the points of its error curve."""

    line: int
    name: str | None
    manufacturer: str | None
    model: str | None
    identifications: tuple[Identification, ...]
    errors: list[dict[str, dict[str, Any]]]


class Document(msgspec.Struct, frozen=True):
    """A certificate as it was read; times in ns UTC, absent where it says none."""

    place: str
    number: str
    verified_at: int
    issued_at: int | None
    valid_until: int | None
    laboratory: str | None
    result: str | None
    items: tuple[Item, ...]
    source: dict[str, Any]


def read_certificate(
    data: bytes,
    name: str,
    faults: list[str],
    warnings: list[str],
    *,
    zone: dt.tzinfo = dt.UTC,
    valid_for: Period | None = None,
) -> Document | None:
    """The certificate in a file; None with at least one fault.

    Args:
        data: the file.
        name: the file's name, for messages.
        faults: what forbids the certificate is added here, with file and line.
        warnings: what is only odd.
        zone: of dates without offset.
        valid_for: how long a certificate holds that says no validity itself.
    """
    try:
        root = xml_tree.parse(data)
    except XmlError as error:
        faults.append(f"{name}:{error.line}: {error}")
        return None
    reader = _Reader(name, root, zone, valid_for)
    document = reader.document(hashlib.sha256(data).hexdigest())
    faults += reader.faults
    warnings += reader.warnings
    return None if reader.faults else document


class _Reader:
    """Goes through one certificate and notes all that is wrong with it."""

    def __init__(self, name: str, root: Element, zone: dt.tzinfo, valid_for: Period | None) -> None:
        self.name = name
        self.root = root
        self.zone = zone
        self.valid_for = valid_for
        self.faults: list[str] = []
        self.warnings: list[str] = []

    def fault(self, element: Element, why: str) -> None:
        self.faults.append(f"{self.name}:{element.line}: {why}")

    def document(self, digest: str) -> Document | None:
        root = self.root
        if (root.space, root.name) != (SPACE, _ROOT):
            self.fault(root, f"no DCC: the root is {root.name[:60]!r}, not {SPACE} {_ROOT}")
            return None
        version = root.attributes.get("schemaVersion", "")
        if not version.startswith("3."):
            self.fault(root, f"schemaVersion is {version[:40]!r}; read are those of 3.x")
            return None
        core = root.first("administrativeData", "coreData")
        if core is None:
            self.fault(root, "administrativeData/coreData is missing")
            return None
        number = self.text(core, "uniqueIdentifier", needed=True)
        begun = self.date(core, "beginPerformanceDate")
        ended = self.date(core, "endPerformanceDate") or begun
        issued = self.date(core, "issueDate")
        if ended is None:
            if not self.faults:
                self.fault(core, "endPerformanceDate is missing")
        elif begun is not None and ended < begun:
            self.fault(core, "endPerformanceDate is before beginPerformanceDate")
        laboratory = root.first("administrativeData", "calibrationLaboratory")
        items = self.items()
        if self.faults or number is None or ended is None:
            return None
        valid_until = self.valid_until(ended)
        return Document(
            place=f"{self.name}:{core.line}",
            number=number,
            verified_at=self.moment(ended),
            issued_at=None if issued is None else self.moment(issued),
            valid_until=valid_until,
            laboratory=None if laboratory is None else self.laboratory(laboratory),
            result=self.result(),
            items=items,
            source={
                "file": self.name,
                "sha256": digest,
                "schema_version": version,
                "signed": any(child.name == "Signature" for child in root.children),
            },
        )

    def text(self, element: Element, *path: str, needed: bool = False) -> str | None:
        """A short text; one that is not is a fault."""
        found = element.value(*path)
        if found is None:
            if needed:
                self.fault(element, f"{'/'.join(path)} is missing")
            return None
        found = " ".join(found.split())
        if len(found) > _LONGEST or not found.isprintable():
            self.fault(element, f"{'/'.join(path)} must be at most {_LONGEST} printable characters")
            return None
        return found

    def date(self, element: Element, name: str) -> tuple[dt.date, str] | None:
        """A day and its offset from UTC, if it says one."""
        text = element.value(name)
        if text is None:
            return None
        found = _DATE.fullmatch(text)
        try:
            day = dt.date.fromisoformat(found[1] if found else "")
        except ValueError:
            day = None
        if found is None or day is None or not 1900 <= day.year <= 2200:
            self.fault(
                element,
                f"{name}: {text[:40]!r} is no date of 1900 to 2200; it is written like 2026-03-01",
            )
            return None
        return day, found[2] or ""

    def moment(self, day: tuple[dt.date, str]) -> int:
        """When a day begins."""
        date, offset = day
        if offset:
            return nanoseconds(f"{date.isoformat()}T00:00:00{offset}")
        begin = dt.datetime(date.year, date.month, date.day, tzinfo=self.zone)
        return nanoseconds(begin.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    def end_of(self, day: tuple[dt.date, str]) -> int:
        """The last second of a day."""
        return self.moment((day[0] + dt.timedelta(days=1), day[1])) - SECOND

    def valid_until(self, ended: tuple[dt.date, str]) -> int | None:
        """The end of the validity: as stated, else after the period given for such certificates."""
        for statement in self.root.all("administrativeData", "statements", "statement"):
            if not any(word.endswith("recalibration") for word in _words(statement)):
                continue
            date = self.date(statement, "date")
            if date is not None:
                return self.end_of(date)
            text = statement.value("period")
            if text is not None:
                try:
                    return self.after(Period.read(text), ended)
                except (ValueError, OverflowError) as error:
                    self.fault(statement, f"period: {error}")
        if self.valid_for is None:
            return None
        try:
            return self.after(self.valid_for, ended)
        except (ValueError, OverflowError) as error:
            self.fault(self.root, f"the validity given: {error}")
            return None

    def after(self, period: Period, ended: tuple[dt.date, str]) -> int:
        """The end of a period that begins with the verification."""
        return self.end_of((period.last_day(ended[0]), ended[1]))

    def laboratory(self, element: Element) -> str | None:
        name = self.text(element, "contact", "name", "content")
        code = self.text(element, "calibrationLaboratoryCode")
        if name is not None and code is not None:
            return f"{name} ({code})"
        return name or code

    def result(self) -> str | None:
        """The verdict: as stated for the whole, else of all points together."""
        stated = [
            statement.value("conformity")
            for statement in self.root.all("administrativeData", "statements", "statement")
        ]
        words = [word for word in stated if word is not None]
        if not words:
            words = [
                word
                for each in self.root.walk()
                if each.name in ("conformity", "conformityXMLList")
                for word in each.text.split()
            ]
        verdicts = {_PASSED.get(word) for word in words}
        if "fail" in verdicts:
            return "fail"
        return "pass" if verdicts == {"pass"} else None

    def items(self) -> tuple[Item, ...]:
        found = list(self.root.all("administrativeData", "items", "item"))
        if not found:
            self.fault(self.root, "administrativeData/items has no item")
            return ()
        if len(found) > MAX_ITEMS:
            self.fault(found[MAX_ITEMS], f"{len(found)} items, at most {MAX_ITEMS} are read")
            return ()
        errors = self.errors([item.attributes.get("id") for item in found])
        return tuple(self.item(item, errors[i]) for i, item in enumerate(found))

    def item(self, element: Element, errors: list[dict[str, dict[str, Any]]]) -> Item:
        identifications = []
        for each in element.all("identifications", "identification"):
            value = self.text(each, "value", needed=True)
            issuer = self.text(each, "issuer") or "other"
            if value is not None:
                identifications.append(Identification(issuer, value))
        return Item(
            line=element.line,
            name=self.text(element, "name", "content"),
            manufacturer=self.text(element, "manufacturer", "name", "content"),
            model=self.text(element, "model"),
            identifications=tuple(identifications),
            errors=errors,
        )

    def errors(self, ids: list[str | None]) -> list[list[dict[str, dict[str, Any]]]]:
        """The points of each item, told apart by the results' ``refId``."""
        found: list[list[dict[str, dict[str, Any]]]] = [[] for _ in ids]
        dropped = 0
        for measured in self.root.all("measurementResults", "measurementResult"):
            for result in measured.all("results", "result"):
                points = list(self.points(result))
                named = _meant(result, ids) or _meant(measured, ids)
                if not named and len(ids) > 1:
                    dropped += len(points)
                    continue
                for index in named or [0]:
                    found[index] += points
        if dropped:
            self.warnings.append(
                f"{self.name}:{self.root.line}: {dropped} points are of results that do not say by "
                "refId of which item they are: left out"
            )
        for index, points in enumerate(found):
            if len(points) > MAX_POINTS:
                self.fault(
                    self.root, f"item {index + 1} has {len(points)} points, at most {MAX_POINTS}"
                )
        return found

    def points(self, result: Element) -> Iterator[dict[str, dict[str, Any]]]:
        """Point by point, the quantities of each table that has an error of indication."""
        for data in result.all("data"):
            for table in (each for each in data.walk() if each.name in ("data", "list")):
                yield from self.table(table)

    def table(self, table: Element) -> Iterator[dict[str, dict[str, Any]]]:
        columns: dict[str, list[dsi.Amount]] = {}
        for quantity in table.all("quantity"):
            try:
                values = dsi.amounts(quantity)
            except ValueError as error:
                self.fault(quantity, f"quantity: {error}")
                continue
            name = _name(quantity, len(columns))
            if values and name not in columns:
                columns["error" if _is_error(name) and "error" not in columns else name] = values
        if "error" not in columns:
            return
        count = len(columns["error"])
        fitting = {name: each for name, each in columns.items() if len(each) in (1, count)}
        for i in range(count):
            yield {
                name: each[i if len(each) > 1 else 0].as_json() for name, each in fitting.items()
            }


def _words(element: Element) -> list[str]:
    return element.attributes.get("refType", "").split()


def _meant(element: Element, ids: list[str | None]) -> list[int]:
    """The items that the ``refId`` of a result names."""
    named = set(element.attributes.get("refId", "").split())
    return [index for index, name in enumerate(ids) if name in named]


def _name(quantity: Element, number: int) -> str:
    """The name of a column: of its refType, else of its English name, in snake case."""
    words = _words(quantity)
    if words:
        raw = words[0].partition("_")[2] or words[0]
    else:
        contents = list(quantity.all("name", "content"))
        english = [each for each in contents if each.attributes.get("lang", "en") == "en"]
        raw = (english or contents)[0].text.strip() if contents else f"quantity {number + 1}"
    snake = re.sub(r"\W+", "_", _CAMEL.sub("_", raw[:_LONGEST])).strip("_").lower()
    return snake or f"quantity_{number + 1}"


def _is_error(name: str) -> bool:
    """Whether a column is the error of indication, and not its limit or its uncertainty."""
    parts = name.split("_")
    wrong = {"limit", "permissible", "maximum", "uncertainty", "standard", "mpe"}
    told = "error" in parts or "deviation" in parts or name == "示值误差"
    return told and not wrong.intersection(parts)
