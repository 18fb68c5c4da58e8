"""The small notations of a profile: paths into a message, topics, forms of time."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any, Final

_SEGMENT: Final = re.compile(
    r"([^.\[\]]+)|\[(\d{1,9})\]|\[([^\[\]=,]+=[^\[\],]+(?:,[^\[\]=,]+=[^\[\],]+)*)\]|(\[\])",
    re.ASCII,
)
ITEMS: Final = "[]"
"""In ``each``: every item of the array that stands here."""
VALUES: Final = "*"
"""In ``each``: every value of the mapping that stands here; in other paths, the item's key."""
ABOVE: Final = "^"
"""At the begin of a path: the item around the one that ``each`` is at."""
_UNSAFE_KEY: Final = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')


@dataclass(frozen=True, slots=True)
class Select:
    """The first item of an array whose keys have these values (any of each key's choices)."""

    wanted: tuple[tuple[str, tuple[str | int | float | bool, ...]], ...]

    def __str__(self) -> str:
        return "[" + ",".join(f"{key}={choices[0]}" for key, choices in self.wanted) + "]"


Path = tuple[str | int | Select, ...]


def _select(text: str) -> Select:
    """``name=volume,storage=0``: a number is meant as number or as text, as the device has it."""
    wanted = []
    for pair in text.split(","):
        key, word = (part.strip() for part in pair.split("=", 1))
        choices: list[str | int | float | bool] = [word]
        if word in {"true", "false"}:
            choices.append(word == "true")
        elif re.fullmatch(r"-?[0-9]{1,18}", word, re.ASCII):
            choices.append(int(word))
        wanted.append((key, tuple(choices)))
    return Select(tuple(wanted))


def parse_path(value: Any) -> Path:  # noqa: ANN401 - YAML is any data
    """``"data.u[0]"`` as ``("data", "u", 0)``; raises ValueError with what cannot be read.

    ``meters[name=E1].value`` takes the first item of ``meters`` whose ``name`` is ``E1``.  Where
    ``each`` is at an item, ``.`` is the item itself, ``^.id`` a place of the item around it, and
    ``*`` the key that the item has in its mapping.
    """
    if value == ".":
        return ()
    path = _parsed(value)
    plain = path
    while plain[:1] == (ABOVE,):
        plain = plain[1:]
    if ITEMS in plain or (VALUES in plain and plain != (VALUES,)):
        raise ValueError(
            f"the path {value!r}: '[]' and '*' go through all items, which only 'each' does"
        )
    return path


def parse_each(value: Any) -> Path:  # noqa: ANN401 - YAML is any data
    """The path of an array, or through arrays and mappings: ``sites[].meters``, ``meters.*``."""
    return _parsed(value)


def levels_of(each: Path) -> list[tuple[Path, bool]]:
    """The loops that ``each`` means: their paths, from the item before; whether of a mapping."""
    found: list[tuple[Path, bool]] = []
    segment: list[str | int | Select] = []
    for part in each:
        if part in (ITEMS, VALUES):
            found.append((tuple(segment), part == VALUES))
            segment = []
        else:
            segment.append(part)
    if segment:
        found.append((tuple(segment), False))
    return found


def _parsed(value: Any) -> Path:  # noqa: ANN401 - YAML is any data
    if isinstance(value, tuple):
        return value
    if isinstance(value, list):
        return _listed(value)
    if not isinstance(value, str) or not value:
        raise ValueError(
            f"a path is dotted keys such as 'data.ep' or a list of keys, got {str(value)[:40]!r}"
        )
    path: list[str | int | Select] = []
    position = 0
    while position < len(value):
        match = _SEGMENT.match(value, position)
        if match is None:
            raise ValueError(
                f"cannot read the path {value!r} at {value[position:]!r}: keys are parted by dots, "
                "positions stand in [0], selections in [key=value]; write a key with such signs as "
                "a list [key, key]"
            )
        path.append(_segment(match))
        position = match.end()
        if value[position : position + 1] == ".":
            position += 1
            if position == len(value) or value[position] == "[":
                raise ValueError(f"the path {value!r} has a dot too many")
        elif position < len(value) and value[position] != "[":
            raise ValueError(f"the path {value!r} lacks a dot before {value[position:]!r}")
    return _safe(tuple(path))


def _segment(match: re.Match[str]) -> str | int | Select:
    key, position, select, _ = match.groups()
    if key is not None:
        return str(key)
    if position is not None:
        return int(position)
    return _select(select) if select is not None else ITEMS


def _listed(value: list[Any]) -> Path:
    parts = [_part(part) for part in value]
    if not parts or None in parts:
        raise ValueError(
            "a path as a list holds keys (text), positions (0, 1, ...) and selections "
            "({key: value})"
        )
    return _safe(tuple(part for part in parts if part is not None))


def _part(part: Any) -> str | int | Select | None:  # noqa: ANN401 - YAML is any data
    """One part of a path that is written as a list; None when it can't be one."""
    if isinstance(part, str) or (type(part) is int and 0 <= part < 10**9):
        return part
    plain = isinstance(part, dict) and all(
        isinstance(key, str) and isinstance(value, str | int | float) for key, value in part.items()
    )
    if not plain or not part:
        return None
    return Select(tuple((key, (value,)) for key, value in part.items()))


def _safe(path: Path) -> Path:
    for part in path:
        keys = [key for key, _ in part.wanted] if isinstance(part, Select) else [part]
        for key in keys:
            if isinstance(key, str) and _UNSAFE_KEY.search(key):
                raise ValueError(f"a key with quotation marks, \\ or control signs: {key!r}")
    return path


_LEVEL: Final = re.compile(r"\{([a-z_]+)\}")


def topic_level(key: str) -> str | None:
    """The name of a topic's level, where a condition is on ``{name}`` and not on a path."""
    match = _LEVEL.fullmatch(key)
    return match[1] if match else None


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
