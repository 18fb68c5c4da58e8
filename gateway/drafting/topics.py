"""Topics of unknown messages: which level names the device, and which the sort of message."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_PLAIN_LEVEL: Final = re.compile(r"v\d+|spBv1\.0|api\d*|mqtt\d*", re.IGNORECASE)
_MOST_SORTS: Final = 12
_SHORTEST_ID: Final = 2


@dataclass
class Topics:
    """Patterns that fit all topics.

    Attributes:
        patterns: one for each number of levels.
        levels: the named levels of each topic.
        device: the device level was found.
        sure: it differs among the topics, so that it is no mere guess.
        sort: whether a level tells the sort of message: ``{metric}``.
    """

    patterns: list[str]
    levels: dict[str, dict[str, str]] = field(default_factory=dict)
    device: bool = False
    sure: bool = False
    sort: bool = False


def patterns_of(
    topics: Sequence[str], identities: Mapping[str, set[str]], *, no_device: bool = False
) -> Topics:
    """The patterns of topics.

    Args:
        topics: each once.
        identities: by topic the identities that its messages tell.
        no_device: messages of one topic are of several devices.
    """
    by_length: dict[int, list[list[str]]] = {}
    for topic in topics:
        levels = topic.split("/")
        by_length.setdefault(len(levels), []).append(levels)
    parts = [_Group(group, identities, no_device=no_device) for group in by_length.values()]
    found = Topics([part.pattern for part in parts])
    found.device = all(part.device is not None for part in parts)
    found.sure = found.device and any(part.device in part.differing for part in parts)
    found.sort = all(part.sort is not None for part in parts)
    for part in parts:
        found.levels |= part.levels
    return found


class _Group:
    """Topics of one number of levels."""

    def __init__(
        self,
        topics: list[list[str]],
        identities: Mapping[str, set[str]],
        *,
        no_device: bool,
    ) -> None:
        self.topics = topics
        self.count = len(topics[0])
        self.columns = [{levels[i] for levels in topics} for i in range(self.count)]
        self.differing = [i for i, column in enumerate(self.columns) if len(column) > 1]
        self.device = None if no_device else self._device(identities)
        self.sort = self._sort()
        names = {}
        for i in self.differing:
            names[i] = f"level_{_LETTERS[i % 26]}"
        if self.sort is not None:
            names[self.sort] = "metric"
        if self.device is not None:
            names[self.device] = "device_id"
        first = topics[0]
        self.pattern = "/".join(
            f"{{{names[i]}}}" if i in names else first[i] for i in range(self.count)
        )
        self.levels = {
            "/".join(levels): {name: levels[i] for i, name in names.items()} for levels in topics
        }

    def _device(self, identities: Mapping[str, set[str]]) -> int | None:
        told = [
            i
            for i in range(self.count)
            if all(levels[i] in identities.get("/".join(levels), ()) for levels in self.topics)
        ]
        if told:
            return told[0]
        numbered = [i for i in self.differing if any(map(_has_digit, self.columns[i]))]
        if numbered:
            return max(numbered, key=lambda i: len(self.columns[i]))
        if len(self.differing) == 1 and not self._words(self.differing[0]):
            return self.differing[0]
        still = [i for i in range(self.count) if i not in self.differing]
        marked = [i for i in still if _looks_like_id(self.topics[0][i])]
        if marked:
            return max(
                marked, key=lambda i: (_has_digit(self.topics[0][i]), len(self.topics[0][i]))
            )
        # Names without digits: the level whose values each come with several of another level's.
        if len(self.differing) > 1:
            return max(self.differing, key=lambda i: (len(self.columns[i]), -i))
        return None

    def _words(self, level: int) -> bool:
        """Whether a level holds words rather than names of devices."""
        return all(
            value.replace("_", "").replace("-", "").isalpha() for value in self.columns[level]
        )

    def _sort(self) -> int | None:
        """The level that tells the sort of message: a few words, which come with each device."""
        found = [
            i
            for i in self.differing
            if i != self.device and self._words(i) and len(self.columns[i]) <= _MOST_SORTS
        ]
        return max(found, default=None)


def _has_digit(text: str) -> bool:
    return re.search(r"\d", text) is not None


def _looks_like_id(text: str) -> bool:
    return len(text) >= _SHORTEST_ID and _has_digit(text) and not _PLAIN_LEVEL.fullmatch(text)


_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
