"""Places of unknown messages: each with its values, device by device, and the unit beside it."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from gateway.drafting.vocabulary import vocabulary
from gateway.profiles.doc import told_path
from gateway.profiles.notation import Select

Path = tuple[str | int | Select, ...]

_SPLIT: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[㐀-鿿]+")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,9})?")
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe",
                                 "Ü": "Ue", "ß": "ss"})  # fmt: skip
_UNIT: Final = re.compile(
    r"(?<![A-Z])([kMG]?Wh|kVArh|kvarh|kVA|[kM]W|[mk]A|[mk]V|[kMh]Pa|[GM]J|m3/h|L/h|l/h)(?![a-z])"
)
_DEEPEST: Final = 8
_MOST_ITEMS: Final = 64
_MOST_DECIMALS: Final = 6
_NO_VALUES: Final = frozenset({"", "-", "--", "---", "n/a", "na", "null", "none", "nan", "error"})


@dataclass
class Field:
    """One place of the messages: its path, and its values in the order they came.

    ``owners`` says of which device each value is (a number), so that what grows is seen device by
    device; ``received`` when its message came; ``unit`` is a field beside it that tells its unit;
    ``array`` is the number of its items where it is an array of numbers; ``context`` what the
    topic says that the message is.
    """

    path: Path
    values: list[Any] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    unit: Field | None = None
    array: int = 0
    context: str = ""

    @property
    def name(self) -> str:
        """Its own name: the last key, or what a selection asks for."""
        last = self.path[-1]
        if last == "$":
            return self.context
        if isinstance(last, str) and len(self.path) > 1 and isinstance(self.path[-2], Select):
            return " ".join(str(choices[0]) for _, choices in self.path[-2].wanted)
        if isinstance(last, int) and len(self.path) > 1:
            return str(self.path[-2])
        return str(last)

    @property
    def above(self) -> str:
        """The name of what it stands in."""
        names = [str(part) for part in self.path[:-1] if isinstance(part, str)]
        return names[-1] if names else self.context

    @property
    def shown(self) -> str:
        """The path as a profile writes it."""
        told = told_path(self.path)
        return f"{told} ({self.context})" if told == "$" and self.context else told

    @property
    def numbers(self) -> list[float]:
        """The values as numbers, where they are, without those that mean no value."""
        gone = self.absent
        found = []
        for value in self.values:
            number = number_of(value)
            if number is not None and value not in gone:
                found.append(number)
        return found

    @property
    def numeric(self) -> bool:
        """Whether every value is a number, a text that is one, or says that there is none."""
        gone = len([value for value in self.values if _says_none(value)])
        return bool(self.values) and self._count_numbers() + gone == len(self.values) > gone

    def _count_numbers(self) -> int:
        return sum(number_of(value) is not None for value in self.values)

    @property
    def absent(self) -> list[Any]:
        """Values that stand for 'no value': ``---``, or a number far beyond all others."""
        texts = {value for value in self.values if _says_none(value)}
        if not self._count_numbers():
            return []
        numbers = {n for value in self.values if (n := number_of(value)) is not None}
        far = {n for n in numbers if int(n) in _SENTINELS and n == int(n)}
        rest = numbers - far
        marks = [
            value
            for value in dict.fromkeys(self.values)
            if number_of(value) in far and rest and max(map(abs, rest)) * 4 < abs(float(value))
        ]
        return [*sorted(texts), *marks]

    @property
    def whole(self) -> bool:
        """Whether every value is a whole number from 0 on."""
        return self.numeric and all(n >= 0 and n == int(n) for n in self.numbers)

    @property
    def text(self) -> bool:
        """Whether the numbers come as text."""
        return self.numeric and any(isinstance(value, str) for value in self.values)

    @property
    def decimals(self) -> int:
        """Digits after the point, of the value with the most of them; 0 where that is noise."""
        most = max((len(_plain(value).partition(".")[2]) for value in self.values), default=0)
        return most if most <= _MOST_DECIMALS else 0

    def steps(self) -> list[float]:
        """Differences from one value to the next of the same device."""
        owners = self.owners or [0] * len(self.values)
        series: dict[int, list[float]] = {}
        for owner, value in zip(owners, self.values, strict=True):
            number = number_of(value)
            if number is not None:
                series.setdefault(owner, []).append(number)
        return [b - a for of in series.values() for a, b in itertools.pairwise(of)]

    @property
    def grows(self) -> bool:
        """Whether it only grows, device by device, and does grow."""
        steps = self.steps()
        return bool(steps) and min(steps) >= 0 and max(steps) > 0


def _says_none(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return isinstance(value, str) and value.strip().lower() in _NO_VALUES


_SENTINELS: Final = frozenset(
    (-9999, -999, 9999, 99999, 999999, 32767, -32768, 65535, 2**31 - 1, -(2**31), 2**32 - 1)
)


def _plain(value: Any) -> str:  # noqa: ANN401 - any JSON value
    text = repr(value) if isinstance(value, float) else str(value)
    if "e" in text and isinstance(value, float):
        text = format(value, "f")
    return text.rstrip("0") if isinstance(value, float) else text


@cache
def words_of(name: str) -> tuple[str, ...]:
    """``totalEnergy_kWh`` as ``total``, ``energy``, ``kwh``; signs and case are forgotten."""
    name = name.translate(_UMLAUTS)
    name = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    name = _UNIT.sub(lambda match: f"_{match[1].lower().replace('/', '')}_", name)
    joined: list[str] = []
    for word in (word.lower() for word in _SPLIT.findall(name)):
        if (
            joined and word.isdigit() and joined[-1] in _NUMBERED
        ):  # m and 3 are one word, as are l, 1
            joined[-1] += word
        elif joined and joined[-1] == "m3" and word == "h":
            joined[-1] = "m3h"
        else:
            joined.append(word)
    return tuple(joined)


_NUMBERED: Final = frozenset(
    ("m", "nm", "l", "t", "e", "u", "i", "v", "p", "q", "dm", "tariff", "rate")
)


def number_of(value: Any) -> float | None:  # noqa: ANN401 - any JSON value
    """A value as a number; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        value = value.strip()  # which takes off more than `float` does
        if _NUMBER.fullmatch(value) is None:
            return None
    return float(value)


