"""Fills the settings from flags, environment and TOML, and says everything that is wrong at once.

Flags win over the environment, the environment over the file.  A fault names its key and where
the value came from.  Relative paths of a file count from that file.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from gateway.config import LISTS, PREFIX, Settings, table
from gateway.config_tables import table_in
from gateway.errors import ConfigError
from gateway.log import without_userinfo

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails


_HIDDEN: Final = ("password", "token", "secret", "webhook.url")


def load(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Reads settings from flags, environment and file.

    Args:
        path: the TOML file, or None for none.
        flags: a tree like the file's, of what was given on the command line.

    Raises:
        ConfigError: every fault, one a line.
    """
    text, tree = _read(path)
    given = dict(flags or {})

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del settings_cls, dotenv_settings, file_secret_settings
            return (init_settings, env_settings, _FileSource(cls, tree))

    stray = _stray_variables()
    try:
        settings = FromFile(**given)
    except ValidationError as error:
        places = _Places(path, text, given)
        faults = [places.describe(detail) for detail in error.errors(include_url=False)]
        raise ConfigError("\n".join(faults + stray)) from None
    except ValueError as error:  # a variable that should be JSON and is not
        raise ConfigError("\n".join([f"environment: {error}", *stray])) from None
    if stray:
        raise ConfigError("\n".join(stray))
    return Settings.model_construct(
        **{name: getattr(settings, name) for name in Settings.model_fields}
    )


class _FileSource(PydanticBaseSettingsSource):
    """What the file says, lowest in rank."""

    def __init__(self, settings_cls: type[BaseSettings], tree: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._tree = tree

    def get_field_value(self, field: object, field_name: str) -> tuple[Any, str, bool]:
        del field
        return self._tree.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._tree


def _read(path: Path | None) -> tuple[str, dict[str, Any]]:
    if path is None:
        return "", {}
    try:
        text = path.read_text("utf-8")
        tree = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    _from_file(Settings, tree, path.resolve().parent)
    return text, tree


def _from_file(model: type[BaseModel], tree: dict[str, Any], base: Path) -> None:
    """Makes relative paths count from the file's directory."""
    for name, field in model.model_fields.items():
        value = tree.get(name)
        if name in LISTS and isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    _from_file(LISTS[name], item, base)
        elif isinstance(value, dict) and (held := table_in(field.annotation)) is not None:
            _from_file(held, value, base)
        elif "Path" in str(field.annotation):
            if isinstance(value, str):
                tree[name] = str(base / value)
            elif isinstance(value, list):
                tree[name] = [str(base / v) if isinstance(v, str) else v for v in value]


def _stray_variables() -> list[str]:
    """Faults of ``GATEWAY_A__B`` variables that set nothing.

    Only those with ``__`` are ours for certain: Kubernetes makes GATEWAY_PORT and the like for a
    service that is called gateway.
    """
    known = [row.variable for row in table() if row.variable]
    faults = []
    for variable in sorted(os.environ):
        root, nested, _ = variable.upper().removeprefix(PREFIX).partition("__")
        # Below a table that exists, the table itself refuses what it does not know.
        if nested and variable.startswith(PREFIX) and root.lower() not in Settings.model_fields:
            faults.append(f"environment {variable}: unknown setting; {_hint(variable, known)}")
    return faults


def _hint(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


class _Places:
    """Says where a faulty value came from."""

    def __init__(self, path: Path | None, text: str, flags: Mapping[str, Any]) -> None:
        self._path = path
        self._lines = _key_lines(text)
        self._flags = flags

    def describe(self, detail: ErrorDetails) -> str:
        """One fault as one line: where, key, which rule, what was got."""
        loc = tuple(detail["loc"])
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)[1:]
        if detail["type"] == "extra_forbidden":
            known = list(_model_at(loc[:-1]).model_fields)
            return f"{self._where(loc)}: {key}: unknown setting; {_hint(str(loc[-1]), known)}"
        rule = detail["msg"].removeprefix("Value error, ")
        got = ""
        value = detail["input"]
        shown = isinstance(value, (str, int, float)) and not any(word in key for word in _HIDDEN)
        if shown and detail["type"] != "value_error":
            got = f", got {without_userinfo(repr(value))}"[:100]
        return f"{self._where(loc)}: {key}: {rule}{got}"

    def _where(self, loc: tuple[int | str, ...]) -> str:
        node: Any = self._flags
        for part in loc:
            node = node.get(part) if isinstance(node, Mapping) else None
        if node is not None:
            return "command line"
        for end in range(len(loc), 0, -1):
            variable = PREFIX + "__".join(str(part).upper() for part in loc[:end])
            if any(name.upper() == variable for name in os.environ):
                return f"environment {variable}"
        for end in range(len(loc), 0, -1):
            if loc[:end] in self._lines:
                return f"{self._path}:{self._lines[loc[:end]]}"
        return str(self._path) if self._path else "settings"


def _model_at(loc: tuple[int | str, ...]) -> type[BaseModel]:
    model: type[BaseModel] = Settings
    for part in loc:
        if part in LISTS and model is Settings:
            model = LISTS[str(part)]
        elif isinstance(part, str):
            model = table_in(model.model_fields[part].annotation) or model
    return model


def _key_lines(text: str) -> dict[tuple[int | str, ...], int]:
    """The line of each table and plain key: good enough to point at it, not a TOML parser."""
    lines: dict[tuple[int | str, ...], int] = {}
    seen: dict[tuple[int | str, ...], int] = {}
    table_: tuple[int | str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([\w.\-]+)\s*\]", line):
            table_ = tuple(header[2].split("."))
            if header[1] == "[" and table_[:1] in seen:  # a table of the last of a list
                table_ = (table_[0], seen[table_[:1]], *table_[1:])
            if header[1] == "[[":
                seen[table_] = seen.get(table_, -1) + 1
                lines.setdefault(table_, number)
                table_ = (*table_, seen[table_])
            lines[table_] = number
        elif key := re.match(r"\s*([\w\-]+)\s*=", line):
            lines[(*table_, key[1])] = number
    return lines
