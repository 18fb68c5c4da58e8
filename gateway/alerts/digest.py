"""A parcel of letters as a mail for people: subject, text and HTML, in Chinese or English."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.alerts.events import SEVERITIES
from gateway.alerts.spec import EVENTS
from gateway.messages import Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.alerts.outbox import Letter
    from gateway.alerts.spec import Language

SHOWN: Final = 200
"""Flags that a mail shows one by one; the table of codes counts all of them."""

_LONGEST: Final = 80
_HEADS: Final = ("alert.severity", "alert.what", "alert.device", "alert.when", "alert.evidence")
_EVIDENCE: Final = (
    ("observed", "alert.observed"),
    ("expected", "alert.expected"),
    ("tolerance", "alert.tolerance"),
)
# Ink on white and on its own tint: contrast above 4.5 (WCAG 2.1, 1.4.3).
_INK: Final = {"critical": "#a4130f", "major": "#8a4600", "minor": "#5c5400", "info": "#2f5576"}
_CELL: Final = 'style="padding:6px 10px;border-bottom:1px solid #d9dee3;vertical-align:top"'
_HEAD: Final = (
    'style="padding:6px 10px;border-bottom:2px solid #6b7680;text-align:left;color:#3a444d"'
)


class Digest(msgspec.Struct, frozen=True):
    """A mail's subject, and its two equal forms."""

    subject: str
    text: str
    html: str


class Entry(msgspec.Struct, frozen=True):
    """One flag of a digest: what happened to it since the last, and its latest record."""

    event: str
    record: dict[str, Any]

    @property
    def severity(self) -> str:
        """As of the latest record."""
        return str(self.record.get("severity", "info"))


def entries(letters: Sequence[Letter]) -> list[Entry]:
    """One entry a flag, the gravest first; what was raised and ended since is shown as raised."""
    found: dict[str, Entry] = {}
    for letter in letters:
        before = found.get(letter.flag_id)
        event = letter.event
        if before is not None and before.event == "raised" and event != "withdrawn":
            event = "raised"
        found[letter.flag_id] = Entry(event, letter.record)
    order = {name: place for place, name in enumerate(EVENTS)}
    return sorted(
        found.values(),
        key=lambda entry: (
            -SEVERITIES.index(entry.severity),
            order.get(entry.event, len(order)),
            str(entry.record.get("from", "")),
            str(entry.record.get("id", "")),
        ),
    )


def digest(letters: Sequence[Letter], *, language: Language, zone: str, gateway: str) -> Digest:
    """The mail about these letters.

    Args:
        letters: at least one.
        language: of the texts.
        zone: IANA name of the time zone of the times.
        gateway: name of the gateway.
    """
    texts = Texts(language)
    found = entries(letters)
    graves = Counter(entry.severity for entry in found)
    counted = "，" if language == "zh" else ", "
    graves_told = counted.join(
        f"{texts.word('severity', name)} {graves[name]}"
        for name in reversed(SEVERITIES)
        if graves[name]
    )
    if found and found[0].event == "test":
        subject = texts("alert.test_subject", gateway=gateway)
    else:
        subject = texts("alert.subject", gateway=gateway, count=len(found), severities=graves_told)
    page = _Page(texts, ZoneInfo(zone), found[:SHOWN], _by_code(found), subject)
    more = len(found) - len(page.shown)
    return Digest(subject, page.text(zone, more), page.html(zone, more))


def _by_code(found: Sequence[Entry]) -> list[tuple[str, str, int]]:
    """Severity, code and number of flags, the gravest and most frequent first."""
    counts = Counter((entry.severity, str(entry.record.get("code", ""))) for entry in found)
    ordered = sorted(
        counts.items(), key=lambda item: (-SEVERITIES.index(item[0][0]), -item[1], item[0][1])
    )
    return [(severity, code, count) for (severity, code), count in ordered]


