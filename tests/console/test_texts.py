"""The texts of the console: two catalogues alike, every text used, every word there."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from gateway.access.roles import PERMISSIONS, ROLES
from gateway.console.site import LANGUAGES, PAGES, texts
from gateway.flags.states import ACTIONS, STATUSES
from gateway.quantities import EVENTS, KINDS

ASSETS = Path(__file__).parents[2] / "gateway" / "console" / "assets"
SOURCE = "".join(file.read_text("utf-8") for file in sorted(ASSETS.rglob("*.js")))
WORDS = {
    "status": STATUSES,
    "severity": ("info", "minor", "major", "critical"),
    "do": ACTIONS,
    "happened": (
        *ACTIONS, "raised", "severity_raised", "condition_ended", "withdrawn", "gone",
    ),
    "kind": KINDS,
    "quantity": {quantity.name for of_kind in KINDS.values() for quantity in of_kind},
    "event": EVENTS,
    "business": ("transaction", "trip", "session"),
    "role": ROLES,
    "permission": PERMISSIONS,
    "nav": ("overview", *PAGES),
    "state": ("reporting", "silent", "never"),
}  # fmt: skip
"""Closed lists of the gateway, of which each word has its text."""
OPEN = {
    "reason", "verdict", "span", "stage-name", "audit", "audit-family", "dimension", "ledger",
    "gateway", "processing", "quality", "column", "error", "tile", "plot", "evidence", "ingest",
    "filter",
}  # fmt: skip
"""Families whose keys are also made from what the API says."""


def placeholders(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys_and_placeholders():
    one, other = (texts(language) for language in LANGUAGES)
    assert list(one) == list(other)
    for key, text in one.items():
        assert placeholders(text) == placeholders(other[key]), key
        assert text.strip() == text != ""
        assert other[key].strip() == other[key] != ""


@pytest.mark.parametrize("family", WORDS)
def test_every_word_of_a_closed_list_has_its_text(family):
    assert {f"{family}.{each}" for each in WORDS[family]} <= set(texts("en"))


def test_every_text_that_a_page_asks_for_is_there():
    asked = set(re.findall(r'\bt\(\s*"([^"]+)"', SOURCE))
    assert len(asked) > 150
    assert asked <= set(texts("en"))


def test_every_text_is_asked_for():
    for key in texts("en"):
        family, _, word = key.partition(".")
        if family in WORDS or family in OPEN:
            continue
        assert f'"{key}"' in SOURCE or f"`{family}.{word.split('-')[0]}-${{" in SOURCE, key


def test_chinese_is_chinese():
    plain = [key for key, text in texts("zh").items() if not re.search(r"[\u4e00-\u9fff]", text)]
    assert not plain
