"""The evidence of a flag: read back from the paper, and computed again without us."""

import io
import json
import re
import subprocess

import pytest
from pypdf import PdfReader

from gateway.checks import CATALOGUE
from gateway.checks.catalogue.spoken import clause, meaning
from gateway.messages import Texts
from gateway.reports.evidence import evidence_report
from gateway.reports.finding import _tariff
from gateway.reports.form import made as written
from gateway.reports.words import moment_of
from tests.reports.conftest import PROFILE_OPTIONS
from tests.reports.reading_back import html_text, listings, pdf_text, squeezed

pytestmark = pytest.mark.xdist_group("reports")
HEADINGS = (
    "device_title", "finding_title", "recompute_title", "around_title", "clause_title",
    "message_title", "stages_title", "proof_title", "check_title", "history_title", "about_title",
)  # fmt: skip


@pytest.fixture(scope="module")
def decided(made):
    """A flag about money, acknowledged and confirmed by a person."""
    flag = made.flag("amount_mismatch")
    for action, reason in (("acknowledge", "去现场核查"), ("confirm", "价格 <b>& 金额不符")):
        words = ("flag", action, flag["id"], "--data", made.data, "--actor", "li.wei")
        assert made.run(*words, "--reason", reason).exit_code == 0
    return flag


@pytest.fixture(scope="module")
def papers(decided, made):
    """The report of that flag in both forms and languages."""
    with made.request() as request:
        return {
            (form, language): written(
                evidence_report(request, decided["id"], Texts(language)), form
            )
            for form in ("html", "pdf")
            for language in ("en", "zh")
        }


