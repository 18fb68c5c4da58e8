"""``gateway profile new``: a first profile as a file that checks and tests as it stands."""

import base64
import json

import pytest

from gateway.capture import CaptureError
from gateway.drafting.fields import Field, words_of
from gateway.drafting.guess import score_of, unit_of
from gateway.drafting.messages import captured
from gateway.drafting.times import form_of
from gateway.records import RawMessage
from gateway.times import rfc3339
from tests.drafting import captures


@pytest.fixture
def write(tmp_path):
    """Writes messages as a capture file."""

    def write(messages: list[RawMessage]):
        file = tmp_path / "capture.jsonl"
        lines = [
            {
                "received_at": rfc3339(message.received_at),
                "topic": message.topic,
                "payload_base64": base64.b64encode(message.payload).decode(),
            }
            for message in messages
        ]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return file

    return write


def test_what_is_written_checks_and_tests_as_it_stands(gateway, write, tmp_path):
    file = tmp_path / "acme-x.yaml"
    capture = write(captures.charger())
    made = gateway("profile", "new", "acme-x", "--from-capture", capture, "-o", file)
    assert made.exit_code == 0, made.stderr
    assert "of the capture: 9 read, 3 left out, 0 refused" in made.stderr
    assert "Is each of these messages one whole session?" in made.stderr
    assert gateway("profile", "check", file).stdout == "1 profile, no fault\n"
    told = json.loads(gateway("profile", "test", "--profiles", file, "--json").stdout)
    assert (told["cases"], told["failed"]) == (3, [])
    schema = json.loads((tmp_path / "profile.schema.json").read_text())
    assert schema["title"] == "Device profile"


def test_messages_that_a_profile_reads_already_are_told(gateway, write, tmp_path):
    body = {"type": "periodic", "seq": 1, "ts": 1767225600000, "volume": 1.5}
    capture = write([captures.message(0, "any/W1/up", body, captures.T0)])
    made = gateway(
        "profile", "new", "acme-x", "--from-capture", capture, "-o", tmp_path / "acme-x.yaml"
    )
    assert "water-meter-reference" in made.stderr
    assert "a profile of your own may only need 'extends: " in made.stderr


def test_without_a_capture_it_asks(gateway, tmp_path):
    sample = tmp_path / "message.json"
    sample.write_text('{"ts": 1767225600, "total_l": 321045}')
    other = tmp_path / "other.json"
    other.write_text('{"ts": 1767229200, "total_l": 321085}')
    file = tmp_path / "acme-w20.yaml"
    answers = ["acme-w20", "water_meter", "ACME", "W20", "acme/W20-0001/up", sample, other, ""]
    made = gateway(
        "profile", "new", "-o", file, stdin="".join(f"{answer}\n" for answer in answers).encode()
    )
    assert made.exit_code == 0, made.stderr
    text = file.read_text()
    assert "instrument: {vendor: ACME, model: W20}" in text
    assert "volume: {from: total_l, unit: L, register: true}" in text


def test_text_that_nothing_reads_is_wrong_use(gateway, write, tmp_path):
    capture = write([captures.message(0, "x/1", "E=5!", captures.T0)])
    made = gateway(
        "profile", "new", "acme-x", "--from-capture", capture, "-o", tmp_path / "acme-x.yaml"
    )
    assert made.exit_code == 2
    assert "the messages are text that no decoder reads" in made.stderr


def test_a_file_that_exists_is_not_overwritten(gateway, write, tmp_path):
    file = tmp_path / "acme-x.yaml"
    file.write_text("mine")
    capture = write(captures.keyed())
    made = gateway("profile", "new", "acme-x", "--from-capture", capture, "-o", file)
    assert made.exit_code == 2
    assert file.read_text() == "mine"
    wrong = gateway(
        "profile", "new", "acme-x", "--from-capture", capture, "-o", tmp_path / "b.yaml"
    )
    assert "the file must be named acme-x.yaml" in wrong.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("totalEnergy_kWh", ("total", "energy", "kwh")),
        ("vol_m3", ("vol", "m3")),
        ("flow_m3/h", ("flow", "m3h")),
        ("u1", ("u1",)),
        ("Zählerstand", ("zaehlerstand",)),
        ("Énergie", ("energie",)),
        ("累计流量", ("累计流量",)),
    ],
)
def test_names_are_split_into_words(name, words):
    assert words_of(name) == words


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([1767225600], "epoch_s"),
        ([1767225600000], "epoch_ms"),
        (["1767225600"], "epoch_s"),
        (["2026-01-01T00:00:00Z"], "iso"),
        (["31/12/2026 10:00:00"], "%d/%m/%Y %H:%M:%S"),
        (["12/31/2026 10:00:00"], "%m/%d/%Y %H:%M:%S"),
        (["20260101100000"], "%Y%m%d%H%M%S"),
        (["2026年01月01日 10:00:00"], "%Y年%m月%d日 %H:%M:%S"),
        ([12], None),
        ([True], None),
        (["12"], None),
    ],
)
def test_forms_of_time_are_told_by_all_values(values, form):
    found = form_of(Field(("t",), values), [])
    assert (found.word if found else None) == form


