"""Digital calibration certificates: what is read of them, and what is refused."""

import datetime as dt
import hashlib
import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import xml_tree
from gateway.casebook import Casebook
from gateway.certificates import Period, read_certificate
from gateway.dsi import ucum
from gateway.records import Certificate, Device
from gateway.registry import Read, read_files
from gateway.registry.entries import Entry
from gateway.testing import ManualClock
from gateway.times import DAY, nanoseconds

SHANGHAI = ZoneInfo("Asia/Shanghai")
LIST = "realListXMLList"


def element(name, *content, **attributes):
    told = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{name}{told}>{''.join(content)}</{name}>"


def named(name, text, lang="en"):
    return element(name, element("dcc:content", text, lang=lang))


def values(words, unit, *more):
    inner = element("si:valueXMLList", words) + element("si:unitXMLList", unit)
    return element(f"si:{LIST}", inner, *more)


def expanded_21(words, factor="2"):
    """The uncertainty of D-SI 2.1."""
    return element(
        "si:expandedUncXMLList",
        element("si:uncertaintyXMLList", words),
        element("si:coverageFactorXMLList", factor),
        element("si:coverageProbabilityXMLList", "0.95"),
    )


def expanded_22(words, factor="2"):
    """The uncertainty of D-SI 2.2."""
    return element(
        "si:measurementUncertaintyUnivariateXMLList",
        element(
            "si:expandedMUXMLList",
            element("si:valueExpandedMUXMLList", words),
            element("si:coverageFactorXMLList", factor),
            element("si:coverageProbabilityXMLList", "0.95"),
        ),
    )


def quantity(ref, *content):
    return element("dcc:quantity", *content, refType=ref)


def table(*quantities):
    return element("dcc:list", *quantities, refType="gp_table1")


def dispenser_table():
    """Three flow rates of a nozzle: what was delivered, what was shown, and the error."""
    return table(
        quantity("flow_flowRate", values("5.1 24.8 44.6", r"\litre\minute\tothe{-1}")),
        quantity("basic_referenceValue", values("19.972 20.011 20.035", r"\litre")),
        quantity("basic_measuredValue", values("19.99 20.02 20.02", r"\litre")),
        quantity("basic_measurementError", values("0.09 0.04 -0.07", r"\percent",
                                                  expanded_22("0.06"))),
        quantity("basic_maximumPermissibleError", values("0.3", r"\percent")),
    )  # fmt: skip


def item(*identifications, identity="item1", manufacturer="ACME Pumps", model="F2"):
    told = "".join(
        element("dcc:identification", element("dcc:issuer", issuer), element("dcc:value", value),
                named("dcc:name", "number"))
        for issuer, value in identifications
    )  # fmt: skip
    return element(
        "dcc:item",
        named("dcc:name", "Fuel dispenser"),
        element("dcc:manufacturer", named("dcc:name", manufacturer)),
        element("dcc:model", model),
        element("dcc:identifications", told),
        id=identity,
    )


SERIAL = (("manufacturer", "SN-77"),)


def dcc(
    *,
    number="JL-2026-0815",
    begin="2026-03-02",
    end="2026-03-03",
    issued="2026-03-05",
    items=None,
    statements="",
    results=None,
    version="3.2.1",
    tail="",
    head='<?xml version="1.0" encoding="UTF-8"?>\n',
):
    core = "".join(
        (
            element("dcc:countryCodeISO3166_1", "CN"),
            element("dcc:usedLangCodeISO639_1", "en"),
            element("dcc:mandatoryLangCodeISO639_1", "en"),
            element("dcc:uniqueIdentifier", number),
            element("dcc:beginPerformanceDate", begin),
            element("dcc:endPerformanceDate", end),
            element("dcc:performanceLocation", "customer"),
            element("dcc:issueDate", issued) if issued else "",
        )
    )
    laboratory = element(
        "dcc:calibrationLaboratory",
        element("dcc:calibrationLaboratoryCode", "L-4711"),
        element("dcc:contact", named("dcc:name", "市计量检测院", "zh")),
    )
    administrative = element(
        "dcc:administrativeData",
        element("dcc:coreData", core),
        element("dcc:items", items if items is not None else item(*SERIAL)),
        laboratory,
        element("dcc:statements", statements) if statements else "",
    )
    if results is None:
        results = result(dispenser_table())
    return (
        f"{head}<dcc:digitalCalibrationCertificate xmlns:dcc='https://ptb.de/dcc' "
        f"xmlns:si='https://ptb.de/si' schemaVersion='{version}'>\n{administrative}\n"
        f"{element('dcc:measurementResults', results)}\n{tail}"
        "</dcc:digitalCalibrationCertificate>\n"
    )