class _Page:
    """What a mail shows, on its way into text or HTML."""

    def __init__(
        self,
        texts: Texts,
        zone: ZoneInfo,
        shown: Sequence[Entry],
        codes: Sequence[tuple[str, str, int]],
        subject: str,
    ) -> None:
        self.shown = shown
        self._texts = texts
        self._zone = zone
        self._codes = codes
        self._subject = subject
        self._titles = {
            entry.record.get("code"): entry.record.get("title", {}).get(texts.language)
            for entry in shown
        }

    def _title(self, code: object) -> str:
        return _plain(self._titles.get(code) or code)

    def _when(self, record: dict[str, Any]) -> str:
        begin, end = (self._local(record.get(name)) for name in ("from", "to"))
        return begin if begin == end else f"{begin} – {end}"

    def _local(self, text: object) -> str:
        if not isinstance(text, str):
            return ""
        return datetime.fromisoformat(text).astimezone(self._zone).strftime("%Y-%m-%d %H:%M")

    def _where(self, record: dict[str, Any]) -> str:
        parts = [record.get(name) for name in ("region", "site")]
        return " / ".join(_plain(part) for part in parts if part)

    def _evidence(self, record: dict[str, Any]) -> list[tuple[str, str]]:
        evidence = record.get("evidence", {})
        unit = f" {_plain(evidence['unit'])}" if evidence.get("unit") not in (None, "", "1") else ""
        return [
            (self._texts(key), _plain(evidence[name]) + unit)
            for name, key in _EVIDENCE
            if evidence.get(name) is not None
        ]

    def _event(self, entry: Entry) -> str:
        told = self._texts.word("event", entry.event)
        status = str(entry.record.get("status", ""))
        if entry.event == "raised" and status not in ("open", "", "test"):
            told += f" ({self._texts.word('status', status)})"
        return told

    def text(self, zone: str, more: int) -> str:
        """The mail as plain text."""
        texts = self._texts
        lines = [self._subject, "", texts("alert.by_code")]
        lines += [
            f"  {texts.word('severity', severity)}  {count:>5}  {self._title(code)} ({code})"
            for severity, code, count in self._codes
        ]
        for entry in self.shown:
            record = entry.record
            code = str(record.get("code", ""))
            grave = texts.word("severity", entry.severity)
            kind = texts.word("kind", str(record.get("kind", "")))
            device = f"{_plain(record.get('device_id', ''))} ({kind}) {self._where(record)}"
            facts = [
                (texts("alert.device"), device.rstrip()),
                (texts("alert.when"), self._when(record)),
                *self._evidence(record),
                (texts("alert.id"), _plain(record.get("id", ""))),
            ]
            lines += [
                "",
                f"[{grave}] {self._title(code)} ({code}) – {self._event(entry)}",
                *(f"  {name}: {value}" for name, value in facts),
            ]
        if more > 0:
            lines += ["", texts("alert.more", count=more)]
        return "\n".join([*lines, "", texts("alert.foot", zone=zone)]) + "\n"

    def html(self, zone: str, more: int) -> str:
        """The mail as HTML; everything that comes from outside is escaped."""
        texts = self._texts
        head = "".join(f"<th {_HEAD}>{escape(texts(key))}</th>" for key in _HEADS)
        codes = "".join(
            f'<tr><td {_CELL}>{self._chip(severity)}</td><td {_CELL} align="right">{count}</td>'
            f"<td {_CELL}>{escape(self._title(code))} <small>{escape(code)}</small></td></tr>"
            for severity, code, count in self._codes
        )
        rows = "".join(self._row(entry) for entry in self.shown)
        rest = f"<p>{escape(texts('alert.more', count=more))}</p>" if more > 0 else ""
        return (
            f'<!DOCTYPE html><html lang="{texts.language}"><head><meta charset="utf-8">'
            f"<title>{escape(self._subject)}</title></head>"
            '<body style="font-family:sans-serif;font-size:14px;color:#1b2126;background:#fff">'
            f'<h1 style="font-size:18px">{escape(self._subject)}</h1>'
            f'<table style="border-collapse:collapse">{codes}</table>'
            f'<h2 style="font-size:16px">{escape(texts("alert.flags"))}</h2>'
            f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table>{rest}"
            f'<p style="color:#4a545d">{escape(texts("alert.foot", zone=zone))}</p></body></html>\n'
        )

    def _chip(self, severity: str) -> str:
        ink = _INK.get(severity, "#1b2126")
        told = escape(self._texts.word("severity", severity))
        return f'<span style="color:{ink};font-weight:bold">{told}</span>'

    def _row(self, entry: Entry) -> str:
        record = entry.record
        code = str(record.get("code", ""))
        kind = self._texts.word("kind", str(record.get("kind", "")))
        what = [f"<b>{escape(self._title(code))}</b>", escape(self._event(entry)), _small(code)]
        device = [_plain(record.get("device_id", "")), kind, self._where(record)]
        evidence = [escape(f"{name}: {value}") for name, value in self._evidence(record)]
        cells = [
            self._chip(entry.severity),
            "<br>".join(what),
            "<br>".join(escape(line) for line in device if line),
            escape(self._when(record)),
            "<br>".join([*evidence, _small(record.get("id", ""))]),
        ]
        return "<tr>" + "".join(f"<td {_CELL}>{cell}</td>" for cell in cells) + "</tr>"


def _small(value: object) -> str:
    return f"<small>{escape(_plain(value))}</small>"


def _plain(value: Any) -> str:  # noqa: ANN401 - whatever a check found
    """A value in one short line without control characters."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
