"""What is said of a flag code, in English as it stands here or in Chinese from ``zh.toml``.

A flag keeps its clause in the words of its day; these are found again clause by clause, and one
that the catalogue does not have any more is shown as it was written.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

if TYPE_CHECKING:
    from gateway.checks.catalogue.info import CheckInfo

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
_BETWEEN: Final = "; "
_BETWEEN_ZH: Final = "；"


class Meaning(msgspec.Struct, frozen=True):
    """What a code means, in one language; ``evidence`` explains its keys."""

    title: str
    doc: str
    tolerance: str
    evidence: dict[str, str]


def meaning(info: CheckInfo, language: Language) -> Meaning:
    """What a code means."""
    if language == "en":
        return Meaning(info.en, info.doc, info.tolerance, info.evidence)
    chinese = _chinese()
    told = chinese["codes"][info.code]
    evidence = {key: chinese["evidence"][text] for key, text in info.evidence.items()}
    return Meaning(info.zh, told["doc"], told["tolerance"], evidence)


def clause(basis: str, language: Language) -> str:
    """The basis of a flag."""
    if language == "en":
        return basis
    known = _chinese()["clauses"]
    return _BETWEEN_ZH.join(known.get(each, each) for each in clauses(basis))


def clauses(basis: str) -> list[str]:
    """The clauses that a basis is made of, in English."""
    return basis.split(_BETWEEN)


@cache
def _chinese() -> dict[str, Any]:
    """The catalogue in Chinese; nothing that judges reads it."""
    return tomllib.loads(files(__package__).joinpath("zh.toml").read_text("utf-8"))