def result(*content, **attributes):
    inner = element("dcc:result", named("dcc:name", "Errors"), element("dcc:data", *content),
                    **attributes)  # fmt: skip
    return element("dcc:measurementResult", element("dcc:results", inner))


def statement(ref, *content):
    return element("dcc:statement", *content, refType=ref)


NEXT = statement("basic_recalibration", element("dcc:date", "2026-09-02"))
PASSED = statement("basic_conformity", element("dcc:conformity", "pass"))


def read(text, **options):
    faults, warnings = [], []
    raw = text if isinstance(text, bytes) else text.encode()
    document = read_certificate(raw, "c.xml", faults, warnings, **options)
    assert (document is None) is bool(faults)
    return document, faults, warnings


def good(text, **options):
    document, faults, warnings = read(text, **options)
    assert faults == []
    return document, warnings


def test_a_certificate_says_who_when_and_until_when():
    text = dcc(statements=NEXT + PASSED)
    document, warnings = good(text, zone=SHANGHAI)
    assert warnings == []
    assert document.number == "JL-2026-0815"
    assert document.verified_at == nanoseconds("2026-03-03T00:00:00+08:00")
    assert document.issued_at == nanoseconds("2026-03-05T00:00:00+08:00")
    assert document.valid_until == nanoseconds("2026-09-02T23:59:59+08:00")
    assert (document.laboratory, document.result) == ("市计量检测院 (L-4711)", "pass")
    assert document.source == {
        "file": "c.xml",
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "schema_version": "3.2.1",
        "signed": False,
    }
    (one,) = document.items
    assert (one.manufacturer, one.model, one.name) == ("ACME Pumps", "F2", "Fuel dispenser")
    assert [(each.issuer, each.value) for each in one.identifications] == list(SERIAL)


def test_the_errors_of_indication_come_point_by_point_with_their_flow_rate():
    ((one,), first) = good(dcc())[0].items, good(dcc())[0].items[0].errors[0]
    assert len(one.errors) == 3
    assert first == {
        "flow_rate": {"value": 5.1, "unit": "L/min"},
        "reference_value": {"value": 19.972, "unit": "L"},
        "measured_value": {"value": 19.99, "unit": "L"},
        "error": {"value": 0.09, "unit": "%", "uncertainty": 0.06, "coverage_factor": 2.0},
        "maximum_permissible_error": {"value": 0.3, "unit": "%"},
    }
    assert [point["error"]["value"] for point in one.errors] == [0.09, 0.04, -0.07]


