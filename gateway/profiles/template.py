"""Templates of a device's identity: literal text, levels of the topic, values of the message."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from gateway.profiles.notation import Path, parse_path

_PART: Final = re.compile(r"\{([^{}]*)\}|([^{}]+)")


class TemplateError(ValueError):
    """A template cannot be read."""


class Part(NamedTuple):
    """One part: a ``literal``, a topic ``level`` by name, or a ``path`` into the message."""

    literal: str | None = None
    level: str | None = None
    path: Path | None = None


def parse_template(template: str, levels: set[str]) -> list[Part]:
    """``"{$.PtsId}-{Data.Pump}"`` as parts; a braced name of ``levels`` is a level of the topic.

    Raises:
        TemplateError: unbalanced or empty braces.
    """
    parts = []
    position = 0
    while position < len(template):
        match = _PART.match(template, position)
        if match is None or match[1] == "":
            raise TemplateError(f"cannot read the template {template!r} at {template[position:]!r}")
        if match[2] is not None:
            parts.append(Part(literal=match[2]))
        elif match[1] in levels:
            parts.append(Part(level=match[1]))
        else:
            try:
                parts.append(Part(path=parse_path(match[1])))
            except ValueError as error:
                raise TemplateError(str(error)) from error
        position = match.end()
    if not parts:
        raise TemplateError("the template is empty")
    return parts
