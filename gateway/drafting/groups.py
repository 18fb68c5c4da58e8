"""Sorts of messages: which of them belong to one block of ``read``, and how they are told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.drafting.fields import Field, words_of
from gateway.drafting.guess import is_sequence, is_status, score_of, time_words
from gateway.drafting.vocabulary import vocabulary
from gateway.profiles.doc import told_path
from gateway.quantities import BY_NAME

_MOST: Final = 12
_LEAST_DIFFERENCE: Final = 0.34
_ALIKE: Final = 0.5
_EVERYWHERE: Final = 0.95


@dataclass
class Message:
    """One message that could be read.

    Attributes:
        number: its position in the capture.
        owner: the number of its device.
        received_at: nanoseconds.
        document: what the format made of it.
        levels: the named levels of its topic.
    """

    number: int
    owner: int
    received_at: int
    document: Any
    levels: dict[str, str]


@dataclass
class Group:
    """Messages of one sort, and what tells them from the others: path and value, or presence."""

    messages: list[Message]
    when: dict[str, Any]


def groups_of(messages: Sequence[Message], *, by_level: bool) -> list[Group]:
    """The sorts of messages; one without a condition where all are alike.

    Args:
        messages: those that could be read.
        by_level: whether the topics' level ``metric`` tells the sort.
    """
    places = [dict(_plain(message.document, ())) for message in messages]
    key = _discriminator(places)
    if key is not None:
        told = [place.get(key) for place in places]
        return _by(messages, told, told_path(key))
    if by_level:
        told = [message.levels.get("metric") for message in messages]
        if _differ(places, told) >= _LEAST_DIFFERENCE or _bare(messages):
            return _by(messages, told, "{metric}")
    return _by_presence(messages, places) or [Group(list(messages), {})]


def _bare(messages: Sequence[Message]) -> bool:
    """Whether the messages are plain values, of which only the topic says what they are."""
    return not any(isinstance(message.document, dict | list) for message in messages)


def _by(messages: Sequence[Message], told: Sequence[Any], path: str) -> list[Group]:
    groups: dict[Any, list[Message]] = {}
    for message, value in zip(messages, told, strict=True):
        groups.setdefault(value, []).append(message)
    found = []
    for value, members in groups.items():
        when = {path: value} if value is not None else {path: {"is": "absent"}}
        found.append(Group(members, when))
    return found


def _plain(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401
    """Plain places; an array is a place, whatever it holds."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _plain(inner, (*path, str(key)))
    elif isinstance(value, list):
        yield path, "[]"
    elif value is not None:
        yield path, value


def _discriminator(places: Sequence[dict[tuple[str, ...], Any]]) -> tuple[str, ...] | None:
    """The place whose few values come with different other places."""
    best: tuple[float, int, tuple[str, ...]] | None = None
    for path in dict.fromkeys(key for place in places for key in place):
        told = [place.get(path) for place in places]
        values = [value for value in told if value is not None]
        plain = all(isinstance(v, str | int) and not isinstance(v, bool) for v in values)
        short = all(len(str(value)) <= 40 for value in values)
        if not path or not plain or not short or len(values) < _EVERYWHERE * len(places):
            continue
        if not 1 < len(set(values)) <= min(_MOST, max(2, len(values) // 2)):
            continue
        words = {*words_of(path[-1]), "".join(words_of(path[-1]))}
        named = bool(words & vocabulary().discriminators)
        difference = _differ(places, told) + (0.15 if named else 0)
        score = (difference, -len(path), path)
        if difference >= _LEAST_DIFFERENCE and (best is None or score > best):
            best = score
    return best[2] if best is not None else None


def _differ(places: Sequence[dict[tuple[str, ...], Any]], told: Sequence[Any]) -> float:
    """How different the places of the groups are: 0 for the same, 1 for none in common."""
    groups: dict[Any, set[tuple[str, ...]]] = {}
    for place, value in zip(places, told, strict=True):
        groups.setdefault(value, set()).update(place)
    if len(groups) < 2:
        return 0.0
    sets = list(groups.values())
    likes = [_likeness(a, b) for i, a in enumerate(sets) for b in sets[i + 1 :]]
    return 1 - sum(likes) / len(likes)


def _likeness(a: set[tuple[str, ...]], b: set[tuple[str, ...]]) -> float:
    return len(a & b) / max(len(a | b), 1)


def _by_presence(
    messages: Sequence[Message], places: Sequence[dict[tuple[str, ...], Any]]
) -> list[Group]:
    """Groups of messages with mostly the same places, each known by one that only it has."""
    clusters: list[tuple[set[tuple[str, ...]], list[int]]] = []
    for i, place in enumerate(places):
        keys = set(place)
        home = next((c for c in clusters if _likeness(c[0], keys) >= _ALIKE), None)
        if home is None:
            clusters.append((keys, [i]))
        else:
            home[0].update(keys)
            home[1].append(i)
    if not 1 < len(clusters) <= _MOST:
        return []
    found = []
    for keys, members in clusters:
        common = set.intersection(*(set(places[i]) for i in members))
        others = set().union(*(other for other, _ in clusters if other is not keys))
        marks = common - others
        if not marks:
            return []
        ranked = [(_plainness(mark, [places[i][mark] for i in members]), mark) for mark in marks]
        told = told_path(min(ranked)[1])
        found.append(Group([messages[i] for i in members], {told: {"is": "present"}}))
    return found


def _plainness(path: tuple[str, ...], values: Sequence[Any]) -> tuple[bool, int, int]:
    """How plain a place tells what its messages are; the least is the plainest: a quantity."""
    each = Field(path, list(values))
    marks = is_status(each) or is_sequence(each) or time_words(each) is not None
    score = max(score_of(each, name, kind) for kind, names in BY_NAME.items() for name in names)
    return marks, -score, len(path)
