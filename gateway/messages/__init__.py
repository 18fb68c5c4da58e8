"""Texts that people of a bureau read, in Chinese and English, from one catalogue.

``en.toml`` and ``zh.toml`` have the same keys, and a text's placeholders are the same in both; a
test holds them to it.
"""

from __future__ import annotations

import os
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")


class Texts:
    """The texts of one language: ``texts("flag.more", count=3)``.

    Args:
        language: of the texts.
    """

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._texts = _read(language)

    def __call__(self, key: str, **values: object) -> str:
        """A text with its placeholders filled in; KeyError where the catalogue has none."""
        return self._texts[key].format(**values)

    def word(self, family: str, word: str) -> str:
        """The text of a word of a closed list; the word itself where it has none."""
        return self._texts.get(f"{family}.{word}", word)

    def keys(self) -> Iterator[str]:
        """Every key, dotted."""
        return iter(self._texts)


def language(asked: str | None = None, environ: Mapping[str, str] | None = None) -> Language:
    """The language to speak: the one asked for, else the one of the locale, else English.

    Args:
        asked: ``en`` or ``zh``.
        environ: the environment; ``LC_ALL``, ``LC_MESSAGES`` and ``LANG`` are looked at in turn.
    """
    if asked == "zh":
        return "zh"
    if asked is not None:
        return "en"
    given = os.environ if environ is None else environ
    locale = next((given[n] for n in ("LC_ALL", "LC_MESSAGES", "LANG") if given.get(n)), "")
    return "zh" if locale.lower().startswith("zh") else "en"


@cache
def _read(name: Language) -> dict[str, str]:
    text = files(__name__).joinpath(f"{name}.toml").read_text("utf-8")
    return dict(_flat(tomllib.loads(text), ""))


def _flat(table: dict[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