def real(value, unit, *more):
    return element("si:real", element("si:value", value), element("si:unit", unit), *more)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            real("0.4", r"\percent", element(
                "si:expandedUnc", element("si:uncertainty", "0.1"),
                element("si:coverageFactor", "2"), element("si:coverageProbability", "0.95"))),
            {"value": 0.4, "unit": "%", "uncertainty": 0.1, "coverage_factor": 2.0},
        ),
        (
            real("0.4", r"\percent", element(
                "si:measurementUncertaintyUnivariate", element(
                    "si:standardMU", element("si:valueStandardMU", "0.05")))),
            {"value": 0.4, "unit": "%", "uncertainty": 0.05, "coverage_factor": 1.0},
        ),
        (
            element("si:hybrid", values("0.4", r"\percent", expanded_21("0.1", "1.96")),
                    values("0.004", r"\one")),
            {"value": 0.4, "unit": "%", "uncertainty": 0.1, "coverage_factor": 1.96},
        ),
        (
            element("si:list", element(
                "si:realList", element("si:listUnit", r"\percent"),
                element("si:listUnivariateUnc", element(
                    "si:expandedUnc", element("si:uncertainty", "0.2"),
                    element("si:coverageFactor", "2"))),
                element("si:real", element("si:value", "0.4")))),
            {"value": 0.4, "unit": "%", "uncertainty": 0.2, "coverage_factor": 2.0},
        ),
        (element("si:constant", element("si:value", "4e-1"), element("si:unit", r"\one")),
         {"value": 0.4, "unit": "1"}),
    ],
)  # fmt: skip
def test_a_quantity_may_be_written_in_every_form_of_the_d_si(content, expected):
    results = result(table(quantity("basic_measurementError", content)))
    ((point,),) = (one.errors for one in good(dcc(results=results))[0].items)
    assert point == {"error": expected}


def test_quantities_may_stand_without_a_table_and_be_named_by_their_words_alone():
    plain = element("dcc:quantity", named("dcc:name", "示值误差", "zh"), real("1.5", r"\percent"))
    other = element("dcc:quantity", named("dcc:name", "Speed"), real("60", r"\kilo\metre\per\hour"))
    ((point,),) = (one.errors for one in good(dcc(results=result(plain, other)))[0].items)
    assert point == {
        "error": {"value": 1.5, "unit": "%"},
        "speed": {"value": 60.0, "unit": "km/h"},
    }


def test_a_table_without_an_error_and_texts_are_left_out():
    results = result(
        table(quantity("basic_referenceValue", values("1 2", r"\litre"))),
        table(quantity("basic_measurementError", element("dcc:noQuantity", named("x", "none")))),
    )
    assert good(dcc(results=results))[0].items[0].errors == []


def test_results_are_told_apart_by_the_item_that_they_refer_to():
    items = item(("owner", "fd-1"), identity="a") + item(("owner", "fd-2"), identity="b")
    error = [
        table(quantity("basic_measurementError", values(text, r"\percent"))) for text in ("1", "2")
    ]
    results = result(error[0], refId="a") + result(error[1], refId="b") + result(error[0])
    document, warnings = good(dcc(items=items, results=results))
    assert [[p["error"]["value"] for p in one.errors] for one in document.items] == [[1.0], [2.0]]
    assert len(warnings) == 1
    assert "1 points are of results that do not say" in warnings[0]


@pytest.mark.parametrize(
    ("statements", "options", "until"),
    [
        ("", {}, None),
        ("", {"valid_for": Period.read("P6M")}, "2026-09-02T23:59:59Z"),
        (statement("basic_recalibration", element("dcc:period", "P1Y")), {},
         "2027-03-02T23:59:59Z"),
        (statement("basic_recalibration", element("dcc:date", "2026-08-31+08:00")),
         {"valid_for": Period.read("P9Y")}, "2026-08-31T15:59:59Z"),
        (statement("basic_validityRange", element("dcc:date", "2030-01-01")), {}, None),
    ],
)  # fmt: skip
def test_the_validity_is_the_stated_one_else_the_given_one(statements, options, until):
    document, _ = good(dcc(statements=statements), **options)
    assert document.valid_until == (None if until is None else nanoseconds(until))


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("P6M", "2026-03-01", "2026-08-31"),
        ("P1Y", "2024-02-29", "2025-02-28"),
        ("P1M", "2026-01-31", "2026-02-28"),
        ("P1Y6M", "2026-12-15", "2028-06-14"),
        ("P90D", "2026-01-01", "2026-03-31"),
        ("P12M", "2026-12-01", "2027-11-30"),
    ],
)
def test_a_period_ends_with_the_day_before_its_first_day_comes_again(period, first, last):
    assert Period.read(period).last_day(dt.date.fromisoformat(first)).isoformat() == last


