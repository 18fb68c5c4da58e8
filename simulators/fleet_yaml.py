"""A YAML file with the places of its keys, so that every fault can name file, line and column.

Scalars are read by YAML 1.2: ``no`` and ``12:30`` are texts.  Anchors, aliases and tags are
refused: what a reader sees is what is loaded, and no small file unfolds into a large one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

Key = tuple[str | int, ...]
"""Keys of mappings and positions of lists, from the root on."""

_MOST_BYTES: Final = 1024 * 1024
_DEEPEST: Final = 16
_WORDS: Final = {"true": True, "false": False, "null": None, "~": None, "": None}
_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_NUMBER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)?\.?[0-9]+(?:[eE][-+]?[0-9]{1,2})?", re.ASCII)


class Fault(ValueError):
    """One thing that is wrong with the file."""


class Places:
    """A parsed file.

    Attributes:
        data: plain mappings, lists and scalars.

    Raises:
        Fault: the file is no YAML, or has what is refused.
        OSError: it can't be read.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._places: dict[Key, tuple[int, int]] = {}
        text = Path(file).read_bytes()
        if len(text) > _MOST_BYTES:
            raise Fault(f"{file}: larger than {_MOST_BYTES} bytes")
        try:
            self._check(text)
            node = yaml.compose(text, Loader=yaml.CSafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            said = error.problem or error.context
            raise Fault(f"{file}{at}: not YAML: {said}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise Fault(f"{file}: not YAML: {' '.join(str(error).split())}") from None
        self.data: Any = {} if node is None else self._build(node, ())

    def say(self, key: Key, what: str) -> tuple[tuple[int, int], str]:
        """Line and column of a key, and ``file:line:column: a.b.0: what``.

        They are those of the nearest key above it where the file does not have it.
        """
        found = key
        while found and found not in self._places:
            found = found[:-1]
        line, column = self._places.get(found, (1, 1))
        named = ".".join(str(part) for part in key)
        return (line, column), f"{self.file}:{line}:{column}: " + (
            f"{named}: {what}" if named else what
        )

    def _refuse(self, mark: Any, what: str) -> Fault:  # noqa: ANN401 - two C mark classes
        return Fault(f"{self.file}:{mark.line + 1}:{mark.column + 1}: {what}")

    def _check(self, text: bytes) -> None:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise self._refuse(event.start_mark, "anchors and aliases (&, *) are not read")
            if getattr(event, "tag", None):
                raise self._refuse(event.start_mark, "tags (!) are not read: quote the text")
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > _DEEPEST:
                    raise self._refuse(event.start_mark, f"deeper than {_DEEPEST} levels")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1

    def _build(self, node: yaml.Node, key: Key) -> Any:  # noqa: ANN401 - YAML is any data
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for number, item in enumerate(node.value):
                self._note((*key, number), item)
                items.append(self._build(item, (*key, number)))
            return items
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name_node, value_node in node.value:
            if not isinstance(name_node, yaml.ScalarNode):
                raise self._refuse(name_node.start_mark, "a key must be a word")
            name = str(name_node.value)
            if name in found:
                raise self._refuse(name_node.start_mark, f"the key {name!r} stands twice")
            self._note((*key, name), name_node)
            found[name] = self._build(value_node, (*key, name))
        return found

    def _note(self, key: Key, node: yaml.Node) -> None:
        self._places[key] = (node.start_mark.line + 1, node.start_mark.column + 1)


def _scalar(node: yaml.Node) -> str | bool | float | None:
    text = str(node.value)
    if getattr(node, "style", None) in {"'", '"', "|", ">"}:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _WHOLE.fullmatch(text):
        return int(text)
    # 007 is a text: a code, not a number
    return float(text) if _NUMBER.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text) else text
