"""YAML as a person would write it: short mappings on one line, texts quoted where they must be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from gateway.profiles.doc import told_path
from gateway.profiles.notation import ITEMS, VALUES, Select, parse_path

WIDTH: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")


def quoted(value: Any) -> str:  # noqa: ANN401 - any scalar
    """A scalar on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    shown = yaml.safe_dump(text, width=10**9, allow_unicode=True, default_flow_style=True)
    plain = shown.removesuffix("\n").removesuffix("\n...")
    risky = any(sign in plain for sign in "{}[],:#&*!|>%@`") or plain != plain.strip()
    if risky and not plain.startswith(("'", '"')):
        return "'" + text.replace("'", "''") + "'"
    return plain if plain.startswith(("'", '"')) or not _looks_like_data(plain) else f"'{plain}'"


_WORDS: Final = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))


def _looks_like_data(text: str) -> bool:
    return re.fullmatch(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?|~|", text) is not None


def flow(value: Any) -> str:  # noqa: ANN401 - any data
    """Data on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quoted(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return quoted(value)


def entry(key: str, value: Any, indent: int, comment: str = "") -> list[str]:  # noqa: ANN401
    """``key: value``, broken into lines where it is too long for one."""
    pad = " " * indent
    line = f"{pad}{key}: {flow(value)}{comment}"
    if len(line) <= WIDTH or not isinstance(value, Mapping) or not value:
        return [line]
    lines = [f"{pad}{key}:{comment}"]
    for inner, part in value.items():
        lines += entry(quoted(inner), part, indent + 2)
    return lines


def path_text(path: Sequence[str | int | Select]) -> Any:  # noqa: ANN401 - text or list
    """A path as a profile says it: dotted where that reads back the same, else a list."""
    text = told_path(tuple(path))
    if any(part in (ITEMS, VALUES) for part in path):
        return text
    try:
        if parse_path(text) == tuple(_choices(part) for part in path):
            return text
    except ValueError:
        pass
    return [
        {key: choices[0] for key, choices in part.wanted} if isinstance(part, Select) else part
        for part in path
    ]


def _choices(part: str | int | Select) -> str | int | Select:
    """A selection as its text would be read: a number may be meant as number or as text."""
    if not isinstance(part, Select):
        return part
    read = parse_path(f"x{part}")[1] if _selectable(part) else part
    return read if isinstance(read, Select) else part


def _selectable(part: Select) -> bool:
    try:
        parse_path(f"x{part}")
    except ValueError:
        return False
    return True
