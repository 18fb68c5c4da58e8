"""RFC 3339 text and the gateway's own time: integer nanoseconds since 1970-01-01 UTC.

Text keeps all nine digits; ``datetime`` would drop the last three.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND
_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**63 - 1
_SCALE: Final[tuple[int, ...]] = tuple(10 ** (9 - digits) for digits in range(10))
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-]\d\d:\d\d))",
    re.ASCII,
)
_MINUTE: Final = 60 * SECOND
_CACHED: Final = 100_000
_SECONDS: Final = {f"{second:02d}.": second * SECOND for second in range(60)}


def nanoseconds(text: str) -> int:
    """The time that RFC 3339 ``text`` says; digits beyond the ninth are dropped.

    Raises:
        ValueError: not RFC 3339 with a zone, no such date, or not within 1678 to 2261.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text[:40]!r} is not an RFC 3339 time with zone; write it like 2026-03-01T08:00:00Z"
        )
    date, clock, fraction, zone = found.groups()
    try:
        whole = datetime.fromisoformat(f"{date}T{clock}{zone or '+00:00'}")
    except ValueError as error:
        raise ValueError(f"{text!r} is no time: {error}") from None
    since = whole - datetime(1970, 1, 1, tzinfo=UTC)
    at = (since.days * 86_400 + since.seconds) * SECOND
    if fraction:
        at += int(fraction) * _SCALE[len(fraction)]
    if not _LOWEST <= at <= _HIGHEST:
        raise ValueError(f"{text!r} is out of range: times from 1678 to 2261 can be kept")
    return at


def rfc3339(at: int) -> str:
    """``at`` as RFC 3339 UTC, with as many digits of a fraction as it has: none, 3, 6 or 9."""
    seconds, fraction = divmod(at, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if not fraction:
        return text + "Z"
    digits = f"{fraction:09d}"
    for _ in range(2):
        digits = digits.removesuffix("000")
    return f"{text}.{digits}Z"


class TimeReader:
    """Reads many times that are near each other: the minutes that were met are remembered."""

    def __init__(self) -> None:
        self._minutes: dict[str, int] = {}

    def read(self, texts: list[str]) -> list[int]:
        """``nanoseconds`` of each text.

        Raises:
            ValueError: as ``nanoseconds``, at the first bad one.
        """
        minutes, seconds, scales = self._minutes, _SECONDS, _SCALE
        times: list[int] = []
        add = times.append
        for text in texts:
            fraction = text[20:-1]
            try:
                # The minute is "2026-03-01T08:00:", the second "00." with its point.
                whole = minutes[text[:17]] + seconds[text[17:20]]
                if text[-1] == "Z" and fraction.isdigit() and fraction.isascii():
                    add(whole + int(fraction) * scales[len(fraction)])
                    continue
            except LookupError:
                pass  # a minute that is new, or another form
            add(self._learn(text))
        return times

    def _learn(self, text: str) -> int:
        minute, second = self._minutes.get(text[:17]), _SECONDS.get(f"{text[17:19]}.")
        if minute is not None and second is not None and text[19:] == "Z":
            return minute + second
        at = nanoseconds(text)
        if text[-1] == "Z":
            if len(self._minutes) >= _CACHED:
                self._minutes.clear()
            self._minutes[text[:17]] = at - at % _MINUTE
        return at
