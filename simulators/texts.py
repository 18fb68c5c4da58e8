"""All words for people, from one catalogue a language (``messages/en.toml``)."""

from __future__ import annotations

import os
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES: Final = ("en", "zh")


def language(asked: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The language to speak: the one asked for, else the terminal's, else English."""
    if asked:
        return asked
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            return "zh" if environment[name].startswith("zh") else "en"
    return "en"


@cache
def _catalogue(lang: str) -> dict[str, str]:
    with files("simulators").joinpath("messages", f"{lang}.toml").open("rb") as stream:
        return dict(_flat(tomllib.load(stream), ""))


def _flat(table: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    found = []
    for name, item in table.items():
        key = f"{prefix}{name}"
        found += _flat(item, f"{key}.") if isinstance(item, dict) else [(key, str(item))]
    return found


class Texts:
    """The texts of one language.

    Args:
        lang: ``en`` or ``zh``.
    """

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self._texts = _catalogue(lang)

    @property
    def keys(self) -> frozenset[str]:
        """All keys, dotted."""
        return frozenset(self._texts)

    def __call__(self, key: str, /, **facts: object) -> str:
        """The text under a key with its ``{places}`` filled.

        Raises:
            KeyError: no such key in this language: a fault of the catalogue.
        """
        text = self._texts[key]
        return text.format(**facts) if facts else text
