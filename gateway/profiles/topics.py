"""Which profiles a topic belongs to, and what its levels say."""

from __future__ import annotations

import re
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
    profile has; equal ones go by name.
    """

    def __init__(self, owners: Iterable[tuple[ProfileModel, Owner]]) -> None:
        patterns = []
        for model, owner in owners:
            for topic in model.match.topic if model.match else []:
                literal = sum(not level.startswith(("{", "#")) for level in topic.split("/"))
                looks = len(model.match.when) if model.match else 0
                patterns.append((-literal, -looks, model.profile, topic_pattern(topic), owner))
        patterns.sort(key=lambda entry: entry[:3])
        self._patterns = [(pattern, owner) for *_, pattern, owner in patterns]

    def find(self, topic: str) -> list[tuple[Owner, dict[str, str]]]:
        """Owners whose pattern the whole topic fits, with the topic's named levels."""
        found: list[tuple[Owner, dict[str, str]]] = []
        for pattern, owner in self._patterns:
            match = pattern.fullmatch(topic)
            if match is not None and all(owner is not seen for seen, _ in found):
                found.append((owner, match.groupdict()))
        return found