@pytest.mark.parametrize("text", ["", "P", "6M", "P6W", "P0M", "PT5H", "P-1M", "P6M "])
def test_what_is_no_period_is_refused(text):
    with pytest.raises(ValueError, match="like P6M"):
        Period.read(text)


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (["pass"], "pass"), (["conditionalPass"], "pass"), (["pass", "fail"], "fail"),
        (["noPass"], None), (["conditionalFail"], "fail"), ([], None),
    ],
)  # fmt: skip
def test_the_verdict_is_that_of_all_statements(words, verdict):
    statements = "".join(
        statement("basic_conformity", element("dcc:conformity", word)) for word in words
    )
    assert good(dcc(statements=statements))[0].result == verdict


def test_without_a_statement_the_points_together_are_the_verdict():
    def judged(words):
        meta = element(
            "dcc:measurementMetaData",
            element(
                "dcc:metaData", element("dcc:conformityXMLList", words), refType="basic_conformity"
            ),
        )
        content = values("0.1 0.2", r"\percent") + meta
        return good(dcc(results=result(table(quantity("basic_measurementError", content)))))

    assert judged("pass pass")[0].result == "pass"
    assert judged("pass fail")[0].result == "fail"


def test_a_signature_is_told_not_checked():
    tail = "<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'>x</ds:Signature>"
    assert good(dcc(tail=tail))[0].source["signed"] is True


def with_error(content):
    return dcc(results=result(table(quantity("basic_measurementError", content))))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "not XML"),
        (b"no xml", "not XML"),
        (b"<a>", "not XML"),
        (b"<a/><b/>", "not XML"),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", "not XML"),
        (b"\xff\xfe\x00", "not XML"),
        ("<a/>", "no DCC: the root is 'a'"),
        (dcc().replace("ptb.de/dcc", "ptb.de/dcc2"), "no DCC"),
        (dcc(version="2.4.0"), "schemaVersion is '2.4.0'; read are those of 3.x"),
        (dcc(number=""), "uniqueIdentifier is missing"),
        (dcc(number="x" * 300), "uniqueIdentifier must be at most 256 printable"),
        (dcc(end="2026-02-30"), "endPerformanceDate: '2026-02-30' is no date"),
        (dcc(end="1500-01-01"), "no date of 1900 to 2200"),
        (dcc(begin="2026-03-04"), "endPerformanceDate is before beginPerformanceDate"),
        (dcc(begin="", end=""), "endPerformanceDate is missing"),
        (dcc(items=""), "items has no item"),
        (dcc(items=item(("owner", ""))), "value is missing"),
        (dcc(statements=statement("basic_recalibration", element("dcc:period", "PT4H"))),
         "period: 'PT4H' is no period"),
        (dcc(statements=statement("basic_recalibration", element("dcc:period", "P999Y"))),
         "period: "),
        (with_error(values("1 x", r"\one")), "'x' is no number"),
        (with_error(values("NaN", r"\one")), "no finite number"),
        (with_error(values("1 2 3", r"\one \one")), "3 values and 2 units"),
        (with_error(values("1 " * 1001, r"\one")), "1001 values, at most 1000"),
        (with_error(real("1", "")), "the unit is missing"),
    ],
)  # fmt: skip
def test_what_is_no_certificate_is_refused_with_its_line(text, why):
    _, faults, _ = read(text)
    assert why in "\n".join(faults)
    assert all(fault.startswith("c.xml:") and fault.split(":")[1].isdigit() for fault in faults)


def test_every_fault_of_a_certificate_is_told_at_once():
    _, faults, _ = read(dcc(number="", begin="x", issued="y", items=""))
    assert len(faults) == 4