def registered_then(made, flag):
    """What the registry file has of a device, with the certificate that was the latest then."""
    lines = [json.loads(line) for line in (made.folder / "r.jsonl").read_text().splitlines()]
    mine = [each for each in lines if each.get("device_id") == flag["device_id"]]
    return max(
        (each for each in mine if each.get("verified_at", "9") <= flag["from"]),
        key=lambda each: each["verified_at"],
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_both_forms_say_the_same_and_all_of_it(papers, decided, made, language):
    texts = Texts(language)
    exported = {each["id"]: each for each in made.lines("export", "flags", "--format", "jsonl")}
    flag = exported[decided["id"]]
    evidence = flag["evidence"]
    device = registered_then(made, flag)
    means = meaning(CATALOGUE[flag["code"]], language)
    expected = [
        *(texts(f"evidence.{each}") for each in HEADINGS),
        flag["title"][language], flag["code"], flag["device_id"], flag["profile"],
        clause(flag["basis"], language), means.doc, means.tolerance,
        moment_of(flag["from"]), str(flag["ledger_offset"]), flag["channel"],
        device["owner"], device["site"], device["certificate"], device["serial_number"],
        moment_of(device["verified_until"]),
        f"{evidence['observed']:g}", f"{evidence['tolerance']:g}", evidence["formula"],
        "wang.fang", "li.wei", "去现场核查", "价格 <b>& 金额不符",
        texts("action.confirm"), texts("status.confirmed"), texts("evidence.verified"),
    ]  # fmt: skip
    for text in (pdf_text(papers["pdf", language]), html_text(papers["html", language])):
        for each in expected:
            assert squeezed(each) in text, each


def test_the_steps_give_what_was_expected(papers, decided):
    evidence = decided["evidence"]
    price, volume = evidence["inputs"]["unit_price"], evidence["inputs"]["volume"]
    text = html_text(papers["html", "en"])
    assert squeezed(f"{price:g} × {volume:g} = {evidence['expected']:.10g}") in text
    difference = evidence["observed"] - evidence["expected"]
    assert squeezed(f"= {difference:.8g}") in text
    assert abs(difference) > evidence["tolerance"]


def test_the_paper_and_two_old_commands_are_enough_to_check_the_proof(papers, decided, made):
    """What is printed is typed into a shell, as a stranger would do it."""
    shown = listings(papers["html", "en"])
    dump = next(each for each in shown if each.startswith("000000  "))
    digits = "".join(re.sub(r"\s", "", line[8:55]) for line in dump.splitlines())
    payload, chain, content = (each for each in shown if "sha256sum" in each)
    number = decided["ledger_offset"]
    batch = re.search(r"sha256sum (batch-\d+\.msgpack)", content)[1]
    words = ("ledger", "prove", number, "--data", made.data, "-o", made.folder / batch, "--json")
    assert made.run(*words).exit_code == 0
    typed = re.sub(r"<[^>]*>", digits, payload)
    for script in (typed, chain, content):
        wanted = re.findall(r"(?m)^# ([0-9a-f]{64})$", script)
        done = subprocess.run(
            ["sh", "-c", script], cwd=made.folder, capture_output=True, text=True, check=True
        )
        assert [line.split()[0] for line in done.stdout.splitlines()] == wanted
    altered = digits[:-2] + ("00" if digits[-2:] != "00" else "01")
    done = subprocess.run(
        ["sh", "-c", re.sub(r"<[^>]*>", altered, payload)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split()[0] not in payload


def test_the_pdf_is_for_the_archive_its_fonts_are_in_it_and_its_plots_are_lines(papers):
    reader = PdfReader(io.BytesIO(papers["pdf", "zh"]))
    assert b"pdfaid:part>2" in papers["pdf", "zh"]
    fonts = [
        font.get_object()
        for page in reader.pages
        for font in page["/Resources"].get("/Font", {}).values()
    ]
    assert fonts
    for font in fonts:
        assert font["/Subtype"] == "/Type0"
        descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"]
        assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor.get_object())
    assert not any(page.images for page in reader.pages)
    assert papers["html", "zh"].count(b"<svg") == 2


def test_html_needs_nothing_and_runs_nothing(papers):
    text = papers["html", "zh"].decode()
    for word in ("<script", "http://", "https://", "javascript:", " style=", " onload", "<img"):
        assert word not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "价格 &lt;b&gt;&amp; 金额不符" in text


def test_a_binary_message_is_told_byte_by_byte_with_the_one_before_it(made):
    flag = made.flag("register_decrease")
    with made.request() as request:
        content = written(evidence_report(request, flag["id"], Texts("en")), "html")
    dumps = [each for each in listings(content) if each.startswith("000000  ")]
    (before,) = made.lines(
        "ledger", "show", "--offset", flag["evidence"]["previous_ledger_offset"],
        "--count", 1, "--json",
    )  # fmt: skip
    assert len(dumps) == 2
    printed = "".join(re.sub(r"\s", "", line[8:55]) for line in dumps[1].splitlines())
    assert printed == before["payload_hex"]
    text = html_text(content)
    assert "meters[0].values.00010000" in text
    assert text.count(squeezed(Texts("en")("evidence.verified"))) == 2


@pytest.mark.parametrize("form", ["pdf", "html"])
def test_the_command_writes_the_file_that_its_name_asks_for(made, decided, form):
    file = made.folder / f"evidence.{form}"
    words = ("flag", "report", decided["id"], "--data", made.data, "-o", file, *PROFILE_OPTIONS)
    done = made.run(*words, "--language", "zh", "--actor", "zhao.min")
    assert done.exit_code == 0, done.stderr
    assert str(file) in done.stderr
    text = (pdf_text if form == "pdf" else html_text)(file.read_bytes())
    assert squeezed("制作人 zhao.min") in text
    assert decided["id"] in text


def test_a_fare_comes_with_the_tariff_that_it_is_computed_by():
    assert "flagfall: {price: 13.00, includes: 3}" in _tariff("beijing-2013")
    for name in ("../tariffs/beijing-2013", "none", "*", None, {"low": 1}):
        assert _tariff(name) is None


def test_a_flag_that_is_not_there_and_a_file_of_no_form_are_told(made, tmp_path):
    done = made.run("flag", "report", "nope", "--data", made.data, "-o", tmp_path / "x.pdf")
    assert (done.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert "no flag 'nope'" in done.stderr
    done = made.run("flag", "report", "nope", "--data", made.data, "-o", tmp_path / "x.doc")
    assert done.exit_code == 2
    assert ".pdf or .html" in done.stderr
