"""Data quality on the command line."""

import contextlib
import csv
import datetime as dt
import io
import json
import shutil

import pytest
import structlog
from typer.testing import CliRunner

from gateway.cli import app
from tests.cli.conftest import capture, reading

DATE = ("--date", "2026-03-01")


def lines(result):
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """A data directory with twenty readings of two meters and one message that is no JSON."""
    folder = tmp_path_factory.mktemp("quality")
    records = [reading(i, device=device) for i in range(10) for device in ("e1", "e2")]
    records.append(reading(10) | {"payload": "not json"})
    file = capture(folder / "c.jsonl", records)
    words = ["replay", str(file), "--data", str(folder / "data")]
    assert CliRunner().invoke(app, words).exit_code == 0
    structlog.reset_defaults()
    return folder / "data"


@pytest.fixture
def replayed(made_once, tmp_path):
    """A copy of it for one test."""
    return shutil.copytree(made_once, tmp_path / "data")


@pytest.fixture
def quality(gateway, replayed):
    """``quality(…)``: the command over the data."""

    def run(*words):
        return gateway("quality", "--data", replayed, *words)

    return run


def test_every_device_has_its_scores_and_counts(quality):
    e1, e2 = lines(quality("--json", *DATE))
    assert (e1["device"], e1["date"], e1["kind"]) == ("e1", "2026-03-01", "electricity_meter")
    assert (e1["readings"], e1["quarantined"], e1["conformity"]) == (10, 1, round(10 / 11, 6))
    assert (e2["readings"], e2["completeness"], e2["accuracy"], e2["overall"]) == (10, 1, 1, 100)
    assert "traceability" not in e1


def test_groups_are_of_the_registry(quality, gateway, replayed, tmp_path):
    (tmp_path / "r.jsonl").write_text(
        '{"device_id": "e1", "region": "110105", "vendor": "ACME", "verified_until":'
        ' "2027-01-01T00:00:00Z"}\n'
    )
    gateway("device", "import", tmp_path / "r.jsonl", "--data", replayed)
    found = {each["region"]: each for each in lines(quality("--json", "--by", "region", *DATE))}
    assert found["110105"]["traceability"] == 1
    assert found[None]["traceability"] == 0
    assert "ACME" in quality("--by", "vendor", "--lang", "en", *DATE).stdout


def test_a_table_is_in_the_language_of_the_reader_and_csv_is_for_machines(quality):
    zh = quality("--lang", "zh", *DATE).stdout
    for word in ("完整性", "准确性", "一致性", "时效性", "规范性", "可追溯性"):
        assert word in zh
    assert "completeness" in quality("--lang", "en", *DATE).stdout
    rows = list(csv.DictReader(io.StringIO(quality("--csv", *DATE).stdout)))
    assert [row["device"] for row in rows[:2]] == ["e1", "e2"]
    assert (rows[0]["readings"], rows[0]["traceability"]) == ("10", "")


def test_a_long_table_has_the_worst():
    from gateway.cli.quality_report import print_assessments  # noqa: PLC0415
    from gateway.messages import Texts  # noqa: PLC0415
    from gateway.quality.assess import Assessment  # noqa: PLC0415
    from gateway.quality.dimensions import Counts, scores  # noqa: PLC0415

    many = [
        Assessment(f"d{n:03d}", None, None, counts, scores(counts))
        for n in range(120)
        for counts in [Counts(readings=1000, late=120 - n)]
    ]
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        day = dt.date(2026, 3, 1)
        print_assessments(many, (day, day, "UTC"), Texts("en"))
    assert "the 100 worst of 120" in told.getvalue()
    assert "d000" in told.getvalue()
    assert "d119" not in told.getvalue()


def test_several_days_are_told_one_by_one_or_as_one(quality):
    span = ("--since", "2026-03-01", "--until", "2026-03-03")
    assert {each["date"] for each in lines(quality("--json", *span))} == {"2026-03-01"}
    total = lines(quality("--json", "--total", *span))
    assert all("date" not in each for each in total)
    # Without a day, that of the latest receipt.
    assert len(lines(quality("--json"))) == len(lines(quality("--json", *DATE)))
    assert quality("--json", "--date", "2020-01-01").stdout == ""
    assert "no readings" in quality("--lang", "en", "--date", "2020-01-01").stdout


def test_what_is_behind_a_device_is_shown(quality):
    told = json.loads(quality("--device", "e1", "--json", *DATE).stdout)
    assert (told["device"], told["readings"], len(told["days"])) == ("e1", 10, 1)
    shown = quality("--device", "e1", "--lang", "en", *DATE).stdout
    assert "(10 - 0) / 10" in shown
    assert "not assessed" in shown


@pytest.mark.parametrize(("scheme", "code"), [("espi", "14"), ("iec61968-9", None)])
def test_readings_are_exported_with_the_codes_of_others(gateway, replayed, scheme, code):
    plain = lines(gateway("export", "readings", "--data", replayed))
    coded = lines(gateway("export", "readings", "--data", replayed, "--quality-codes", scheme))
    assert coded == [each | ({} if code is None else {"quality_code": code}) for each in plain]
    table = gateway(
        "export", "readings", "--data", replayed, "--quality-codes", scheme, "--format", "csv"
    ).stdout
    assert table.splitlines()[0].endswith("quality_code")
    for wrong in (("flags",), ("readings", "--format", "lp")):
        words = ("export", *wrong, "--data", replayed, "--quality-codes", scheme)
        assert gateway(*words).exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--date", "today"),
        ("--date", "2026-03-01", "--since", "2026-03-01"),
        ("--since", "2026-03-02", "--until", "2026-03-02"),
        ("--until", "2026-03-02"),
        ("--since", "2020-01-01", "--until", "2026-03-02"),
        ("--zone", "Mars"),
        ("--json", "--csv"),
        ("--device", "e1", "--csv"),
        ("--by", "weather"),
    ],
)
def test_what_cannot_be_meant_is_refused(quality, words):
    assert quality(*words).exit_code == 2


def test_groups_by_firmware_have_their_model(quality):
    (row,) = csv.DictReader(io.StringIO(quality("--by", "firmware", "--csv", *DATE).stdout))
    assert list(row)[:3] == ["firmware", "model", "date"]
    assert (row["firmware"], row["model"], row["devices"]) == ("", "reference", "2")
    shown = quality("--by", "firmware", "--lang", "zh", *DATE).stdout
    assert "reference" in shown
    assert "固件不明" in shown