DOCTYPES = {
    "billion laughs": "<!DOCTYPE d [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]>",
    "a file": "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>",
    "the network": "<!DOCTYPE d SYSTEM 'http://192.0.2.1/evil.dtd'>",
    "parameters": "<!DOCTYPE d [<!ENTITY % p SYSTEM 'http://192.0.2.1/p'> %p;]>",
}


@pytest.mark.parametrize("attack", DOCTYPES)
def test_entities_and_outside_documents_are_refused(attack):
    _, faults, _ = read(dcc(head=DOCTYPES[attack], number="&b;"))
    assert faults == ["c.xml:1: a document type is not allowed: it could define entities"]


def test_depth_number_and_size_are_bounded():
    depth = xml_tree.MAX_DEPTH
    xml_tree.parse(b"<a>" * depth + b"</a>" * depth)
    for data, why in (
        (b"<a>" * 10**6, "nested deeper than 64"),
        (b"<a>" + b"<b/>" * xml_tree.MAX_ELEMENTS + b"</a>", "more than 200,000 elements"),
        (b"<a>" + b" " * xml_tree.MAX_BYTES, "bytes, at most"),
    ):
        with pytest.raises(xml_tree.XmlError, match=why):
            xml_tree.parse(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_certificate_or_refused(data):
    read(data)


SPECIMEN = dcc(statements=NEXT + PASSED).encode()


@settings(max_examples=120)
@given(st.lists(st.tuples(st.integers(0, len(SPECIMEN) - 1), st.integers(0, 255)), max_size=8),
       st.integers(0, len(SPECIMEN)))  # fmt: skip
def test_a_spoilt_certificate_is_read_or_refused(changes, cut):
    spoilt = bytearray(SPECIMEN)
    for at, byte in changes:
        spoilt[at] = byte
    read(bytes(spoilt))
    read(bytes(spoilt[:cut]))


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        (r"\metre\tothe{3}\hour\tothe{-1}", "m3/h"), (r"\metre\tothe{3}\per\hour", "m3/h"),
        (r"\kilo\watt\hour", "kWh"), (r"\kilogram\metre\tothe{-3}", "kg/m3"),
        (r"\litre\tothe{-1}", "1/L"), (r"\milli\litre", "mL"), (r"\degreecelsius", "Cel"),
        (r"\one", "1"), (r"\furlong", r"\furlong"), (r"\kilo", r"\kilo"),
        (r"\kilo\milli\metre", r"\kilo\milli\metre"), ("|cup", "|cup"),
    ],
)  # fmt: skip
def test_units_of_the_d_si_are_ucum_codes_where_there_is_one(unit, code):
    assert ucum(unit) == code


# From the certificate to the device.

DISPENSER = Device(
    device_id="fd-1", kind="fuel_dispenser", vendor="ACME", model="F2", serial_number="SN-77",
    parameters={"k_factor": 100},
)  # fmt: skip
VERIFIED = nanoseconds("2026-03-03T00:00:00+08:00")


@pytest.fixture
def take(tmp_path):
    """``take(*texts, devices=…)``: what an import of certificates makes, and the casebook after."""

    def run(*texts, devices=(DISPENSER,), **options):
        paths = []
        for number, text in enumerate(texts):
            paths.append(tmp_path / f"c{number}.xml")
            paths[-1].write_text(text)
        with Casebook(tmp_path / "data", clock=ManualClock(VERIFIED + 30 * DAY)) as casebook:
            casebook.import_devices(devices, source="devices", actor="me")
            told = read_files(paths, zone=SHANGHAI)
            made = casebook.import_read(told, source="certificates", actor="me", **options)
            return made, casebook.devices(), casebook.records("certificate"), casebook.audit()

    return run


