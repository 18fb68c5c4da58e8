"""Pages, schema and traces of profiles."""

import json

import jsonschema
import pytest
import yaml

from gateway.profiles.models import FORMATS
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
    outputs = {output["name"]: output for output in second["outputs"]}
    assert list(outputs) == ["device_id", "channel", "measured_at", "volume", "amount"]
    volume, amount = outputs["volume"], outputs["amount"]
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


def test_places_that_no_rule_reads_are_told(gateway, pump, tmp_path):
    sale = tmp_path / "sale.json"
    sale.write_text(
        '{"price":700,"site":"S7","sales":[{"nozzle":1,"at":1767225600,"ml":20500,"litres":20.5,'
        '"grade":{"no":95}}]}'
    )
    told = json.loads(
        gateway("profile", "explain", "acme-pump", sale, "--profiles", pump, "--json").stdout
    )
    assert (told["unread"], told["bytes"]) == (["site", "sales[0].grade.no"], [])
    shown = gateway("profile", "explain", "acme-pump", sale, "--profiles", pump).stdout
    assert "not read by acme-pump:\n  site: S7\n  sales[0].grade.no: 95\n" in shown


def test_bytes_are_traced_to_the_outputs(gateway, tmp_path):
    file = tmp_path / "frame.hex"
    file.write_text("6861010000000068910833333433593333338a16")
    shown = gateway("profile", "explain", "dlt645-2007-meter", file, "--hex").stdout
    assert "energy_import" in shown
    assert "20 bytes, each of them is read" in shown


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
    assert "| Fuel dispensers 加油机 | 1 | 1 | 1 | json |" in index
    assert "| [acme-pump](acme-pump.md) | ACME P1 | json | volume, amount | 1 |" in index


def test_a_page_of_a_profile_that_is_not_there_hints_at_the_near_one(gateway, pump):
    result = gateway("profile", "doc", "acme-pum", "--profiles", pump)
    assert result.exit_code == 2
    assert "did you mean 'acme-pump'?" in result.stderr


SCHEMA = jsonschema.Draft202012Validator(profile_schema())


def as_json(data):
    """As an editor has it: every key is a text."""
    return json.loads(json.dumps(data))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_profile_holds_the_schema(file):
    SCHEMA.validate(as_json(Source(file).data))


@pytest.mark.parametrize("name", ["unknown-key", "unit-as-number", "event-unknown", "unknown-kind"])
def test_the_schema_finds_mistakes_of_form(name):
    assert not SCHEMA.is_valid(as_json(Source(CASES / name / "profile.yaml").data))


CHILD = {
    "profile": "acme-x1", "version": "1.0.0", "extends": ["kinds/water-meter", "families/x"],
    "title": {"en": "ACME X1", "zh": "ACME X1"},
}  # fmt: skip
FIELD = "format: binary, seq: "


@pytest.mark.parametrize(
    "part",
    [
        "decode: {checksum: required}",
        "decode: {layout: kaifa}",
        "decode: {envelope: lorawan}",
        "decode: {envelope: {encoding: hex}}",
        "decode: {max_bytes: 4096, zone: Europe/Dublin}",
        "decode: {items: {'04001501': XXXX.XX}}",
        "decode: {seq: [{id: a, type: u1}]}",
        "decode: {enums: {state: {'0': open, '0x01': closed, _: other}}}",
        "decode: {format: dlms, layout: kaifa}",
        "decode: {format: ts013, codec: x1.js}",
        "decode: {format: binary, seq: [{contents: [0x68, 0x01]}, {contents: '68 01'}]}",
        "decode: {format: binary, seq: [{id: a, type: u2be, absent: 0xFFFF, valid: [0, 0x7F]}]}",
        "decode: {format: binary, seq: [{type: {switch-on: _port, cases: {1: [], 2..9: t}}}]}",
        "decode: {types: {channel: {cases: {0x0397: [{id: charge, type: u4}]}}}}",
        "decode: {format: binary, types: {t: {seq: [], instances: {a: 1 + 1, b: {value: a}}}}}",
        "read: {measured_at: {zone: Asia/Shanghai}, volume: {unit: L}}",
        "read: {status: {bits: {3: leak}}, volume: {unit: {default: L}}}",
        "match: {when: {type: [1, 2], a.b: {is: present}}}",
        "tests: [{payload: {a: 1}, expect: {volume: 1 m3, device_id: x}}]",
    ],
)
def test_a_part_that_a_base_completes_holds_the_schema(part):
    SCHEMA.validate(as_json({**CHILD, **yaml.safe_load(part)}))


