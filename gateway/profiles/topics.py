"""Which profiles a topic belongs to, and what its levels say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Generic, TypeVar

from gateway.profiles.models import ProfileModel

Owner = TypeVar("Owner")


def topic_pattern(topic: str) -> re.Pattern[str]:
    """The regular expression of a topic with named levels; ``#`` is any levels or none."""
    levels = []
    rest = topic.removesuffix("#").removesuffix("/")
    for level in rest.split("/") if rest else []:
        if level.startswith("{"):
            levels.append(f"(?P<{level[1:-1]}>[^/]+)")
        else:
            levels.append(re.escape(level))
    text = "/".join(levels)
    if topic.endswith("#"):
        text += "(?:/.*)?" if rest else ".*"
    return re.compile(text, re.DOTALL)


def topic_levels(model: ProfileModel) -> set[str]:
    """Names that every topic of the profile gives."""
    topics = model.match.topic if model.match else []
    named = [set(topic_pattern(topic).groupindex) for topic in topics]
    return set.intersection(*named) if named else set()


class Topics(Generic[Owner]):
    """Topic patterns and their owners, the most specific first.

    A pattern is more specific the more literal levels it has, then the more conditions its
    profile has; equal ones go by name.  Each is filed under the one of its literal levels that the
    fewest share, so that a topic is held against few of them.
    """

    def __init__(self, owners: Iterable[tuple[ProfileModel, Owner]]) -> None:
        patterns = []
        for model, owner in owners:
            for topic in model.match.topic if model.match else []:
                literals = _literals(topic)
                looks = len(model.match.when) if model.match else 0
                order = (-len(literals), -looks, model.profile)
                patterns.append((order, literals, topic_pattern(topic), owner))
        patterns.sort(key=lambda entry: entry[0])
        shared = Counter(place for _, literals, _, _ in patterns for place in literals)
        self._patterns = [(pattern, owner) for _, _, pattern, owner in patterns]
        self._filed: dict[tuple[int, str] | None, list[int]] = {}
        for rank, (_, literals, _, _) in enumerate(patterns):
            place = min(literals, key=lambda each: shared[each], default=None)
            self._filed.setdefault(place, []).append(rank)

    def find(self, topic: str) -> list[tuple[Owner, dict[str, str]]]:
        """Owners whose pattern the whole topic fits, with the topic's named levels."""
        filed = self._filed
        ranks = list(filed.get(None, ()))
        for place in enumerate(topic.split("/")):
            ranks += filed.get(place, ())
        found: list[tuple[Owner, dict[str, str]]] = []
        for rank in sorted(ranks):
            pattern, owner = self._patterns[rank]
            match = pattern.fullmatch(topic)
            if match is not None and all(owner is not seen for seen, _ in found):
                found.append((owner, match.groupdict()))
        return found


def _literals(topic: str) -> list[tuple[int, str]]:
    """The levels that a pattern says by themselves, with their places."""
    levels = enumerate(topic.split("/"))
    return [(place, level) for place, level in levels if not level.startswith(("{", "#"))]
