"""OCPP calls: samples and sessions of both versions, what signed records vouch for, refusals."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decode.document import Context
from gateway.decode.ocpp import compile_ocpp
from gateway.decode.ocpp_values import ENERGY, MAX_SAMPLES
from gateway.errors import DecodeError
from gateway.profiles.formats import Ocpp
from tests.decode.ocpp_calls import (
    BOTH,
    KNOWN,
    NOW,
    THEN,
    call,
    energy,
    event,
    item,
    meter_values,
    oca,
    parse,
    refused,
    stop,
    value,
    values_of,
)

# -- samples -----------------------------------------------------------------------------------


def test_meter_values_of_one_point_six():
    document = call(
        "MeterValues",
        meter_values(
            value("1250500"),
            value("7.4", "Power.Active.Import", "kW"),
            value("230.1", "Voltage", "V", phase="L1-N", location="Outlet"),
            value("231.5", "Voltage", "V", phase="L2-N", location="Outlet"),
            value("15.9", "Current.Import", "A", phase="L1"),
            value("64", "SoC", "Percent", location="EV"),
            transactionId=5,
        ),
    )
    assert document == {
        "action": "MeterValues",
        "id": "17",
        "connector": 1,
        "channel": "1",
        "transaction": "5",
        "samples": [
            {
                "time": NOW, "context": "Sample.Periodic", "channel": "1", "conditions": [],
                "values": {ENERGY: 1250500.0, "Power.Active.Import": 7400.0, "SoC": 64.0},
            },
            {
                "time": NOW, "context": "Sample.Periodic", "channel": "1-L1", "phase": "L1",
                "conditions": [], "values": {"Voltage": 230.1, "Current.Import": 15.9},
            },
            {
                "time": NOW, "context": "Sample.Periodic", "channel": "1-L2", "phase": "L2",
                "conditions": [], "values": {"Voltage": 231.5},
            },
        ],
    }  # fmt: skip


def test_numbers_and_multipliers_of_two_point_zero_point_one():
    document = call(
        "MeterValues",
        {
            "evseId": 2,
            "meterValue": [
                {
                    "timestamp": NOW,
                    "sampledValue": [
                        {"value": 12505.25, "unitOfMeasure": {"unit": "kWh", "multiplier": -1}},
                        {"value": 74, "measurand": "Power.Active.Import",
                         "unitOfMeasure": {"unit": "W", "multiplier": 2}},
                        {"value": 16, "measurand": "Current.Import", "phase": "L3"},
                    ],
                }
            ],
        },
    )  # fmt: skip
    assert document["evse"] == 2
    assert values_of(document) == {
        ("2", ENERGY): 1250525.0,
        ("2", "Power.Active.Import"): 7400.0,
        ("2-L3", "Current.Import"): 16.0,
    }


@pytest.mark.parametrize(
    ("measurand", "unit", "sent", "read"),
    [
        (None, None, "12", 12.0),
        (None, "kWh", "3.45", 3450.0),
        ("Energy.Active.Export.Register", "kWh", "0.1", 100.0),
        ("Energy.Reactive.Import.Register", "kvarh", "2", 2000.0),
        ("Energy.Apparent.Import", "VAh", "2", 2.0),
        ("Power.Reactive.Import", "kvar", "-1.5", -1500.0),
        ("Power.Offered", "kW", "11", 11000.0),
        ("Power.Factor", None, "0.98", 0.98),
        ("Voltage", None, " 230.10 ", 230.1),
        ("Frequency", "Hz", "50.02", 50.02),
        ("Temperature", "Celcius", "21.5", 21.5),
        ("Temperature", "Celsius", 21.5, 21.5),
        ("Temperature", "K", "294.65", 21.5),
        ("Temperature", "Fahrenheit", "70.7", 21.5),
        ("RPM", "rpm", "1200", 1200.0),
        ("Vendor.Thing", "flux", "3", 3.0),
    ],
)
def test_units_are_those_of_the_measurand(measurand, unit, sent, read):
    document = call("MeterValues", meter_values(value(sent, measurand, unit)))
    assert values_of(document) == {("1", measurand or ENERGY): pytest.approx(read, rel=1e-15)}


def test_a_unit_that_the_charger_tells_wrongly_is_said_by_the_profile():
    body = meter_values(value("361", ENERGY, "Wh"), value("7", "Power.Active.Import", "Wh"))
    assert refused("MeterValues", body) == "unknown_word"
    document = call("MeterValues", body, units={ENERGY: "kWh", "Power.Active.Import": "W"})
    assert values_of(document) == {
        ("1", ENERGY): 361000.0,
        ("1", "Power.Active.Import"): 7.0,
    }


def test_what_has_no_value_is_absent():
    document = call("MeterValues", meter_values(value(""), value(None, "Voltage")))
    assert document["samples"] == []


def test_a_meter_on_the_grids_side_is_a_channel_of_its_own():
    document = call(
        "MeterValues",
        meter_values(
            value("100", location="Inlet"),
            value("90", location="Outlet"),
            value("400", "Voltage", location="EV"),
            value("230", "Voltage", location="Body"),
        ),
    )
    assert values_of(document) == {
        ("1-Inlet", ENERGY): 100.0,
        ("1", ENERGY): 90.0,
        ("1-EV", "Voltage"): 400.0,
        ("1", "Voltage"): 230.0,
    }


def test_the_same_of_two_places_and_the_same_twice():
    twice = meter_values(value("1", location="Outlet"), value("2", location="Cable"))
    assert values_of(call("MeterValues", twice)) == {("1", ENERGY): 1.0, ("1-Cable", ENERGY): 2.0}
    assert refused("MeterValues", meter_values(value("1"), value("2"))) == "duplicate_key"


def test_the_begin_told_again_later_is_no_reading_of_now():
    # Some chargers repeat the register of the begin in every message, with the time of now.
    document = call(
        "MeterValues",
        meter_values(
            value("163630", context="Sample.Periodic"),
            value("157440", context="Transaction.Begin"),
        ),
    )
    now, begin = document["samples"]
    assert "aside" not in now
    assert begin["aside"] == "retold"
    alone = call("MeterValues", meter_values(value("157440", context="Transaction.Begin")))
    assert "aside" not in alone["samples"][0]


def test_a_sample_without_a_chargers_quantity_is_set_aside():
    document = call(
        "MeterValues",
        meter_values(value("16", "Current.Offered"), value("5", "Voltage", phase="N")),
    )
    assert [sample.get("aside") for sample in document["samples"]] == ["other", None]


# -- where the action stands -------------------------------------------------------------------


def test_a_payload_alone_has_its_action_in_the_topic():
    context = Context(levels={"device_id": "CP-1", "action": "MeterValues"})
    body = json.dumps(meter_values(value("12"))).encode()
    assert parse(body, context)["action"] == "MeterValues"
    with pytest.raises(DecodeError) as error:
        parse(body, Context())
    assert error.value.reason == "missing_field"


def test_an_object_around_the_payload_or_the_call():
    body = meter_values(value("12"))
    around = compile_ocpp(Ocpp(format="ocpp", action="a.name", payload="request"))
    message = {"cp": "CP-1", "a": {"name": "MeterValues"}, "request": body}
    document = around(json.dumps(message).encode(), Context())
    assert values_of(document) == {("1", ENERGY): 12.0}
    assert document["message"]["cp"] == "CP-1"
    answer = around(b'{"a": {"name": "MeterValues"}, "response": {}}', Context())
    assert answer["samples"] == []
    framed = compile_ocpp(Ocpp(format="ocpp", payload="ocpp[0]"))
    document = framed(json.dumps({"ocpp": [[2, "1", "MeterValues", body]]}).encode(), Context())
    assert document["id"] == "1"


def test_the_action_may_stand_in_the_envelope():
    parser = compile_ocpp(Ocpp(format="ocpp", action="kind"))
    context = Context(envelope={"kind": "MeterValues"})
    assert parser(json.dumps(meter_values(value("12"))).encode(), context)["connector"] == 1


@pytest.mark.parametrize(
    ("frame", "action"),
    [
        ([3, "17", {"currentTime": NOW}], "CALLRESULT"),
        ([4, "17", "NotSupported", "", {}], "CALLERROR"),
        ([5, "17", "NotSupported", "", {}], "CALLERROR"),
        ([2, "17", "Heartbeat", {}], "Heartbeat"),
        ([2, "17", "BootNotification", {"chargePointVendor": "ACME"}], "BootNotification"),
        ([6, "17", "NotifyPeriodicEventStream", {}], "NotifyPeriodicEventStream"),
    ],
)
def test_what_carries_no_reading(frame, action):
    document = parse(json.dumps(frame).encode(), Context())
    document.pop("id", None)
    assert document == {"action": action, "samples": []}


# -- sessions ----------------------------------------------------------------------------------


def test_a_transaction_of_one_point_six_in_two_calls():
    start = call(
        "StartTransaction",
        {"connectorId": 2, "idTag": "B4A63CDF", "meterStart": 1250500, "timestamp": THEN},
    )
    assert start["session"] == {"started_at": THEN, "energy_start": 1250500.0, "conditions": []}
    assert start["channel"] == "2"
    stop = call("StopTransaction", {"transactionId": 5, "meterStop": 1262750, "timestamp": NOW})
    assert stop["session"] == {"ended_at": NOW, "energy_end": 1262750.0, "conditions": []}
    assert "channel" not in stop
    assert stop["transaction"] == "5"


def test_the_end_sums_up_the_begin():
    document = call(
        "StopTransaction",
        stop(
            item(THEN, value("1250.5", unit="kWh", context="Transaction.Begin")),
            item(NOW, value("1262.75", unit="kWh", context="Transaction.End")),
        ),
    )
    assert document["session"] == {
        "started_at": THEN, "ended_at": NOW, "energy_start": 1250500.0, "energy_end": 1262750.0,
        "energy": 12250.0, "conditions": [],
    }  # fmt: skip
    assert {sample["aside"] for sample in document["samples"]} == {"transaction_data"}


def test_a_begin_with_the_time_of_the_end_has_no_time():
    both = item(
        NOW,
        value("1250500", context="Transaction.Begin"),
        value("1262750", context="Transaction.End"),
    )
    session = call("StopTransaction", stop(both))["session"]
    assert session["energy"] == 12250.0
    assert "started_at" not in session


def test_a_transaction_of_two_point_zero_point_one():
    started = call(
        "TransactionEvent",
        event("Started", item(THEN, energy(1250500, "Transaction.Begin")),
              evse={"id": 2, "connectorId": 1}),
    )  # fmt: skip
    assert started["session"] == {
        "started_at": THEN, "energy_start": 1250500.0, "conditions": [],
    }  # fmt: skip
    assert (started["evse"], started["connector"], started["channel"]) == (2, 1, "2")
    updated = call("TransactionEvent", event("Updated", item(NOW, energy(9, "Sample.Periodic"))))
    assert "session" not in updated
    assert updated["samples"][0]["values"] == {ENERGY: 9.0}
    ended = call(
        "TransactionEvent",
        event(
            "Ended",
            item(THEN, energy(1250500, "Transaction.Begin")),
            item(NOW, energy(1262750, "Transaction.End")),
        ),
    )
    assert ended["session"] == {
        "started_at": THEN, "ended_at": NOW, "energy_start": 1250500.0, "energy_end": 1262750.0,
        "energy": 12250.0, "conditions": [],
    }  # fmt: skip
    assert ended["transaction"] == "AB-1"
    bare = call("TransactionEvent", event("Ended"))
    assert bare["session"] == {"ended_at": NOW, "conditions": []}


# -- alarms ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("NoError", []), ("PowerMeterFailure", ["sensor_fault"]), ("GroundFailure", []),
        ("WeakSignal", ["communication_fault"]), ("OverCurrentFailure", ["overload"]),
    ],
)  # fmt: skip
def test_a_status_notification_of_one_point_six(error, words):
    body = {"connectorId": 1, "errorCode": error, "status": "Faulted", "timestamp": NOW}
    document = call("StatusNotification", body)
    assert document["conditions"] == words
    assert document.get("alarm", False) is bool(words)
    assert (document["status"], document["error"], document["time"]) == ("Faulted", error, NOW)


def test_a_status_of_two_point_zero_point_one_and_security_events():
    body = {"evseId": 1, "connectorId": 2, "connectorStatus": "Faulted", "timestamp": NOW}
    document = call("StatusNotification", body)
    assert document["status"] == "Faulted"
    assert "alarm" not in document
    tamper = call(
        "SecurityEventNotification", {"type": "TamperDetectionActivated", "timestamp": NOW}
    )
    assert tamper["conditions"] == ["tamper"]
    assert tamper["alarm"] is True
    quiet = call("SecurityEventNotification", {"type": "StartupOfTheDevice", "timestamp": NOW})
    assert "alarm" not in quiet


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "body", "reason"),
    [
        ("MeterValues", [], "unparseable"),
        ("MeterValues", meter_values(connector=-1), "wrong_type"),
        ("MeterValues", meter_values(connector="1"), "wrong_type"),
        ("MeterValues", {"connectorId": 1, "meterValue": {}}, "wrong_type"),
        ("MeterValues", {"connectorId": 1, "meterValue": [5]}, "wrong_type"),
        ("MeterValues", {"connectorId": 1, "meterValue": [{"sampledValue": []}]}, "missing_field"),
        ("MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": NOW}]}, "wrong_type"),
        ("MeterValues", meter_values(value("NaN")), "wrong_type"),
        ("MeterValues", meter_values(value("1,5")), "wrong_type"),
        ("MeterValues", meter_values(value(True)), "wrong_type"),
        ("MeterValues", meter_values(value(1e18)), "absurd_number"),
        ("MeterValues", meter_values(value("1", phase=1)), "wrong_type"),
        ("MeterValues", meter_values(value("1", unit="MWh")), "unknown_word"),
        ("MeterValues", meter_values(value("1", "Temperature", "W")), "unknown_word"),
        ("MeterValues", meter_values(value(1, unitOfMeasure=5)), "wrong_type"),
        ("MeterValues", meter_values(value(1, unitOfMeasure={"multiplier": 99})), "wrong_type"),
        ("MeterValues", meter_values(value(1, unitOfMeasure={"multiplier": 0.5})), "wrong_type"),
        ("MeterValues", meter_values(value(5, format="SignedData")), "wrong_type"),
        ("MeterValues", meter_values(value("{", format="SignedData")), "unparseable"),
        ("MeterValues", meter_values(value(1, signedMeterValue="x")), "wrong_type"),
        ("MeterValues", meter_values(transactionId=True), "wrong_type"),
        ("MeterValues", meter_values(*[value("")] * (MAX_SAMPLES + 1)), "too_large"),
        ("StartTransaction", {"connectorId": 1, "timestamp": NOW}, "missing_field"),
        ("StartTransaction", {"connectorId": 1, "meterStart": 5}, "missing_field"),
        ("StopTransaction", {"meterStop": "5", "timestamp": NOW}, "wrong_type"),
        ("StopTransaction", {"meterStop": 1e16, "timestamp": NOW}, "absurd_number"),
        ("StopTransaction", {"meterStop": 5, "timestamp": 17}, "wrong_type"),
        ("TransactionEvent", {"timestamp": NOW}, "unknown_word"),
        ("TransactionEvent", event("Ended", timestamp=None), "missing_field"),
        ("SecurityEventNotification", {}, "wrong_type"),
    ],
)
def test_what_is_refused(action, body, reason):
    assert refused(action, body) == reason


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"[2]", b'[2,"1","MeterValues"]', b"[true,1,2,3]", b"[7,1,2,3]", b"5", b"null",
     b'"text"', b"[3]", b'[2,"1",5,{}]', b"{", b'{"a":1,"a":2}'],
)  # fmt: skip
def test_what_is_no_call(payload):
    with pytest.raises(DecodeError) as error:
        parse(payload, Context())
    assert error.value.reason in {"unparseable", "missing_field", "duplicate_key"}


# -- any bytes whatever ------------------------------------------------------------------------

SEEDS = [
    json.dumps([2, "17", action, body]).encode()
    for action, body in (
        ("MeterValues", meter_values(value("1"), value("2", "Voltage", "V", phase="L1"))),
        ("StopTransaction", stop(item(NOW, value(oca(BOTH), format="SignedData")))),
        ("TransactionEvent", event("Ended", item(NOW, energy(5, "Transaction.End")))),
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}),
    )
]


def decided(payload: bytes) -> None:
    try:
        document = parse(payload, KNOWN)
    except DecodeError:
        return
    assert isinstance(document["action"], str)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_a_refusal(data):
    decided(data)


@given(
    st.sampled_from(SEEDS),
    st.integers(0, 3000),
    st.integers(0, 60),
    st.one_of(
        st.binary(max_size=8), st.sampled_from([b'"', b"null", b"1e999", b"{}", b"[]", b"-"])
    ),
)
def test_a_mutated_call_is_a_document_or_a_refusal(seed, at, length, put):
    decided(seed[:at] + put + seed[at + length :])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(
    st.sampled_from(["value", "context", "measurand", "phase", "location", "unit", "format",
                     "unitOfMeasure", "signedMeterValue"]),
    st.sampled_from(["connectorId", "evseId", "evse", "meterValue", "transactionData", "timestamp",
                     "meterStart", "meterStop", "eventType", "transactionInfo", "errorCode",
                     "status", "type", "transactionId"]),
    st.sampled_from(["MeterValues", "StartTransaction", "StopTransaction", "TransactionEvent",
                     "StatusNotification", "SecurityEventNotification"]),
    json_values,
)  # fmt: skip
def test_any_value_in_any_field_is_a_document_or_a_refusal(field, key, action, anything):
    sampled = value("1", ENERGY, "Wh") | {field: anything}
    whole = (
        meter_values(sampled) | stop(item(NOW, sampled)) | event("Ended", item(NOW, sampled))
        | {"meterStart": 1, "errorCode": "NoError", "status": "x", "type": "y"}
    )  # fmt: skip
    for body in (whole, whole | {key: anything}):
        decided(json.dumps([2, "1", action, body]).encode())