@pytest.mark.parametrize(
    "part",
    [
        "decode: {format: dlsm}",
        "decode: {formt: dlms}",
        "decode: {checksum: always}",
        "decode: {layout: kaifas}",
        "decode: {envelope: lorawn}",
        "decode: {envelope: {encoding: base32}}",
        "decode: {max_bytes: 0}",
        "decode: dlms",
        "decode: {format: dlms, checksum: required}",
        "decode: {format: json, layout: kaifa}",
        "decode: {format: cjt188, flow_decimals: two}",
        "decode: {items: {abc: XXXX.XX}}",
        f"decode: {{{FIELD}[{{id: a, typ: u1}}]}}",
        f"decode: {{{FIELD}[{{id: a b, type: u1}}]}}",
        f"decode: {{{FIELD}[{{id: a, type: u-1}}]}}",
        f"decode: {{{FIELD}[{{id: a, type: u1, endian: middle}}]}}",
        f"decode: {{{FIELD}[{{contents: [256]}}]}}",
        f"decode: {{{FIELD}[{{contents: '6'}}]}}",
        f"decode: {{{FIELD}[{{id: a, type: u1, repeat: always}}]}}",
        f"decode: {{{FIELD}[{{id: a, type: {{switch: 1, cases: {{1: u1}}}}}}]}}",
        f"decode: {{{FIELD}[{{id: a, type: {{switch-on: 1}}}}]}}",
        f"decode: {{{FIELD}[{{type: checksum, algorithm: crc16}}]}}",
        f"decode: {{{FIELD}[]}}",
        "decode: {enums: {state: {one: open}}}",
        "decode: {types: {t: {sequence: []}}}",
        "decode: {types: {'a b': []}}",
        "read: {volum: {from: v, unit: L}}",
        "read: {volume: {from: v, units: L}}",
        "read: {volume: {from: v, unit: {from: u, unit: L}}}",
        "read: {measured_at: {from: t, time: epoch}}",
        "read: {status: {from: s, bits: {3: leek}}}",
        "match: {when: {type: {iz: present}}}",
        "registers: [volum]",
        "checks: {sequnce_gap: false}",
        "tests: [{payload: {a: 1}, expect: {volum: 1 m3}}]",
        "extends: null\nkind: water_meter",
    ],
)
def test_a_wrong_key_or_value_is_found_by_the_schema(part):
    assert not SCHEMA.is_valid(as_json({**CHILD, **yaml.safe_load(part)}))


def test_a_profile_without_a_base_says_all_by_itself():
    alone = {key: value for key, value in CHILD.items() if key != "extends"}
    whole = {
        **alone, "kind": "water_meter", "match": {"topic": "{device_id}"},
        "read": {"volume": {"from": "v", "unit": "L"}},
    }  # fmt: skip
    assert SCHEMA.is_valid(whole)
    for key in ("kind", "match", "read", "title", "version", "profile"):
        assert not SCHEMA.is_valid({k: v for k, v in whole.items() if k != key}), key
    assert SCHEMA.is_valid({**alone, "abstract": True})
    # Without a base and a format the payload is JSON, which has no layout.
    assert SCHEMA.is_valid({**whole, "decode": {"max_bytes": 100}})
    assert not SCHEMA.is_valid({**whole, "decode": {"layout": "kaifa"}})


def test_an_editor_is_told_what_each_key_means():
    schema = profile_schema()
    places = {"": schema, **schema["$defs"]}
    places = {name: place["properties"] for name, place in places.items() if "properties" in place}
    assert {FORMATS["binary"].__name__, "Block", "Quantity", "BinaryField"} <= set(places)
    bare = [
        f"{name}.{key}"
        for name, properties in places.items()
        for key, place in properties.items()
        if place is not True and "description" not in place and "$ref" not in place
    ]
    assert bare == []


def test_the_schema_is_printed_and_names_the_quantities(gateway):
    told = json.loads(gateway("profile", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(told)
    assert "energy_import" in told["$defs"]["Block"]["properties"]


NESTED = """\
profile: acme-nested
version: 1.0.0
extends: kinds/water-meter
title: {en: ACME, zh: ACME}
match: {topic: "acme/{device_id}"}
read:
  each: "sites.*.meters"
  device_id: "{^.*}-{no}"
  measured_at: {from: $.at, time: epoch_s}
  volume: {from: m3, unit: m3}
tests: [{payload: '{"at":1767225600,"sites":{"S1":{"meters":[{"no":1,"m3":5}]}}}', expect: {}}]
"""


def test_an_item_of_an_item_is_traced_to_its_place(gateway, tmp_path):
    profile = tmp_path / "acme-nested.yaml"
    profile.write_text(NESTED.replace("expect: {}", "expect: {volume: 5 m3}"))
    message = tmp_path / "message.json"
    message.write_text(
        '{"at":1767225600,"sites":{"S1":{"meters":[{"no":1,"m3":5},{"no":2,"m3":6}]},'
        '"S2":{"meters":[{"no":1,"m3":7,"x":0}]}}}'
    )
    told = json.loads(
        gateway(
            "profile", "explain", "acme-nested", message, "--profiles", profile, "--json"
        ).stdout
    )
    volumes = [reading["outputs"][-1] for reading in told["readings"]]
    assert [(v["place"], v["raw"]) for v in volumes] == [
        ("sites.S1.meters[0].m3", 5), ("sites.S1.meters[1].m3", 6), ("sites.S2.meters[0].m3", 7),
    ]  # fmt: skip
    assert told["unread"] == ["sites.S2.meters[0].x"]
    page = gateway("profile", "doc", "acme-nested", "--profiles", profile).stdout
    assert "For each item of `sites.*.meters`." in page
