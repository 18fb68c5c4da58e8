"""OCMF: readings by their part of the charge, the signature's verdict, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode.document import Context
from gateway.decode.ocmf import MAX_BYTES, MAX_READINGS, compile_ocmf
from gateway.errors import DecodeError
from gateway.profiles.formats import Ocmf
from tests.decode.ocmf_verdicts import CASES, parse, refused, registered, signer
from tests.ocmf_records import DEFAULT, END, Signer, joined, payload, reading

# -- readings ----------------------------------------------------------------------------------


def test_a_whole_charge_in_one_record():
    document = parse(signer.record(payload()), registered(signer.der.hex()))
    assert document == {
        "version": "1.2",
        "context": "T",
        "page": 17,
        "gateway": {"id": "ACME CU-7", "serial": "GW-1", "version": "2.1"},
        "meter": {"vendor": "ACME", "model": "EM-3", "serial": "METER-1", "firmware": "1.0"},
        "charge_point": {"type": "EVSEID", "id": "DE*ACM*E1"},
        "user": {"identified": True, "level": "VERIFIED", "type": "ISO14443"},
        "readings": [document["start"], document["end"]],
        "start": {
            "time": "2026-03-02T08:00:00.000+01:00", "clock": "synchronised", "type": "B",
            "value": 1250.5, "unit": "kWh", "obis": "1-b:1.8.0", "current": "AC", "status": "G",
            "usable": True, "register": "total", "conditions": [],
        },
        "end": {
            "time": "2026-03-02T09:30:00.000+01:00", "clock": "relative", "type": "E",
            "value": 1262.75, "unit": "kWh", "obis": "1-b:1.8.0", "current": "AC", "status": "G",
            "usable": True, "register": "total", "conditions": [],
        },
        "energy": {"value": 12.25, "unit": "kWh"},
        "register": "total",
        "time": "2026-03-02T09:30:00.000+01:00",
        "conditions": [],
        "signature": {"verdict": "valid", "algorithm": DEFAULT, "key": "registry"},
    }  # fmt: skip


def test_the_users_identification_stays_in_the_ledger():
    assert b"0123456789ABCD" in payload()
    assert "0123456789ABCD" not in str(parse(signer.record(payload()), Context()))


def test_what_equals_the_reading_before_is_inherited_but_no_value_is():
    # As bidirectional meters send it: import and export at the same moment, then at the end.
    record = payload(
        reading(RI="1-0:1.8.0", RV=57.584),
        {"RI": "1-0:2.8.0", "RV": 4.405},
        {"TM": "2026-03-02T09:00:00,000+0100 R", "TX": "E", "RI": "1-0:1.8.0", "RV": 58.685},
        {"RI": "1-0:2.8.0", "RV": 4.405},
        {"TX": "P", "ST": "T"},
    )
    document = parse(signer.record(record), Context())
    first, second, third, fourth, fifth = document["readings"]
    assert second["time"] == first["time"]
    assert fourth["type"] == "E"
    assert fourth["status"] == "G"
    assert (document["start"], document["end"]) == (first, third)
    assert document["energy"] == {"value": 1.101, "unit": "kWh"}
    assert "interim" not in document
    assert "value" not in fifth
    assert fifth["status"] == "T"


def test_begin_and_end_in_units_of_their_own():
    document = parse(
        signer.record(payload(reading(RV=7753, RU="Wh"), reading(**END | {"RV": 8.003}))), Context()
    )
    assert document["energy"] == {"value": 0.25, "unit": "kWh"}


def test_the_register_is_the_same_however_its_code_is_written():
    document = parse(
        signer.record(
            payload(reading(RI="01-00:01.08.00.FF"), reading(**END | {"RI": "1-0:1.8.0*FF"}))
        ),
        Context(),
    )
    # The two forms part their last group by another sign: not one register, so no difference.
    assert "energy" not in document
    document = parse(
        signer.record(payload(reading(RI="01-00:01.08.00"), reading(**END | {"RI": "1-0:1.8.0"}))),
        Context(),
    )
    assert document["energy"]["value"] == 12.25


@pytest.mark.parametrize(
    ("obis", "imported", "register"),
    [
        ("1-b:1.8.0", True, "total"),
        ("1-0:1.8.0*198", True, "total"),
        ("01-00:01.08.00.FF", True, "total"),
        ("01-00:B0.08.00*FF", True, "total"),
        ("01-00:B3.08.00*FF", True, "transaction"),
        ("01-00:98.08.00.FF", True, "total"),
        (None, True, "total"),
        ("1-0:2.8.0", False, None),
        ("01-00:C3.08.00*FF", False, None),
        ("01-00:00.08.06.FF", False, None),
        ("1-0:1.7.0", False, None),
        ("energy", False, None),
    ],
)
def test_which_registers_are_imported_energy(obis, imported, register):
    record = payload(reading(RI=obis))
    document = parse(signer.record(record), Context())
    assert ("start" in document) == imported
    if imported:
        assert document["start"]["register"] == register


def test_a_duration_beside_the_energy_is_no_energy():
    record = payload(
        reading(**END), {"RV": "      5400", "RI": "01-00:00.08.06.FF", "RU": "sec", "TX": "E"}
    )
    document = parse(signer.record(record), Context())
    assert document["end"]["value"] == 1262.75
    assert document["readings"][1]["value"] == 5400
    assert "energy" not in document


@pytest.mark.parametrize("kind", "CXST")
def test_readings_in_between_are_kept_apart(kind):
    record = payload(reading(), reading(TX=kind, RV=1255), reading(**END))
    document = parse(signer.record(record), Context())
    (between,) = document["interim"]
    assert between["value"] == 1255
    assert between["type"] == kind


@pytest.mark.parametrize("kind", "ELRAP")
def test_every_way_of_ending_is_an_end(kind):
    document = parse(signer.record(payload(reading(), reading(**END | {"TX": kind}))), Context())
    assert document["end"]["type"] == kind


def test_a_fiscal_reading_belongs_to_no_transaction():
    document = parse(signer.record(payload(reading(TX=None), PG="F3")), Context())
    assert document["context"] == "F"
    assert document["page"] == 3
    assert [r["value"] for r in document["interim"]] == [1250.5]
    assert "start" not in document
    assert "end" not in document


@pytest.mark.parametrize(
    "spoiling",
    [
        [reading(EF="E"), reading(**END)],
        [reading(), reading(**END | {"EF": "tE"})],
        [reading(), reading(TX="X", RV=1255), reading(**END)],
        [reading(), reading(**END | {"ST": "F"})],
        [reading(), reading(**END | {"ST": "X"})],
        [reading(RI="1-0:1.8.1"), reading(**END | {"RI": "1-0:1.8.0"})],
    ],
)
def test_no_energy_where_a_reading_must_not_be_used(spoiling):
    document = parse(signer.record(payload(*spoiling)), Context())
    assert "energy" not in document
    assert "start" in document


def test_an_error_of_time_leaves_the_energy():
    spoiled = [reading(), reading(TX="X", RV=1255, EF="t"), reading(**END | {"EF": "t"})]
    document = parse(signer.record(payload(*spoiled)), Context())
    assert document["energy"]["value"] == 12.25


def test_fields_of_the_makers_own_are_kept():
    document = parse(signer.record(payload(reading(XV=13820, XI="1-0:1.8.0*255"))), Context())
    assert document["start"]["extensions"] == {"XV": 13820, "XI": "1-0:1.8.0*255"}


def test_a_record_without_the_meters_serial_number_vouches_for_no_meter():
    excused = compile_ocmf(Ocmf(format="ocmf", meter_serial="optional"))
    for absent in (None, ""):
        record = signer.record(payload(MS=absent))
        document = parse(record, registered(signer.der.hex()))
        assert any("MS" in deviation for deviation in document["deviations"])
        assert document["signature"]["verdict"] == "valid"
        assert document["conditions"] == ["signature_unverified"]
        assert excused(record, registered(signer.der.hex()))["conditions"] == []
    named = parse(signer.record(payload()), registered(signer.der.hex()))
    assert named["conditions"] == []
    assert "deviations" not in named


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ST": "M"}, ["tamper"]),
        ({"ST": "X"}, ["tamper"]),
        ({"ST": "T"}, ["communication_fault"]),
        ({"ST": "F"}, ["sensor_fault"]),
        ({"EF": "E"}, ["sensor_fault"]),
        ({"TM": "2026-03-02T09:30:00,000+0100 U"}, ["clock_fault"]),
        ({"ST": "M", "TM": "2026-03-02T09:30:00,000+0100 U"}, ["tamper", "clock_fault"]),
    ],
)
def test_what_meter_and_clock_say(fields, words):
    record = signer.record(payload(reading(), reading(**END | fields)))
    document = parse(record, registered(signer.der.hex()))
    assert document["conditions"] == words
    assert document["end"]["conditions"] == words
    assert document.get("fault", False) == ("ST" in fields)
    # An earlier reading of the same record is not the fault of this one, the signature is of all.
    record = signer.record(payload(reading(), reading(TX="C", RV=1255), reading(**END | fields)))
    document = parse(record, registered(Signer().der.hex()))
    assert document["conditions"] == ["signature_invalid", *words]
    assert document["interim"][0]["conditions"] == ["signature_invalid"]


def test_an_error_without_a_value():
    record = signer.record(payload({"TM": "2026-03-02T08:00:00,000+0100 S", "TX": "C", "ST": "D"}))
    document = parse(record, registered(signer.der.hex()))
    assert "register" not in document
    assert "interim" not in document
    assert document["fault"] is True
    assert document["conditions"] == ["communication_fault"]
    assert document["time"] == "2026-03-02T08:00:00.000+01:00"


def test_what_is_not_as_demanded_is_told():
    record = payload(
        reading(TM="2026-03-02T08:00:00,000+0100", ST=None, RU=None), FV=1.0, PG="17", CT=0
    )
    told = parse(signer.record(record), Context())["deviations"]
    assert [deviation.split(":")[0] for deviation in told] == [
        "FV", "CT", "PG", "RD[0].TM", "RD[0].ST", "RD[0].RU",
    ]  # fmt: skip


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"", "unparseable"),
        (b"OCMF", "unparseable"),
        (b"OCMF|{}", "unparseable"),
        (b"OCMF|{}|{}|", "unparseable"),
        (b"OCMG|{}|{}", "unparseable"),
        (b"OCMF|[]|{}", "unparseable"),
        (b'OCMF|{}|"x"', "unparseable"),
        (b"OCMF|{'a': 1}|{}", "unparseable"),
        (joined(payload(), {}), "missing_field"),
        (joined(b"{}", {"SD": "30"}), "missing_field"),
        (joined(b'{"RD": []}', {"SD": "30"}), "missing_field"),
        (joined(b'{"RD": [5]}', {"SD": "30"}), "unparseable"),
        (joined(payload(reading(TM=None)), {"SD": "30"}), "missing_field"),
        (joined(payload(reading(TM="2026-03-02T08:00:00Z")), {"SD": "30"}), "bad_time"),
        (joined(payload(reading(TM="2026-03-02T08:00:00,000+0100 Q")), {"SD": "30"}), "bad_time"),
        (joined(payload(reading(TM=1772434800)), {"SD": "30"}), "bad_time"),
        (joined(payload(reading(TX="Z")), {"SD": "30"}), "unknown_word"),
        (joined(payload(reading(ST="Q")), {"SD": "30"}), "unknown_word"),
        (joined(payload(reading(ST=1)), {"SD": "30"}), "wrong_type"),
        (joined(payload(reading(RV=True)), {"SD": "30"}), "wrong_type"),
        (joined(payload(reading(RV="1,5")), {"SD": "30"}), "wrong_type"),
        (joined(payload(reading(RV="1e3")), {"SD": "30"}), "wrong_type"),
        (joined(payload(reading(RV=[1])), {"SD": "30"}), "wrong_type"),
        (joined(payload(reading(RV=1e20)), {"SD": "30"}), "absurd_number"),
        (joined(payload(reading(RU=5)), {"SD": "30"}), "wrong_type"),
        (joined(payload(MS=["a"]), {"SD": "30"}), "wrong_type"),
        (joined(payload(IS="true"), {"SD": "30"}), "wrong_type"),
        (joined(payload(MS=True), {"SD": "30"}), "wrong_type"),
        (joined(payload().replace(b'"MV"', b'"MS"'), {"SD": "30"}), "duplicate_key"),
        (joined(payload(GI="x" * MAX_BYTES), {"SD": "30"}), "too_large"),
        (b"OCMF|" + b"[" * 5000 + b"|{}", "too_deep"),
    ],
)
def test_what_is_no_record(record, reason):
    assert refused(record).reason == reason


def test_more_readings_than_any_charge_has():
    patient = compile_ocmf(Ocmf(format="ocmf", max_bytes=10**7))
    record = joined(payload(*[reading()] * (MAX_READINGS + 1)), {"SD": "30"})
    assert refused(record).reason == "too_large"
    with pytest.raises(DecodeError, match="1001 readings") as error:
        patient(record, Context())
    assert error.value.reason == "too_large"


def test_a_bar_within_a_text_is_no_part_of_a_record():
    assert refused(signer.record(payload(GI="a|b"))).reason == "unparseable"


# -- the corpus --------------------------------------------------------------------------------


@pytest.mark.corpora
@pytest.mark.skipif(not CASES, reason="corpora not here")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_published_record_says_what_was_published(case):
    expected, key = case["expected"], case["public_key"]
    context = registered(key) if key else Context()
    document = parse(case["payload_text"].encode(), context)
    said = document["signature"]["verdict"]
    if expected["signature_valid"] is not None:
        assert said == ("valid" if expected["signature_valid"] else "invalid")
    else:
        # No key is published, or one of secp192k1, which the corpus left open and we verify.
        assert said == ("no_key" if key is None else "valid")
    assert document["meter"].get("serial") == expected["serial"]
    assert document["gateway"].get("serial", "") == expected["gateway"]
    assert f"{document['context']}{document['page']}" == expected["pagination"]
    assert len(document["readings"]) == len(expected["readings"])
    for read, wanted in zip(document["readings"], expected["readings"], strict=True):
        assert read["value"] == float(wanted["RV"])
        assert (read["unit"], read["obis"]) == (wanted["RU"], wanted["RI"])
        assert (read["type"], read["status"]) == (wanted["TX"], wanted["ST"])
        moment, clock = wanted["TM"].split(" ")
        assert read["time"].replace(".", ",").replace(":", "") == moment.replace(":", "")
        assert read["clock"][0] == clock.lower()


# -- any bytes whatever ------------------------------------------------------------------------


def decided(record: bytes) -> None:
    """A document or a refusal, nothing else; a changed record is never valid."""
    try:
        document = parse(record, registered(signer.der.hex()))
    except DecodeError:
        return
    if document["signature"]["verdict"] == "valid":
        assert record.split(b"|")[1] == VALID.split(b"|")[1]


VALID = signer.record(payload())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_a_refusal(data):
    decided(data)
    decided(b"OCMF|" + data + b'|{"SD": "30"}')


@given(
    st.integers(0, len(VALID)),
    st.integers(0, 40),
    st.one_of(st.binary(max_size=8), st.sampled_from([b"|", b'"', b"{", b"null", b"1e999", b","])),
)
def test_a_mutated_record_is_a_document_or_a_refusal(at, length, put):
    decided(VALID[:at] + put + VALID[at + length :])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(
    st.sampled_from(["FV", "GS", "PG", "MS", "IS", "CT", "RD", "TT"]),
    st.sampled_from(["TM", "TX", "RV", "RI", "RU", "EF", "ST", "CL", "XV"]),
    st.sampled_from(["SD", "SA", "SE", "SM"]),
    json_values,
)
def test_any_value_in_any_field_is_a_document_or_a_refusal(head, field, signature, value):
    section = {"SD": "3006020101020101"}
    for record in (
        joined(json.dumps(json.loads(payload()) | {head: value}).encode(), section),
        joined(payload(reading() | {field: value}), section),
        joined(payload(), section | {signature: value}),
    ):
        decided(record)


@given(json_values | st.text(max_size=300))
def test_any_key_in_the_registry_is_no_crash(key):
    document = parse(VALID, registered(key))
    assert document["signature"]["verdict"] in {"unverifiable", "no_key", "invalid"}
