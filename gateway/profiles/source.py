"""YAML with positions: every fault can name its file, line and column.

Anchors, aliases and tags are refused: a profile is plain data, so that what a reader sees is what
is loaded and no small file can unfold into a large one.  Scalars are read by YAML 1.2.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Final

import yaml

MAX_BYTES: Final = 512 * 1024
MAX_DEPTH: Final = 32
_TAB: Final = "indent with spaces, not with a tab"
_HINTS: Final = {
    "mapping values are not allowed": "; quote a text with ': ' in it, or mend the indentation",
    "did not find expected node content": "; a value is missing: is it behind a '#'? Quote it",
    "found another document": "; a file is one profile: remove the '---' and what follows",
    "could not find expected ':'": "; a key lacks its colon, or the line's indentation is wrong",
    "did not find expected key": "; is the line indented as its neighbours?",
    "did not find expected '-'": "; is the line indented as its neighbours?",
}
"""What to do, by a part of the parser's words."""

Key = tuple[str | float, ...]
"""Keys of mappings and positions of lists, from the root on."""


class Fault:
    """One thing wrong with a profile: where (line 0: the file itself), the rule, what was got."""

    def __init__(self, file: Path, line: int, column: int, key: Key, message: str) -> None:
        self.file = file
        self.line = line
        self.column = column
        self.key = key
        self.message = message

    def __str__(self) -> str:
        at = ".".join(str(part) for part in self.key)
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{place}: {at + ': ' if at else ''}{self.message}"


class _Refused(Exception):
    def __init__(self, message: str, mark: Any) -> None:  # noqa: ANN401 - two C mark classes
        super().__init__(message)
        self.message = message
        self.mark = mark


class Source:
    """A parsed YAML file: ``data`` and where each key stands.

    Attributes:
        data: plain mappings, lists and scalars; empty mapping when the file has faults.  The root
            is a mapping; with ``lists`` it may be a list.
        faults: what is wrong with the file as YAML.
    """

    def __init__(self, file: Path, *, lists: bool = False) -> None:
        self.file = file
        self.faults: list[Fault] = []
        self._places: dict[Key, tuple[int, int]] = {}
        self.data: Any = {}
        try:
            text = file.read_bytes()
        except OSError as error:
            self._fault((), None, f"cannot be read: {error.strerror}")
            return
        if len(text) > MAX_BYTES:
            self._fault((), None, f"larger than {MAX_BYTES} bytes: split it")
            return
        try:
            self._check_events(text)
            node = yaml.compose(text, Loader=yaml.CSafeLoader)
        except _Refused as error:
            self._fault((), error.mark, error.message)
            return
        except yaml.MarkedYAMLError as error:
            self._not_yaml(error, text.decode(errors="replace"))
            return
        except yaml.YAMLError as error:
            self._fault((), None, f"not YAML: {' '.join(str(error).split())}")
            return
        if not isinstance(node, yaml.MappingNode) and not (
            lists and isinstance(node, yaml.SequenceNode)
        ):
            self._fault((), None, "expected a mapping such as 'profile: acme-m309'")
            return
        data = self._build(node, ())
        if not self.faults:
            self.data = data

    def _not_yaml(self, error: yaml.MarkedYAMLError, text: str) -> None:
        """What the parser stumbled over, in words for the file's author."""
        mark = error.problem_mark or error.context_mark
        problem, context = str(error.problem or error.context), str(error.context or "")
        if mark is not None and "cannot start any token" in problem:
            tab = text.split("\n")[mark.line][mark.column :].startswith("\t")
            problem += "; " + (_TAB if tab else "quote a text that begins with % @ or `")
        elif "quoted scalar" in context and error.context_mark is not None:
            mark, problem = error.context_mark, "this quotation mark is not closed"
        elif error.context_mark is not None and context.endswith(("flow mapping", "flow sequence")):
            at = error.context_mark
            bracket = "{" if "mapping" in context else "["
            problem += (
                f"; is the '{bracket}' of line {at.line + 1}, column {at.column + 1} not closed, "
                "or does a text in it need quotation marks?"
            )
        else:
            problem += next((hint for word, hint in _HINTS.items() if word in problem), "")
        self._fault((), mark, f"not YAML: {problem}")
        lines = text.splitlines() or [""]
        fault = self.faults[-1]
        if fault.line > len(lines):  # the parser went on to the end: the last line is the nearest
            fault.line, fault.column = len(lines), len(lines[-1]) + 1

    def place(self, key: Key) -> tuple[int, int]:
        """Line and column of a key, or of the nearest key above it that the file has."""
        while key and key not in self._places:
            key = key[:-1]
        return self._places.get(key, (1, 1))

    def fault(self, key: Key, message: str) -> Fault:
        """A fault at this key of this file."""
        line, column = self.place(key)
        return Fault(self.file, line, column, key, message)

    def _fault(self, key: Key, mark: Any, message: str) -> None:  # noqa: ANN401
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        self.faults.append(Fault(self.file, line, column, key, message))

    def _check_events(self, text: bytes) -> None:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise _Refused(
                    "anchors and aliases (&, *) are not allowed; use 'extends'", event.start_mark
                )
            if getattr(event, "tag", None):
                raise _Refused(
                    "tags (!) are not allowed; quote a text that begins with '!'", event.start_mark
                )
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise _Refused(f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1

    def _build(self, node: yaml.Node, key: Key) -> Any:  # noqa: ANN401 - YAML is any data
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for i, item in enumerate(node.value):
                self._places[(*key, i)] = (item.start_mark.line + 1, item.start_mark.column + 1)
                items.append(self._build(item, (*key, i)))
            return items
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str | float, Any]:
        found: dict[str | float, Any] = {}
        for name_node, value_node in node.value:
            if not isinstance(name_node, yaml.ScalarNode):
                self._fault(key, name_node.start_mark, "a key must be a word")
                continue
            name = _scalar(name_node)
            if name is None:
                name = str(name_node.value)
            here: Key = (*key, name)
            self._places[here] = (name_node.start_mark.line + 1, name_node.start_mark.column + 1)
            if name in found:
                self._fault(here, name_node.start_mark, "this key stands twice")
            found[name] = self._build(value_node, here)
        return found


_NUMBER: Final = re.compile(
    r"(?P<whole>[-+]?(?:0|[1-9][0-9]{0,30}))|"
    r"[-+]?(?:0|[1-9][0-9]*)?\.?[0-9]+(?:[eE][-+]?[0-9]{1,4})?|[-+]?[0-9]+\.",
    re.ASCII,
)
_WORDS: Final = {"true": True, "false": False, "null": None, "~": None, "": None}


def _scalar(node: yaml.Node) -> str | bool | float | None:
    """A scalar by YAML 1.2: ``on``, ``no``, ``12:30`` and ``0123`` are texts, as devices send them.

    YAML 1.1 takes them for truth values, sixties and octal numbers.
    """
    text = str(node.value)
    if getattr(node, "style", None) in {"'", '"', "|", ">"}:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    match = _NUMBER.fullmatch(text)
    if match is None or (match["whole"] is None and re.match(r"[-+]?0[0-9]", text)):
        return text
    if match["whole"] is not None:
        return int(text)
    return float(text) if math.isfinite(float(text)) else text