def test_a_certificate_begins_a_version_of_the_device_on_the_day_of_the_verification(take):
    made, registry, (certificate,), audit = take(dcc(statements=NEXT + PASSED))
    assert made.faults == made.warnings == []
    assert isinstance(certificate, Certificate)
    assert certificate.device_id == "fd-1"
    assert len(certificate.errors) == 3
    before, after = registry.at("fd-1", VERIFIED - 1), registry.at("fd-1", VERIFIED)
    assert (before.certificate, after.certificate) == (None, "JL-2026-0815")
    assert after.verified_until == nanoseconds("2026-09-02T23:59:59+08:00")
    assert after.parameters == before.parameters == {"k_factor": 100}
    assert {entry.action for entry in audit} == {"device.import", "device.change"}
    (entry,) = (entry for entry in audit if entry.action == "device.change")
    assert entry.detail["fields"]["certificate"] == {"before": None, "after": "JL-2026-0815"}
    assert entry.detail["valid_from"] == "2026-03-02T16:00:00Z"


def test_the_same_certificate_again_changes_nothing(take):
    text = dcc(statements=NEXT + PASSED)
    take(text)
    made, registry, certificates, _ = take(text)
    assert (made.changes, made.unchanged) == ([], 1)
    assert len(certificates) == 1
    assert len(registry.versions("fd-1")) == 2


def test_a_failed_verification_is_kept_and_prolongs_nothing(take):
    failed = statement("basic_conformity", element("dcc:conformity", "fail"))
    _, registry, (certificate,), _ = take(dcc(statements=NEXT + failed))
    assert certificate.result == "fail"
    assert registry.versions("fd-1") == (DISPENSER,)


def test_versions_that_followed_take_the_certificate_over_until_another_one(take):
    moved = Device(**{**as_dict(DISPENSER), "site": "st-9", "valid_from": VERIFIED + DAY})
    newer = Device(
        **{**as_dict(moved), "certificate": "B", "verified_at": VERIFIED + 2 * DAY,
           "valid_from": VERIFIED + 2 * DAY}
    )  # fmt: skip
    _, registry, _, _ = take(dcc(statements=NEXT), devices=(DISPENSER, moved, newer))
    assert [(v.certificate, v.site) for v in registry.versions("fd-1")] == [
        (None, None), ("JL-2026-0815", None), ("JL-2026-0815", "st-9"), ("B", "st-9"),
    ]  # fmt: skip


def as_dict(device):
    return {name: getattr(device, name) for name in Device.__struct_fields__}


def test_an_older_certificate_is_kept_beside_the_newer_one(take):
    newer = Device(**{**as_dict(DISPENSER), "certificate": "B", "verified_at": VERIFIED + DAY})
    _, registry, certificates, _ = take(dcc(statements=NEXT), devices=(newer,))
    assert registry.versions("fd-1") == (newer,)
    assert {c.number for c in certificates} == {"B", "JL-2026-0815"}


def test_a_device_and_its_certificate_may_come_in_one_import(tmp_path):
    (tmp_path / "d.jsonl").write_text('{"device_id": "fd-2", "serial_number": "SN-77"}\n')
    (tmp_path / "c.xml").write_text(dcc(statements=NEXT))
    told = read_files([tmp_path / "c.xml", tmp_path / "d.jsonl"], zone=SHANGHAI)
    with Casebook(tmp_path / "data") as casebook:
        made = casebook.import_read(told, source="x", actor="me")
        assert made.faults == []
        assert casebook.devices()["fd-2"].certificate == "JL-2026-0815"


@pytest.mark.parametrize(
    ("numbers", "devices", "options", "why"),
    [
        ((("owner", "nobody"),), (DISPENSER,), {}, "no device has 'nobody' as device_id or"),
        ((("owner", "fd-1"), ("customer", "fd-2")),
         (DISPENSER, Device(device_id="fd-2")), {}, "several devices, fd-1, fd-2"),
        ((("owner", "fd-1"), ("manufacturer", "SN-1")), (DISPENSER,), {},
         "its serial number is 'SN-1', the registry has 'SN-77'"),
        (SERIAL, (DISPENSER, Device(device_id="x", serial_number="SN-77")), {},
         "is the serial number of several devices, fd-1, x"),
        (SERIAL, (DISPENSER,), {"device_id": "y"}, "no device 'y' is registered"),
    ],
)  # fmt: skip
def test_an_item_that_is_no_device_for_sure_is_bound_to_none(take, numbers, devices, options, why):
    made, registry, certificates, _ = take(dcc(items=item(*numbers)), devices=devices, **options)
    assert why in "\n".join(made.faults)
    assert certificates == []
    assert list(registry.values()) == sorted(devices, key=lambda device: device.device_id)


