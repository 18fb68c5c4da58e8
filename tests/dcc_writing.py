"""Digital calibration certificates (DCC 3) as laboratories write them, for tests."""

from zoneinfo import ZoneInfo

from gateway.certificates import read_certificate

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
