"""Reports over HTTP: the form that is asked for, and no more than the account may see."""

import io

import pytest
from pypdf import PdfReader

from gateway.messages import Texts

pytestmark = pytest.mark.xdist_group("api-matrix")
FLAG = "/api/v1/flags/flag-w-330106-acme/report"
DISTRICT = "/api/v1/report?week=2023-W46"


def test_the_form_and_the_language_are_what_the_reader_accepts(bureau):
    client = bureau.client("zhang")
    for address in (FLAG, DISTRICT):
        for headers, query, media in (
            ({}, "", "text/html"),
            ({"Accept": "application/pdf"}, "", "application/pdf"),
            ({"Accept": "text/html"}, "format=pdf", "application/pdf"),
        ):
            joined = address + ("&" if "?" in address else "?") + query
            answer = client.get(joined, headers=headers)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(media)
            assert answer.headers["cache-control"] == "no-store"
            assert "inline" in answer.headers["content-disposition"]
        chinese = client.get(address, headers={"Accept-Language": "zh-CN,zh;q=0.9"}).text
        title = "证据报告" if address == FLAG else "辖区报告"
        assert title in chinese
        assert title not in client.get(address).text


def test_a_pdf_can_be_read_back(bureau):
    answer = bureau.client("zhang").get(f"{FLAG}?format=pdf&language=zh")
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)
    for word in ("证据报告", "w-330106-acme", "zhang", "owner of 330106"):
        assert word in text


@pytest.mark.parametrize(
    ("name", "shown", "hidden"),
    [
        ("zhang", ["owner of 330106", "SN330106ACMEw", "payload of", "site 330106"], []),
        ("viewer", ["site 330106"], ["owner of", "SN330106ACMEw", "payload of meters"]),
        ("acme", ["SN330106ACMEw"], ["owner of", "site 330106", "payload of meters", "330108"]),
    ],
)
def test_a_report_shows_what_the_account_may_see_elsewhere(bureau, name, shown, hidden):
    text = bureau.client(name).get(FLAG).text
    for word in shown:
        assert word in text
    for word in hidden:
        assert word not in text
    right = Texts("en")("evidence.no_message_right")
    assert (right in text) == (name != "zhang")


def test_who_decided_and_why_is_not_for_a_vendor(bureau):
    address = "/api/v1/flags/flag-f-330106-acme"
    body = {"action": "acknowledge", "reason": "called the owner"}
    assert bureau.client("zhang").post(f"{address}/events", json=body).status_code == 201
    assert "called the owner" in bureau.client("viewer").get(f"{address}/report").text
    told = bureau.client("acme").get(f"{address}/report").text
    assert "called the owner" not in told
    assert "zhang" not in told


def test_another_district_is_not_there_and_a_vendor_has_no_district(bureau):
    assert bureau.client("wang").get(FLAG).status_code == 404
    assert bureau.client("zhang").get(f"{DISTRICT}&region=310101").status_code == 403
    assert bureau.client("acme").get(DISTRICT).status_code == 403
    assert bureau.client("zhang").get("/api/v1/report").status_code == 400
    assert bureau.client("zhang").get("/api/v1/report?week=2023-W99").status_code == 400


def test_a_look_at_what_tells_of_people_is_in_the_audit(bureau):
    def looks():
        entries = bureau.casebook.audit(limit=10_000)
        return [e for e in entries if e.action == "look.report"]

    before = len(looks())
    bureau.client("zhang").get(FLAG)
    bureau.client("zhang").get("/api/v1/flags/flag-f-330106-acme/report")
    (entry,) = looks()[: len(looks()) - before]
    assert (entry.actor, entry.subject) == ("zhang", "w-330106-acme")
    assert entry.detail["flag"] == "flag-w-330106-acme"
