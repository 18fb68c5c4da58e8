"""What signed records in OCPP vouch for."""

import base64
import json

import pytest

from gateway.decode.ocpp_values import ENERGY
from tests.decode.ocpp_calls import (
    BOTH,
    KNOWN,
    NOW,
    THEN,
    as_it_is,
    call,
    energy,
    event,
    has_to_be,
    hexadecimal,
    item,
    meter_values,
    oca,
    signer,
    stop,
    value,
)
from tests.ocmf_records import END, payload, reading

# -- signed values -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", [hexadecimal, as_it_is, oca, has_to_be])
def test_a_signed_record_completes_the_session(form):
    signed = value(form(BOTH), format="SignedData", context="Transaction.End")
    document = call("StopTransaction", stop(item(NOW, signed)), KNOWN)
    assert document["session"] == {
        "started_at": "2026-03-02T08:00:00.000+01:00", "ended_at": NOW,
        "energy_start": 1250500.0, "energy_end": 1262750.0, "energy": 12250.0, "conditions": [],
    }  # fmt: skip
    assert document["signed"][0]["signature"]["verdict"] == "valid"


def test_a_signed_value_beside_the_number():
    signed = json.loads(oca(BOTH))
    document = call(
        "TransactionEvent",
        event(
            "Ended",
            item(NOW, energy(1262750, "Transaction.End") | {"signedMeterValue": signed}),
            evse={"id": 1},
        ),
        KNOWN,
    )
    assert document["session"]["energy"] == 12250.0
    assert document["session"]["conditions"] == []
    assert document["samples"][0]["conditions"] == []


def test_the_energy_of_a_forged_record_is_no_good_reading():
    forged = BOTH.replace(b"1262.75", b"1252.75")
    signed = value(hexadecimal(forged), format="SignedData", context="Transaction.End")
    document = call("StopTransaction", stop(item(NOW, signed), meterStop=1252750), KNOWN)
    assert document["session"]["energy"] == 2250.0
    assert document["session"]["conditions"] == ["signature_invalid"]
    document = call(
        "MeterValues", meter_values(signed, value("1252750", context="Transaction.End")), KNOWN
    )
    assert document["samples"][0]["conditions"] == ["signature_invalid"]


def test_a_record_vouches_for_its_own_values_only():
    signed = value(hexadecimal(BOTH), format="SignedData", context="Transaction.End")
    document = call("StopTransaction", stop(item(NOW, signed), meterStop=1272750), KNOWN)
    session = document["session"]
    assert session["energy_end"] == 1272750.0
    assert session["conditions"] == ["signature_unverified"]
    assert "energy_start" not in session
    document = call(
        "MeterValues", meter_values(signed, value("1272750", context="Transaction.End")), KNOWN
    )
    assert document["samples"][0]["conditions"] == ["signature_unverified"]


def test_whole_watt_hours_are_the_same_as_those_of_the_record():
    record = signer.record(payload(reading(RV=0.2596), reading(**END | {"RV": 0.2597})))
    signed = value(hexadecimal(record), format="SignedData", context="Transaction.End")
    for shown in (259, 260):
        document = call("StopTransaction", stop(item(NOW, signed), meterStop=shown), KNOWN)
        assert document["session"]["conditions"] == []
        assert document["session"]["energy_start"] == 259.6


def test_the_register_of_one_charge_gives_its_energy_only():
    transactional = "01-00:B2.08.00*FF"
    record = signer.record(
        payload(
            reading(RV=0, RI=transactional), reading(**END | {"RV": 0.636, "RI": transactional})
        )
    )
    signed = value(oca(record), format="SignedData", context="Transaction.End")
    session = call("StopTransaction", stop(item(NOW, signed), meterStop=108814), KNOWN)["session"]
    assert session["energy"] == 636.0
    assert session["energy_end"] == 108814.0
    assert "energy_start" not in session
    # The record vouches for the energy, not for the register.
    assert session["conditions"] == ["signature_unverified"]


def test_a_signed_value_alone_is_a_sample():
    record = signer.record(payload(reading(TX="C", RV=1255)))
    signed = value(hexadecimal(record), format="SignedData")
    document = call("MeterValues", meter_values(signed), KNOWN)
    (sample,) = document["samples"]
    assert sample == {
        "time": "2026-03-02T08:00:00.000+01:00", "context": "Sample.Periodic", "channel": "1",
        "values": {ENERGY: 1255000.0}, "conditions": [],
    }  # fmt: skip


def test_begin_and_end_in_records_of_their_own():
    begin = signer.record(payload(reading(), PG="T1"))
    end = signer.record(payload(reading(**END), PG="T2"))
    document = call(
        "TransactionEvent",
        event(
            "Ended",
            item(
                THEN,
                value(None, context="Transaction.Begin", signedMeterValue=json.loads(oca(begin))),
            ),
            item(
                NOW, value(None, context="Transaction.End", signedMeterValue=json.loads(oca(end)))
            ),
        ),
        KNOWN,
    )
    session = document["session"]
    assert session["energy"] == 12250.0
    assert session["started_at"] == "2026-03-02T08:00:00.000+01:00"
    assert session["conditions"] == []


def test_a_key_in_the_message_is_its_own_witness():
    text = f"oca:base16:asn1:{signer.der.hex()}"
    key = base64.b64encode(text.encode()).decode()
    signed = value(oca(BOTH, key=key), format="SignedData", context="Transaction.End")
    document = call("StopTransaction", stop(item(NOW, signed)))
    assert document["signed"][0]["signature"]["self_attested"] is True
    assert document["session"]["conditions"] == ["signature_unverified"]
    document = call("StopTransaction", stop(item(NOW, signed)), KNOWN)
    assert document["session"]["conditions"] == []


@pytest.mark.parametrize(
    "text",
    ["", "AABB", "no record", '{"signedMeterData": "AAAA", "encodingMethod": "EDL"}', "OCMF|{}|{}",
     '{"encodingMethod": "OCMF"}', "OCMF|" + "x" * 70_000],
)  # fmt: skip
def test_signed_data_of_another_sort_cannot_be_judged(text):
    signed = value(text, format="SignedData", context="Transaction.End")
    document = call("StopTransaction", stop(item(NOW, signed)), KNOWN)
    assert document["session"]["energy_end"] == 1262750.0
    assert document["session"]["conditions"] == ["signature_unverified"]
    assert document["signed"][0]["signature"]["verdict"] == "unverifiable"