def fields_of(documents: Iterable[tuple[int, int, Any]]) -> list[Field]:
    """Every plain place of documents, in their order.

    Args:
        documents: each with the number of its device, and when it was received.
    """
    found: dict[Path, Field] = {}
    for owner, received, document in documents:
        _enter(document, (), (owner, received), found)
    fields = _arrays(list(found.values()))
    _join_units(fields)
    return fields


def _arrays(fields: list[Field]) -> list[Field]:
    """The fields with arrays of two to four numbers as one field each."""
    arrays: dict[Path, list[Field]] = {}
    for each in fields:
        if isinstance(each.path[-1], int) and len(each.path) > 1 and each.numeric:
            arrays.setdefault(each.path[:-1], []).append(each)
    joined: dict[Path, Field] = {}
    for path, items in arrays.items():
        counts = {len(each.values) for each in items}
        if len(items) in {2, 3, 4} and len(counts) == 1:
            values = [value for each in items for value in each.values]
            joined[path] = Field(path, values, array=len(items))
    found = [each for each in fields if each.path[:-1] not in joined]
    return found + list(joined.values())


def _enter(
    value: Any,  # noqa: ANN401 - any JSON value
    path: Path,
    owner: tuple[int, int],
    found: dict[Path, Field],
) -> None:
    if len(path) > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _enter(inner, (*path, str(key)), owner, found)
    elif isinstance(value, list):
        key = name_key(value)
        for number, inner in enumerate(value[:_MOST_ITEMS]):
            if key is None:
                _enter(inner, (*path, number), owner, found)
            else:
                select = Select(((key, (inner[key],)),))
                rest = {name: part for name, part in inner.items() if name != key}
                _enter(rest, (*path, select), owner, found)
    elif value is not None:
        each = found.setdefault(path or ("$",), Field(path or ("$",)))
        each.values.append(value)
        each.owners.append(owner[0])
        each.received.append(owner[1])


def name_key(items: list[Any]) -> str | None:
    """The key by which items of an array are known, where each is one named value."""
    objects = [item for item in items if isinstance(item, Mapping)]
    if not objects or len(objects) < len(items):
        return None
    spoken = vocabulary()
    for key in spoken.names:
        actual = next((k for k in objects[0] if "".join(words_of(k)) == key), None)
        if actual is None:
            continue
        names = [item.get(actual) for item in objects]
        values = [[k for k in item if "".join(words_of(k)) in spoken.values] for item in objects]
        told = all(isinstance(name, str) and name for name in names)
        if told and len(set(names)) == len(names) and all(len(each) == 1 for each in values):
            return str(actual)
    return None


def _join_units(fields: list[Field]) -> None:
    """Finds the fields that tell units: ``unit`` beside a value, ``x_unit`` beside ``x``."""
    by_path = {each.path: each for each in fields}
    for each in fields:
        told = bool(each.values) and all(isinstance(value, str) for value in each.values)
        if told and all(sign_of(value) is not None for value in each.values):
            for other in _measured_in(each, fields, by_path):
                other.unit = each


def _measured_in(
    unit: Field, fields: list[Field], by_path: Mapping[Path, Field]
) -> Iterable[Field]:
    """The fields whose unit this field tells."""
    keys = vocabulary().unit_keys
    words = words_of(str(unit.path[-1]))
    siblings = [
        other
        for other in fields
        if other is not unit and other.path[:-1] == unit.path[:-1] and other.numeric
    ]
    if "".join(words) in keys:
        return siblings if len(siblings) == 1 else []
    if words and words[-1] in keys:
        return [s for s in siblings if "".join(words_of(s.name)) == "".join(words[:-1])]
    if "".join(words_of(unit.above)) in keys:  # units: {volume: "m3"} beside volume
        other = by_path.get((*unit.path[:-2], unit.path[-1]))
        return [other] if other is not None and other.numeric else []
    return []


def sign_of(text: str) -> str | None:
    """The UCUM code of a unit as a message tells it."""
    signs: dict[str, str] = vocabulary().signs
    return signs.get(text.strip().lower())
