"""What instruments say of themselves: ``tamper_alarm``, ``device_fault``, ``signature_invalid``.

A status word is one lasting condition of the device, from the first reading that has it until it is
gone.  Messages of several sorts may tell the same word, and only a sort that told it can take it
back: a block without status says nothing of it.  An alarm is told once and seldom taken back, so it
is over after a stated time, too.  A record whose signature cannot be judged takes nothing back.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from zlib import crc32

import msgspec
from pydantic import Field, field_validator

from gateway.checks.findings import finding
from gateway.checks.lasting import Lasting, begin, end, go_on
from gateway.checks.parameters import NotNegative, Settings
from gateway.checks.series import Series, SeriesCheck
from gateway.devices import valid_at
from gateway.quantities import STATUS_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.checks.bound import Bound, Track
    from gateway.records import Flag, Reading

TAMPER: Final = "tamper_alarm"
FAULT: Final = "device_fault"
SIGNATURE: Final = "signature_invalid"
_CODES: Final = (TAMPER, FAULT, SIGNATURE)
_MEMORY: Final = "status_words"
_KEY: Final = "ocmf_public_key"
_UNVERIFIED: Final = "signature_unverified"
_SECOND: Final = 10**9

Severity = Literal["info", "minor", "major", "critical", "off"]

_TAMPER_WORDS: Final[dict[str, Severity]] = {
    "seal_broken": "critical",
    "cover_open": "major",
    "terminal_cover_open": "major",
    "magnetic_field": "major",
    "tamper": "major",
    "tilt": "minor",
}
"""A broken seal is proof; the others are strong evidence, or have honest causes as well.  A program
that changed is judged by ``firmware_changed``."""

_FAULT_WORDS: Final[dict[str, Severity]] = {
    "memory_fault": "major",
    "sensor_fault": "major",
    "clock_fault": "minor",
    "battery_low": "minor",
    "valve_fault": "minor",
    "communication_fault": "minor",
    "overload": "minor",
    "power_failure": "info",
    "air_in_pipe": "info",
    "frost": "info",
}
"""A memory or sensor that fails touches what is measured; the others will, if nobody comes."""


class WordSettings(Settings):
    """How status words are judged.

    Attributes:
        severity: of a word, over the table of its code; ``off`` leaves a word out, and a word of
            another code may be put here.
        gone_after: readings in a row without the word that end it.
        alarm_lasts: seconds after which an alarm that is not told again is over.
    """

    severity: dict[str, Severity] = {}  # noqa: RUF012 - pydantic copies it
    gone_after: Annotated[int, Field(ge=1, le=100)] = 2
    alarm_lasts: NotNegative = 86_400.0

    @field_validator("severity")
    @classmethod
    def _words(cls, given: dict[str, Severity]) -> dict[str, Severity]:
        for word in given:
            if word not in STATUS_WORDS:
                raise ValueError(f"{word!r} is no status word; one of {', '.join(STATUS_WORDS)}")
        return given


class SignatureSettings(Settings):
    """Readings in a row with a valid signature that end the condition."""

    gone_after: Annotated[int, Field(ge=1, le=100)] = 1


class Holder(msgspec.Struct, array_like=True):
    """A sort of message that told the word: when last, and how often in a row it did not since."""

    at: int
    absent: int = 0


class Told(msgspec.Struct, array_like=True):
    """A word that stands, and who told it."""

    lasting: Lasting
    holders: dict[str, Holder]


class Words(msgspec.Struct, array_like=True):
    """The words that stand; of those that ended, when they last did."""

    standing: dict[str, Told] | None = None
    past: dict[str, tuple[int, int]] | None = None


class Judged(msgspec.Struct, frozen=True):
    """How one word is judged; times in ns."""

    code: str
    severity: str
    gone_after: int
    alarm_lasts: int


def _table(bound: Bound) -> dict[str, Judged]:
    """Every word that a layout is judged by."""
    off, kind = bound.settings.off, bound.layout.kind
    found: dict[str, Judged] = {}
    for code, words in ((TAMPER, _TAMPER_WORDS), (FAULT, _FAULT_WORDS)):
        if code in off:
            continue
        settings = bound.settings.of(code, WordSettings)
        lasts = round(settings.alarm_lasts * _SECOND)
        for word, severity in (words | settings.severity).items():
            if severity != "off":
                found[word] = Judged(code, severity, settings.gone_after, lasts)
    if SIGNATURE not in off and kind == "ev_charger":
        gone_after = bound.settings.of(SIGNATURE, SignatureSettings).gone_after
        found[SIGNATURE] = Judged(SIGNATURE, "critical", gone_after, 0)
    return found


def _maker(code: str) -> Callable[[Bound], SeriesCheck | None]:
    """One check judges all words; it is that of the first code that is on."""

    def make(bound: Bound) -> SeriesCheck | None:
        off = bound.settings.off
        first = next(c for c in _CODES if c not in off)
        return _check(bound) if code == first else None

    return make


def _check(bound: Bound) -> SeriesCheck:
    table = _table(bound)
    layout = bound.layout
    sort = f"{layout.event} {crc32(' '.join(layout.names).encode()):08x}"
    alarm = layout.event == "alarm"

    def run(
        memory: Words, _track: Track, reading: Reading, at: int, late: bool, flags: list[Flag]
    ) -> None:
        status = reading.status
        if not status and not memory.standing:
            return
        if late:
            _late(bound, memory, table, reading, at=at, flags=flags)
            return
        if memory.standing:
            _expire(memory, table, at, flags)
        if memory.standing is None:
            memory.standing = {}
        source = f"{sort} {reading.channel or ''}"
        for word in status:
            judged = table.get(word)
            if judged is None:
                continue
            told = memory.standing.get(word)
            if told is None:
                told = memory.standing[word] = Told(Lasting(), {})
                begin(told.lasting, _flag(bound, reading, word, judged, at, late=False), flags)
            else:
                go_on(told.lasting, at, {}, flags)
            told.holders[source] = Holder(at)
        if memory.standing:
            # Whether a signature holds that cannot be judged, nobody knows.
            unknown = (*status, SIGNATURE) if _UNVERIFIED in status else status
            _take_back(memory, table, source, unknown, flags, at_once=alarm)

    return SeriesCheck(_MEMORY, Words, False, run, stands=lambda memory: bool(memory.standing))


def _take_back(
    memory: Words,
    table: Mapping[str, Judged],
    source: str,
    status: tuple[str, ...],
    flags: list[Flag],
    *,
    at_once: bool,
) -> None:
    """Ends what this sort of message told before and does not tell any more."""
    for word, told in list((memory.standing or {}).items()):
        holder = told.holders.get(source)
        if holder is None or word in status:
            continue
        holder.absent += 1
        judged = table.get(word)
        if at_once or judged is None or holder.absent >= judged.gone_after:
            del told.holders[source]
            _end_if_alone(memory, word, told, flags)


def _expire(memory: Words, table: Mapping[str, Judged], at: int, flags: list[Flag]) -> None:
    """Ends alarms that were not told again for long."""
    for word, told in list((memory.standing or {}).items()):
        judged = table.get(word)
        lasts = judged.alarm_lasts if judged is not None else 0
        gone = [
            source
            for source, holder in told.holders.items()
            if lasts and source.startswith("alarm ") and at - holder.at > lasts
        ]
        for source in gone:
            del told.holders[source]
        if gone:
            _end_if_alone(memory, word, told, flags)


def _end_if_alone(memory: Words, word: str, told: Told, flags: list[Flag]) -> None:
    flag = told.lasting.flag
    if told.holders or flag is None or memory.standing is None:
        return
    memory.past = (memory.past or {}) | {word: (flag.since, flag.until)}
    end(told.lasting, flags)
    del memory.standing[word]


def _late(
    bound: Bound,
    memory: Words,
    table: Mapping[str, Judged],
    reading: Reading,
    *,
    at: int,
    flags: list[Flag],
) -> None:
    """A word that comes after its turn is told alone, unless a flag covers its time."""
    for word in reading.status:
        judged = table.get(word)
        if judged is None:
            continue
        told = (memory.standing or {}).get(word)
        if told is not None and told.lasting.flag is not None and at >= told.lasting.flag.since:
            continue
        since, until = (memory.past or {}).get(word, (1, 0))
        if since <= at <= until:
            continue
        flag = _flag(bound, reading, word, judged, at, late=True)
        flag.evidence["count"] = 1
        flags.append(msgspec.structs.replace(flag, status="ended"))


def _flag(
    bound: Bound, reading: Reading, word: str, judged: Judged, at: int, *, late: bool
) -> Flag:
    evidence: dict[str, Any] = {
        "observed": word,
        "expected": "valid" if word == SIGNATURE else "absent",
        "tolerance": 0,
        "unit": "1",
        "formula": f"signature of the record at ledger offset {reading.ledger_offset}, verified "
        "with the key (gateway decode shows its algorithm and why it does not fit)"
        if word == SIGNATURE
        else "the instrument's own status word",
        "inputs": {
            "event": reading.event,
            "channel": reading.channel,
            "sequence": reading.sequence,
            "status": list(reading.status),
        },
        "judged_late": late,
    }
    if word == SIGNATURE:
        evidence["key_id"] = _key_id(bound, reading.device_id, at)
    return finding(
        reading,
        judged.code,
        evidence,
        occasion=f"{word}@{at}",
        channel=None,
        severity=judged.severity,
        since=at,
        until=at,
    )


def _key_id(bound: Bound, device_id: str, at: int) -> str | dict[str, str] | None:
    """SHA-256 of the key's text in the registry, first 16 digits; by serial number if several."""
    device = valid_at(bound.devices, device_id, at)
    told = device.parameters.get(_KEY) if device is not None else None
    if isinstance(told, dict):
        return {str(serial): _digest(key) for serial, key in told.items()}
    return None if told is None else _digest(told)


def _digest(key: object) -> str:
    return sha256(str(key).encode()).hexdigest()[:16]


TAMPER_ALARM: Final = Series(TAMPER, WordSettings, _maker(TAMPER))
DEVICE_FAULT: Final = Series(FAULT, WordSettings, _maker(FAULT))
SIGNATURE_INVALID: Final = Series(SIGNATURE, SignatureSettings, _maker(SIGNATURE))
