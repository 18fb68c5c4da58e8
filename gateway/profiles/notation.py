"""The small notations of a profile: paths into a message, topics, forms of time."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Final

_SEGMENT: Final = re.compile(r"([^.\[\]]+)|\[(\d{1,9})\]", re.ASCII)
_UNSAFE_KEY: Final = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')


Path = tuple[str | int, ...]


def parse_path(value: Any) -> tuple[str | int, ...]:  # noqa: ANN401 - YAML is any data
    """``"data.u[0]"`` as ``("data", "u", 0)``; raises ValueError with what cannot be read."""
    if isinstance(value, tuple):
        return value
    if isinstance(value, list):
        whole = all(
            isinstance(part, str) or (type(part) is int and 0 <= part < 10**9) for part in value
        )
        if not value or not whole:
            raise ValueError("a path as a list holds keys (text) and positions (0, 1, ...)")
        return _safe(tuple(value))
    if not isinstance(value, str) or not value:
        raise ValueError("a path is dotted keys such as 'data.ep' or a list of keys")
    parts: list[str | int] = []
    position = 0
    while position < len(value):
        match = _SEGMENT.match(value, position)
        if match is None:
            raise ValueError(
                f"cannot read the path {value!r} at {value[position:]!r}: keys are parted by dots, "
                "positions stand in [0]; write a key with such signs as a list [key, key]"
            )
        parts.append(match[1] if match[1] is not None else int(match[2]))
        position = match.end()
        if value[position : position + 1] == ".":
            position += 1
            if position == len(value) or value[position] == "[":
                raise ValueError(f"the path {value!r} has a dot too many")
        elif position < len(value) and value[position] != "[":
            raise ValueError(f"the path {value!r} lacks a dot before {value[position:]!r}")
    return _safe(tuple(parts))


def _safe(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    for part in path:
        if isinstance(part, str) and _UNSAFE_KEY.search(part):
            raise ValueError(f"a key with quotation marks, \\ or control signs: {part!r}")
    return path


def check_path(value: str) -> str:
    """A path as its text; raises ValueError."""
    parse_path(value)
    return value


_TOPIC_LEVEL: Final = re.compile(r"^(?:\{[a-z_]+\}|[^{}+#]*|#)$")


def check_topic(topic: str) -> str:
    """A topic with named levels; raises ValueError."""
    levels = topic.split("/")
    if not topic:
        raise ValueError("the topic is empty")
    for level in levels:
        if level.startswith("{") and levels.count(level) > 1:
            raise ValueError(f"level {level!r} stands twice in topic {topic!r}")
    for i, level in enumerate(levels):
        if not _TOPIC_LEVEL.match(level):
            raise ValueError(
                f"level {level!r} of topic {topic!r}: a level is a literal, a name in braces such "
                "as {device_id}, or a last '#'"
            )
        if level == "#" and i != len(levels) - 1:
            raise ValueError(f"'#' may stand only at the end of topic {topic!r}")
    return topic


def bad_pattern(pattern: str) -> str | None:
    """What is wrong with a strptime pattern, or None: it must tell year, month and day."""
    sample = dt.datetime(2026, 11, 23, 14, 5, 6, tzinfo=dt.UTC)
    try:
        parsed = dt.datetime.strptime(sample.strftime(pattern), pattern)  # noqa: DTZ007
    except (ValueError, re.error) as error:
        return f"{pattern!r} is no time pattern: {error}"
    if parsed.date() != sample.date():
        return f"{pattern!r} does not tell year, month and day"
    return None


TIME_FORMS: Final = ("iso", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns")


def check_time(value: str) -> str:
    """A form of time; raises ValueError with the choices."""
    if value in TIME_FORMS:
        return value
    if "%" in value:
        wrong = bad_pattern(value)
        if wrong is None:
            return value
        raise ValueError(wrong)
    raise ValueError(
        f"time form {value!r}: one of {', '.join(TIME_FORMS)}, "
        "or a strptime pattern such as '%d/%m/%Y %H:%M:%S'"
    )


def check_moment(value: str) -> str:
    """A time as RFC 3339 has it; raises ValueError."""
    try:
        aware = dt.datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise ValueError(f"expected a time with its zone, as '2026-01-01T00:00:00Z', got {value!r}")
    return value
