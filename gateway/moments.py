"""Words of a message that are not plain numbers: times, identities, status.

These are the few functions that compiled normalisers call; each is pure but for a bounded memory
of what it has seen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.errors import DecodeError
from gateway.quantities import STATUS_WORDS

EARLIEST: Final = 946_684_800_000_000_000
"""2000-01-01: no networked meter measured before; a smaller number is another unit or no time."""
LATEST: Final = 4_102_444_800_000_000_000
"""2100-01-01."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

MAX_MEMORY: Final = 250_000
"""Entries after which a memory is emptied, so that made-up names cannot fill it."""

MAX_NAME: Final = 128


def bad_time(nanoseconds: int) -> DecodeError:
    """The refusal of a time outside 2000 to 2100."""
    return DecodeError(
        "bad_time",
        f"{nanoseconds / 1e9:.15g} s since 1970 is not between 2000 and 2100: is the clock set, "
        "and is 'time' the form that the device sends?",
    )


def moment(raw: dt.datetime | str, zone: dt.tzinfo) -> int:
    """RFC 3339 time to nanoseconds; one without offset is local time of ``zone``.

    A local time that comes twice, at the end of summer time, is the first of the two.
    """
    if isinstance(raw, str):
        try:
            when = msgspec.convert(raw, dt.datetime)
        except msgspec.ValidationError:
            raise DecodeError(
                "bad_time", f"{raw[:80]!r} is no time such as 2026-01-01T08:00:00+08:00 (RFC 3339)"
            ) from None
    else:
        when = raw
    if when.tzinfo is None:
        when = when.replace(tzinfo=zone)
    since = when - _EPOCH
    nanoseconds = (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000
    if not EARLIEST <= nanoseconds < LATEST:
        raise bad_time(nanoseconds)
    return nanoseconds


def from_pattern(raw: str, pattern: str, zone: dt.tzinfo) -> int:
    """A time by a strptime pattern to nanoseconds."""
    try:
        # The zone is set in moment(), whether or not the pattern has one.
        parsed = dt.datetime.strptime(raw, pattern)  # noqa: DTZ007
    except ValueError:
        raise DecodeError("bad_time", f"{raw[:80]!r} does not fit {pattern!r}") from None
    return moment(parsed, zone)


class Identities:
    """Checks and shares the text of device ids and channels.

    An identity is 1 to 128 printable characters; equal ones are one object, so that a million
    readings hold one string a device.

    Args:
        what: what it identifies: the reason of the refusal is ``bad_`` and this.
    """

    def __init__(self, what: str = "device_id") -> None:
        self._reason = f"bad_{what}"
        self._known: dict[object, str] = {}

    def __call__(self, raw: object) -> str:
        """The identity; raises DecodeError ``bad_device_id`` or ``bad_channel``."""
        known = self._known.get(raw)
        if known is not None:
            return known
        text = str(raw)
        if not 0 < len(text) <= MAX_NAME or not text.isprintable():
            raise DecodeError(
                self._reason, f"{text[:80]!r} is not 1 to {MAX_NAME} printable characters"
            )
        if len(self._known) >= MAX_MEMORY:
            self._known.clear()
        self._known[raw] = text
        return text


class StatusBits(dict[int, tuple[str, ...]]):
    """Bits of a status number to status words, in the order of the bits; unnamed bits are kept out.

    Words are looked up by the number: a call would cost several times as much.

    Two bits may have one word, as two batteries do; it stands once.  A bit without a word says
    nothing to us; the raw message keeps it.
    """

    def __init__(self, bits: Mapping[int, str]) -> None:
        super().__init__({0: ()})
        self._bits = sorted(bits.items())

    def __missing__(self, raw: int) -> tuple[str, ...]:
        """The words of the bits that are set."""
        words = tuple(dict.fromkeys(word for bit, word in self._bits if raw >> bit & 1))
        if len(self) < 4096:
            self[raw] = words
        return words


class StatusWords:
    """A status code, a text or a number, to a status word; None in it means all is well."""

    def __init__(self, words: Mapping[str | bool | float, str | None]) -> None:
        self._words = {
            (raw.__class__ is bool, raw): (word,) if word else () for raw, word in words.items()
        }

    def __call__(self, raw: object) -> tuple[str, ...]:
        """The word; raises DecodeError ``unknown_word``."""
        try:
            return self._words[raw.__class__ is bool, raw]  # type: ignore[index]
        except (KeyError, TypeError):
            known = ", ".join(repr(word) for _, word in self._words)
            raise DecodeError(
                "unknown_word", f"status {str(raw)[:80]!r} is none of {known}"
            ) from None


def status_list(raw: list[str]) -> tuple[str, ...]:
    """A list of status words as it stands; raises DecodeError ``unknown_word``."""
    for word in raw:
        if word not in STATUS_WORDS:
            known = ", ".join(STATUS_WORDS)
            raise DecodeError("unknown_word", f"status {word[:80]!r} is none of {known}")
    return tuple(raw)
