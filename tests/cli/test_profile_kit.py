"""Pages, schema and traces of profiles."""

import json

import jsonschema
import pytest

from gateway.profiles.schema import profile_schema
from gateway.profiles.source import Source
from tests.compiled import PROFILES
from tests.profiles.test_load import CASES

FILES = [path for path in sorted(PROFILES.rglob("*.yaml")) if "reference/" not in str(path)]
SALES = """\
profile: acme-pump
version: 1.0.0
extends: kinds/fuel-dispenser
title: {en: ACME pump, zh: 甲加油机}
instrument: {vendor: ACME, model: P1}
caveats: [{text: The clock drifts., link: "https://example.org/p1"}]
match: {topic: "acme/{device_id}"}
read:
  each: sales
  event: transaction
  channel: {from: nozzle}
  measured_at: {from: at, time: epoch_s}
  volume: {from: ml, unit: mL}
  amount: {product: [litres, "$.price"], scale: 0.01}
tests:
  - note: Two sales.
    payload:
      price: 700
      sales:
        - {nozzle: 1, at: 1767225600, ml: 20500, litres: 20.5}
        - {nozzle: 2, at: 1767225601, ml: 1000, litres: 1}
    expect: [{volume: 20.5 L}, {volume: 1 L, amount: 7}]
"""


@pytest.fixture
def pump(tmp_path):
    path = tmp_path / "profiles" / "acme-pump.yaml"
    path.parent.mkdir()
    path.write_text(SALES, encoding="utf-8")
    return path.parent


@pytest.fixture
def sale(tmp_path):
    path = tmp_path / "sale.json"
    path.write_text(
        '{"price": 700, "sales": [{"nozzle": 1, "at": 1767225600, "ml": 20500, "litres": 20.5},'
        '{"nozzle": 2, "at": 1767225601, "ml": 1000, "litres": 1}]}'
    )
    return path


def test_each_output_is_traced_to_its_place(gateway, pump, sale):
    result = gateway("profile", "explain", "acme-pump", sale, "--profiles", pump, "--json")
    assert result.exit_code == 0
    first, second = json.loads(result.stdout)["readings"]
    assert (first["channel"], second["channel"]) == ("1", "2")
    volume, amount = second["outputs"][1:]
    assert volume == {
        "name": "volume", "value": 1.0, "unit": "L", "place": "sales[1].ml", "raw": 1000,
        "rule": "mL to L",
    }  # fmt: skip
    assert amount["place"] == "sales[1].litres, price"
    assert (amount["raw"], amount["value"]) == ([1, 700], 7.0)
    assert amount["rule"] == "product, × 0.01"


def test_a_trace_for_a_person_names_unit_and_place(gateway, pump, sale):
    told = gateway("profile", "explain", "acme-pump", sale, "--profiles", pump).stdout
    assert "sales[0].ml" in told
    assert "mL to L" in told
    assert "2026-01-01T" in told


def test_a_message_that_the_profile_refuses_is_told_and_ends_with_1(gateway, pump, tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_text('{"price": 1, "sales": [{"nozzle": 1}]}')
    result = gateway("profile", "explain", "acme-pump", broken, "--profiles", pump)
    assert result.exit_code == 1
    assert "missing_field" in result.stderr


def test_a_page_says_what_is_read_from_where(gateway, pump):
    page = gateway("profile", "doc", "acme-pump", "--profiles", pump).stdout
    assert page.startswith("# ACME pump\n")
    assert "| volume (L) | `ml` | mL |" in page
    assert "product of `litres`, `$.price`" in page
    assert "[The clock drifts.](https://example.org/p1)" in page
    assert "Two sales." in page


def test_pages_and_an_index_are_written_into_a_folder(gateway, pump, tmp_path):
    folder = tmp_path / "pages"
    assert gateway("profile", "doc", "--profiles", pump, "-o", folder).exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["acme-pump.md", "index.md"]
    index = (folder / "index.md").read_text()
    assert "1 models, 1 profiles, 1 cases." in index
    assert "| `acme-pump` | ACME | P1 | json | volume, amount | 1 |" in index


def test_a_page_of_a_profile_that_is_not_there_hints_at_the_near_one(gateway, pump):
    result = gateway("profile", "doc", "acme-pum", "--profiles", pump)
    assert result.exit_code == 2
    assert "did you mean 'acme-pump'?" in result.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_profile_holds_the_schema(file):
    jsonschema.Draft202012Validator(profile_schema()).validate(Source(file).data)


@pytest.mark.parametrize("name", ["unknown-key", "unit-as-number", "event-unknown", "unknown-kind"])
def test_the_schema_finds_mistakes_of_form(name):
    data = Source(CASES / name / "profile.yaml").data
    assert not jsonschema.Draft202012Validator(profile_schema()).is_valid(data)


def test_the_schema_is_printed_and_names_the_quantities(gateway):
    told = json.loads(gateway("profile", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(told)
    assert "energy_import" in told["$defs"]["Block"]["properties"]
