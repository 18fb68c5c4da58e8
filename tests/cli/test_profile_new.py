"""A first profile from messages of a format that nobody told the gateway of."""

import json

import cbor2
import pytest

from gateway.profiles.guess import Field, kind_of, quantity_of, time_form, unit_of, words_of

WATER = [
    ("hydro/gw7/HX-1/data", {"t": "2026-01-01 08:00:00", "n": 17, "body": {
        "totalVolume_l": 321045, "flow_lph": 120, "tempWater": 14.5}, "rssi": -90}),
    ("hydro/gw7/HX-2/data", {"t": "2026-01-01 08:10:00", "n": 4, "body": {
        "totalVolume_l": 1045, "flow_lph": 0, "tempWater": 14.1}, "rssi": -91}),
    ("hydro/gw7/HX-1/data", {"t": "2026-01-01 09:00:00", "n": 18, "body": {
        "totalVolume_l": 321085, "flow_lph": 40}, "rssi": -90}),
]  # fmt: skip
POWER = [
    ("plant/feeder", {"meter": f"E-{i % 2}", "ts": 1767225600 + i, "u1": "229.8", "u2": "230.1",
                      "u3": "231.0", "i1": 1.5, "ep_kWh": 100.25 + i, "pf": 0.98})
    for i in range(4)
]  # fmt: skip
SALE = {"nozzle": 1, "volume": 20.5, "price": 7.5, "amount": 153.75}
SALES = [
    ("station/S1/pump", {"station": 7, "sales": [SALE | {"endTime": 1767225600000 + i}]})
    for i in range(3)
]


@pytest.fixture
def write(tmp_path):
    def write(messages, payload=lambda body: {"payload": json.dumps(body)}):
        file = tmp_path / "capture.jsonl"
        file.write_text(
            "".join(
                json.dumps(
                    {"received_at": f"2026-01-01T00:00:{i:02}Z", "topic": topic} | payload(body)
                )
                + "\n"
                for i, (topic, body) in enumerate(messages)
            )
        )
        return file

    return write


@pytest.fixture
def new(gateway, write, tmp_path):
    """Makes a profile of these messages; its text, after check and test were found green."""

    def new(messages, *arguments, **settings):
        file = tmp_path / "acme-x.yaml"
        capture = write(messages, **settings)
        made = gateway(
            "profile", "new", "acme-x", "--from-capture", capture, "-o", file, *arguments
        )
        assert made.exit_code == 0, made.stderr
        assert gateway("profile", "check", file).exit_code == 0
        tested = gateway("profile", "test", "--profiles", file, "--json")
        assert json.loads(tested.stdout)["failed"] == []
        assert json.loads(tested.stdout)["cases"] == 2
        return file.read_text(encoding="utf-8"), made.stderr

    return new


def test_a_nested_format_is_guessed_with_units_registers_and_questions(new):
    text, said = new(WATER)
    for line in (
        "extends: kinds/water-meter  # ? 1",
        "match: {topic: 'hydro/gw7/{device_id}/data'}",
        "  measured_at: {from: t, zone: Asia/Shanghai}  # ? 2",
        "  sequence: {from: n}  # ? 3",
        "  flow_rate: {from: body.flow_lph, unit: L/h}",
        "#   rssi: -90, -91",
    ):
        assert line in text.splitlines()
    assert "volume: {from: body.totalVolume_l, unit: L, register: {digits: 8, decimals: 0}}" in text
    assert "tempWater, unit: Cel, optional: true" in text
    assert "volume: 321.045 m3" in text
    assert "tells no zone: which one does the clock show?" in said
    assert text.startswith("# yaml-language-server: $schema=profile.schema.json\n")


def test_phases_texts_and_an_identity_in_the_message_are_guessed(new):
    text, _ = new(POWER, "--kind", "electricity_meter")
    assert "  device_id: {from: meter}" in text
    assert "voltage: {channels: {L1: u1, L2: u2, L3: u3}, unit: V, text: true}" in text
    assert "measured_at: {from: ts, time: epoch_s}" in text
    assert "energy_import: {from: ep_kWh, unit: kWh" in text
    assert "power_factor: {from: pf}" in text


def test_an_array_of_sales_becomes_a_block_for_each(new):
    text, _ = new(SALES, "--kind", "fuel_dispenser")
    assert "  each: sales" in text
    assert "  event: transaction" in text
    assert "amount: {from: amount}" in text
    assert "match: {topic: 'station/{device_id}/pump'}" in text


def test_cbor_is_told_by_its_bytes(new):
    text, _ = new(WATER, payload=lambda body: {"payload_hex": cbor2.dumps(body).hex()})
    assert "decode: {format: cbor}" in text
    assert "payload_hex: " in text


def test_bytes_of_the_makers_own_are_refused_with_the_way_out(gateway, write, tmp_path):
    capture = write([("x/1", None)] * 3, payload=lambda _: {"payload_hex": "9dff00"})
    made = gateway(
        "profile", "new", "acme-x", "--from-capture", capture, "-o", tmp_path / "acme-x.yaml"
    )
    assert made.exit_code == 2
    assert "9d ff 00" in made.stderr
    assert "format binary" in made.stderr


def test_messages_that_a_profile_reads_already_are_told(gateway, write, tmp_path):
    body = {"type": "periodic", "seq": 1, "ts": 1767225600000, "volume": 1.5}
    capture = write([("any/W1/up", body)])
    made = gateway(
        "profile", "new", "acme-x", "--from-capture", capture, "-o", tmp_path / "acme-x.yaml"
    )
    assert "water-meter-reference: a profile of your own may only need" in made.stderr


def test_a_file_that_exists_is_not_overwritten(gateway, write, tmp_path):
    file = tmp_path / "acme-x.yaml"
    file.write_text("mine")
    made = gateway("profile", "new", "acme-x", "--from-capture", write(WATER), "-o", file)
    assert made.exit_code == 2
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("totalEnergy_kWh", ["total", "energy", "kwh", "totalenergykwh"]),
        ("vol_m3", ["vol", "m3", "volm3"]),
        ("u1", ["u1", "u1"]),
        ("FlowRate", ["flow", "rate", "flowrate"]),
    ],
)
def test_names_are_split_into_words(name, words):
    assert words_of(name) == words


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([1767225600], "epoch_s"),
        ([1767225600000], "epoch_ms"),
        (["2026-01-01T00:00:00Z"], "iso"),
        (["31/12/2026 10:00:00"], "%d/%m/%Y %H:%M:%S"),
        (["20260101100000"], "%Y%m%d%H%M%S"),
        ([12], None),
        ([True], None),
    ],
)
def test_forms_of_time_are_told_by_all_values(values, form):
    assert time_form(Field(("t",), values)) == form


def test_a_unit_comes_from_the_name_else_from_the_size():
    assert unit_of(Field(("power_kw",), [1.5]), "kW", 1.5) == ("kW", True)
    assert unit_of(Field(("power",), [1500]), "kW", 1500) == ("W", False)
    assert unit_of(Field(("volume_kwh",), [1]), "m3", 1) == ("m3", False)


def test_the_kind_is_told_by_words_and_fitting_fields():
    fields = [Field(("heat", "energy"), [1]), Field(("heat", "flowTemp"), [60])]
    assert kind_of(fields, ["x/y"])[0] == "heat_meter"
    assert quantity_of(fields[1], "heat_meter")[0] == "flow_temperature"
