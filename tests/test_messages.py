"""Texts in two languages: the same keys, the same placeholders, and the right language."""

import string
from pathlib import Path

import pytest

from gateway.flags.states import ACTIONS, STATUSES
from gateway.messages import LANGUAGES, Texts, language
from gateway.quality.dimensions import Counts
from gateway.quantities import BY_NAME, KINDS
from gateway.records import Certificate, Device, Owner, Site

QUANTITIES = {name for quantities in BY_NAME.values() for name in quantities}


def placeholders(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys_and_placeholders():
    one, other = (Texts(name) for name in LANGUAGES)
    assert list(one.keys()) == list(other.keys())
    for key in one.keys():  # noqa: SIM118 - no mapping
        assert placeholders(one._texts[key]) == placeholders(other._texts[key]), key
        assert one._texts[key].strip() == one._texts[key] != ""
        assert other._texts[key].strip() == other._texts[key] != ""


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_status_and_every_decision_has_its_word(name):
    keys = set(Texts(name).keys())
    assert {f"status.{status}" for status in STATUSES} <= keys
    assert {f"action.{action}" for action in ACTIONS} <= keys


def _made(key):
    """Whether a key is put together from the name of a field of the registry."""
    fields = {
        "certificate": Certificate.__struct_fields__,
        "owner": Owner.__struct_fields__,
        "site": Site.__struct_fields__,
    }
    record, _, field = key.partition(".")[2].partition("_")
    return field in fields.get(record, ())


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_kind_quantity_and_field_of_a_device_has_its_word(name):
    keys = set(Texts(name).keys())
    assert {f"kind.{kind}" for kind in KINDS} <= keys
    assert {f"quantity.{name}" for name in QUANTITIES} <= keys
    registered = set(Device.__struct_fields__) - {"device_id", "parameters"}
    assert {f"registered.{field}" for field in registered} <= keys


def test_every_text_is_used():
    sources = "".join(
        file.read_text("utf-8") for file in (Path(__file__).parents[1] / "gateway").rglob("*.py")
    )
    families = (
        "status", "severity", "action", "column", "dimension", "role", "event", "kind", "span",
        "holds", "result", "registered", "demo",
    )  # fmt: skip
    for key in Texts("en").keys():  # noqa: SIM118 - no mapping
        family, _, word = key.partition(".")
        if family == "quantity":
            assert word in QUANTITIES, key
        elif family == "counted":
            assert word in {*Counts.__struct_fields__, "expected"}, key
        elif key.startswith(("evidence.", "district.")):
            assert f'"{word}"' in sources or f'"{key}"' in sources or _made(key), key
        else:
            assert f'"{word if family in families else key}"' in sources, key
    words = {f"counted.{name}" for name in (*Counts.__struct_fields__, "expected")}
    assert words <= set(Texts("en").keys())


def test_a_text_is_filled_in_and_an_unknown_word_stands_for_itself():
    texts = Texts("zh")
    assert texts("flag.decided", count=3, action="确认") == "3 条标记：确认"
    assert texts.word("status", "nonsense") == "nonsense"
    with pytest.raises(KeyError):
        texts("flag.nonsense")


@pytest.mark.parametrize(
    ("asked", "environ", "spoken"),
    [
        ("zh", {}, "zh"),
        ("en", {"LANG": "zh_CN.UTF-8"}, "en"),
        (None, {"LANG": "zh_CN.UTF-8"}, "zh"),
        (None, {"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        (None, {"LANG": "de_DE", "LC_ALL": "", "LC_MESSAGES": "zh_TW"}, "zh"),
        (None, {}, "en"),
    ],
)
def test_the_language_is_the_one_asked_for_else_of_the_locale(asked, environ, spoken):
    assert language(asked, environ) == spoken