def test_maker_and_model_tell_devices_of_the_same_number_apart(take):
    twin = Device(device_id="wm-9", vendor="Other", serial_number="SN-77")
    _, registry, _, _ = take(dcc(statements=NEXT), devices=(DISPENSER, twin))
    assert registry["fd-1"].certificate == "JL-2026-0815"
    assert registry["wm-9"].certificate is None


def test_a_device_that_is_named_needs_no_number(take):
    made, registry, _, _ = take(
        dcc(items=item(("owner", "foo")), statements=NEXT), device_id="fd-1"
    )
    assert made.faults == []
    assert registry["fd-1"].certificate == "JL-2026-0815"
    both = take(dcc(), dcc(number="2"), device_id="fd-1")[0]
    assert both.faults == ["--device is for a single certificate of a single item"]


def test_another_vendor_than_the_registrys_is_said(take):
    made, *_ = take(dcc(statements=NEXT, items=item(*SERIAL, manufacturer="Bolt")))
    assert [w.partition(": ")[2] for w in made.warnings] == [
        "the certificate says vendor 'Bolt', the registry 'ACME' for device fd-1"
    ]


def test_a_certificate_without_validity_is_told(take):
    made, registry, _, _ = take(dcc())
    assert "it says no validity (--valid-for sets one)" in made.warnings[0]
    assert registry["fd-1"].verified_until is None


def test_two_items_of_one_device_are_one_certificate(take):
    items = item(*SERIAL, identity="n1") + item(*SERIAL, identity="n2")
    results = result(dispenser_table(), refId="n1") + result(dispenser_table(), refId="n2")
    _, _, (certificate,), _ = take(dcc(items=items, results=results, statements=NEXT))
    assert len(certificate.errors) == 6


def test_other_content_under_the_same_number_needs_the_word_correct(take):
    take(dcc(statements=NEXT))
    later = statement("basic_recalibration", element("dcc:date", "2027-09-02"))
    made, registry, _, _ = take(dcc(statements=later), devices=())
    assert "certificate fd-1 JL-2026-0815" in made.faults[0]
    assert "say --correct" in made.faults[0]
    made, registry, _, _ = take(dcc(statements=later), devices=(), correct=True)
    assert made.faults == []
    assert registry["fd-1"].verified_until == nanoseconds("2027-09-02T23:59:59+08:00")


def test_a_certificate_may_be_a_line_of_the_registry_too(tmp_path):
    line = {
        "record": "certificate", "device_id": "fd-1", "number": "K-1",
        "verified_at": "2026-03-01T00:00:00+08:00", "valid_until": "2026-09-01T00:00:00+08:00",
        "laboratory": "lab", "result": "pass",
        "errors": [{"flow_rate": {"value": 30, "unit": "L/min"},
                    "error": {"value": 0.1, "unit": "%"}}],
    }  # fmt: skip
    (tmp_path / "c.jsonl").write_text(json.dumps(line) + "\n")
    told = read_files([tmp_path / "c.jsonl"])
    assert told.faults == []
    with Casebook(tmp_path / "data") as casebook:
        casebook.import_read(Read(entries=[Entry("d:1", DISPENSER)]), source="d", actor="me")
        assert casebook.import_read(told, source="c", actor="me").faults == []
        assert casebook.records("certificate") == [told.entries[0].record]
        assert casebook.devices()["fd-1"].certificate == "K-1"