def test_a_day_and_a_month_are_told_apart_by_the_time_of_receipt():
    received = [captures.message(0, "", "", captures.T0).received_at]
    found = form_of(Field(("t",), ["03/02/2026 06:00:00"]), received)
    assert found is not None
    assert found.word == "%m/%d/%Y %H:%M:%S"


def test_a_unit_comes_from_the_name_else_from_the_size():
    assert unit_of(Field(("power_kw",), [1.5]), "kW") == ("kW", True)
    assert unit_of(Field(("power",), [1500]), "kW") == ("W", False)
    assert unit_of(Field(("volume_kwh",), [1]), "m3") == ("m3", False)


def test_a_unit_that_cannot_be_rules_a_quantity_out():
    volume = Field(("total_kwh",), [1.5])
    assert score_of(volume, "volume", "water_meter") == 0
    assert score_of(volume, "energy_import", "electricity_meter") > 40


def test_a_value_that_stands_for_none_does_not_count():
    field = Field(("t",), [20.5, 21, -9999, 20.75])
    assert field.absent == [-9999]
    assert field.numbers == [20.5, 21, 20.75]
    assert Field(("t",), [65535, 60000]).absent == []
    assert Field(("t",), ["1.5", "--"]).absent == ["--"]


BODY = '{"volume": 1.5, "ts": 1767225600}'
FORMS = {
    "sub.txt": f"acme/W1/up {BODY}\nacme/W1/up {BODY}\n",
    "sub.jsonl": '{"tst":"2026-01-01T01:00:00.5+0100","topic":"acme/W1/up","qos":0,"payload":'
    f"{BODY}}}\n",
    "plain.jsonl": json.dumps({"topic": "acme/W1/up", "payload": BODY}) + "\n",
    "hex.jsonl": json.dumps({"topic": "acme/W1/up", "payload_hex": BODY.encode().hex()}) + "\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_messages_are_taken_as_a_vendor_has_them(name, tmp_path):
    file = tmp_path / name
    file.write_text(FORMS[name])
    found = captured([file])
    assert {(m.topic, json.dumps(json.loads(m.payload))) for m in found} == {("acme/W1/up", BODY)}
    if name == "sub.jsonl":
        assert rfc3339(found[0].received_at) == "2026-01-01T00:00:00.500Z"


@pytest.mark.parametrize(("name", "content"), [("m.json", BODY), ("m.hex", BODY.encode().hex())])
def test_one_payload_alone_needs_its_topic(name, content, gateway, tmp_path):
    file = tmp_path / name
    file.write_text(content + "\n")
    out = tmp_path / "acme-x.yaml"
    new = ["profile", "new", "acme-x", "--kind", "water_meter", "-o", out, "--from-capture", file]
    refused = gateway(*new)
    assert refused.exit_code != 0
    assert f"{name}:1: no message of a form that is known here" in refused.stderr
    assert "--topic acme/W20-0001/up" in refused.stderr
    made = gateway(*new, "--topic", "acme/W1/up")
    assert made.exit_code == 0, made.stderr
    assert "topic: 'acme/{device_id}/up'" in out.read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no message in it"),
        (b"acme/W1/up \x80\x81\n", ":1: bytes that are no text; `gateway capture"),
        (b'{"topic": "a/b", "payload_hex": "zz"}', ":1: no message of a form"),
        (b'{"topic": "a/b"}\n', ":1: no message of a form"),
        (b"[1, 2]", ":1: no message of a form"),
    ],
)
def test_a_file_that_holds_no_messages_says_so(content, said, tmp_path):
    file = tmp_path / "capture.jsonl"
    file.write_bytes(content)
    with pytest.raises(CaptureError, match=r"capture\.jsonl") as refused:
        captured([file])
    assert said in str(refused.value)
