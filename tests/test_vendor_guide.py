"""The vendor guide says what is so: it is followed, its recipes hold, and it leaves no key out."""

import ast
import itertools
import re
from pathlib import Path

import pytest

from gateway.cases import run_cases
from gateway.checks.settings import MODELS
from gateway.key_reference import BEGIN, SECTIONS, renewed
from gateway.profiles import ProfileSet, formats, instrument, load_profiles, models
from gateway.profiles.notation import TIME_FORMS
from gateway.quantities import EVENTS, KINDS, STATUS_WORDS
from gateway.units import conversion, plain_conversions
from tests.compiled import KINDS as BASES
from tests.compiled import PROFILES
from tests.guides import Guide

ROOT = Path(__file__).parents[1]
GUIDE = Guide("README.md")
BY_HAND = GUIDE.text[: GUIDE.text.index(BEGIN)]
RECIPES = GUIDE.of("yaml")
WORDS = set(re.findall(r"`([^`\n]+)`", GUIDE.text))
PARTS = {part for word in WORDS for part in re.split(r"\W+", word)}
HEAD = """\
profile: recipe
version: 1.0.0
extends: kinds/{kind}
title: {{en: Recipe, zh: 范例}}
match: {{topic: "{topic}"}}
"""


def test_it_goes_as_the_guide_says(tmp_path):
    assert GUIDE.follow(tmp_path) >= 18


@pytest.mark.parametrize("text", RECIPES)
def test_the_cases_of_each_recipe_hold(text, tmp_path):
    head = re.match(r"# kind: ([\w-]+)(?:, topic: (\S+))?\n", text)
    assert head is not None, "a recipe says its kind"
    file = tmp_path / "recipe.yaml"
    topic = head[2] or "acme/{device_id}/up"
    file.write_text(HEAD.format(kind=head[1], topic=topic) + text, encoding="utf-8")
    found = load_profiles([BASES, file])
    results = run_cases(ProfileSet({"recipe": found.profiles["recipe"]}, found.bases), {})
    assert results
    assert [result.differences for result in results] == [()] * len(results)


def test_there_is_a_recipe_for_every_kind_of_trouble():
    assert len(RECIPES) >= 12
    named = {re.match(r"# kind: ([\w-]+)", text)[1].replace("-", "_") for text in RECIPES}
    assert named <= set(KINDS)
    assert len(named) >= 4


def test_the_reference_is_the_one_of_the_models():
    assert renewed(GUIDE.text) == GUIDE.text, "it is no longer: make docs"


@pytest.mark.parametrize(("title", "model"), SECTIONS, ids=str)
def test_every_key_has_its_row_and_its_meaning(title, model):
    rows = {row[0].strip("`"): row[2] for row in GUIDE.table(title)}
    keys = {field.alias or name for name, field in model.model_fields.items()}
    assert keys - rows.keys() == set()
    assert {key for key in keys if not rows[key]} == set()


@pytest.mark.parametrize("name", models.FORMATS)
def test_every_setting_of_a_format_has_its_row_and_its_meaning(name):
    rows = GUIDE.table("Settings of each format")
    first = next(i for i, row in enumerate(rows) if row[0] == f"`{name}`")
    own = itertools.takewhile(lambda row: row[0].startswith("·"), rows[first + 1 :])
    told = {row[0].strip("· `"): row[2] for row in own}
    model = models.FORMATS[name]
    shared = set(formats.Format.model_fields) | {"format"}
    keys = {field.alias or key for key, field in model.model_fields.items()} - shared
    assert told.keys() == keys
    assert all(told.values())


def test_every_model_of_a_profile_has_its_table():
    described = {model for _, model in SECTIONS} | set(models.FORMATS.values())
    for module in (models, instrument):
        for each in vars(module).values():
            if isinstance(each, type) and issubclass(each, module.Model) and each.model_fields:
                assert each in described, each.__name__


def test_every_word_that_may_be_used_is_named():
    assert set(STATUS_WORDS) - WORDS == set()
    assert set(TIME_FORMS) - WORDS == set()
    assert set(EVENTS) - WORDS == set()
    assert set(models.FORMATS) - WORDS == set()


def test_every_quantity_of_every_kind_is_named():
    for kind, quantities in KINDS.items():
        assert kind in WORDS
        assert {quantity.name for quantity in quantities} - WORDS == set()


def test_every_check_and_its_parameters_are_named():
    for code, model in MODELS.items():
        assert code in WORDS
        if "root" not in model.model_fields:
            assert set(model.model_fields) <= PARTS, code


def test_every_link_leads_somewhere():
    for name, anchor in re.findall(r"\]\((?!http)([\w.]*)(?:#([\w-]+))?\)", BY_HAND):
        text = (PROFILES / name).read_text(encoding="utf-8") if name else GUIDE.text
        heads = {
            re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-")
            for head in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        }
        assert not anchor or anchor in heads, f"{name}#{anchor}"


def test_every_unit_that_is_named_is_known():
    units = re.search(r"UCUM codes, case matters: (.*?), and any other", GUIDE.text, re.DOTALL)
    assert units is not None
    for code in re.findall(r"`([^`]+)`", units[1]):
        assert conversion(code, code).identity
        # Pint is slow to say what does not fit.
        plain = any(code in plain_conversions(canonical) for canonical in CANONICAL)
        assert plain or any(fits(code, canonical) for canonical in CANONICAL), code


CANONICAL = ["kWh", "kW", "kVA", "kvar", "kvar.h", "V", "A", "Hz", "m3", "m3/h", "Cel", "kPa", "km",
             "km/h", "s", "kg/m3", "%", "deg", "1/km", "1/L"]  # fmt: skip


def fits(code: str, canonical: str) -> bool:
    try:
        return conversion(code, canonical).numerator > 0
    except ValueError:
        return False


def test_every_reason_of_quarantine_is_explained_and_no_other():
    reasons = {"bad_device_id", "bad_channel"}
    for file in (ROOT / "gateway").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = getattr(getattr(call, "func", None), "id", None)
            if name == "DecodeError" and isinstance(call.args[0], ast.Constant):
                reasons.add(call.args[0].value)
    reasons |= {"no_reading", "absurd_number"}
    table = GUIDE.table("When a message goes to quarantine")
    assert {row[0].strip("`") for row in table} == reasons
