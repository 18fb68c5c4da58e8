"""A district's week on paper: its numbers are those of the exports, and of nobody else."""

import datetime as dt
from collections import Counter

import pytest

from gateway.access.roles import AccessDenied, Scope
from gateway.errors import ConfigError
from gateway.messages import Texts
from gateway.queries.privacy import Privacy
from gateway.queries.quality import QualityCounts
from gateway.queries.seen import Seen
from gateway.reports.district import district
from gateway.reports.district_paper import district_report
from gateway.reports.form import made as written
from gateway.reports.paper import Table
from gateway.reports.periods import checked, holding, month, week
from tests.reports.conftest import PROFILE_OPTIONS
from tests.reports.reading_back import html_text, pdf_text, squeezed

pytestmark = pytest.mark.xdist_group("reports")
WEEK = week("2026-W03")
REGIONS = ("330106", "310101")


@pytest.fixture(scope="module")
def told(made):
    """What the exports and the list of flags have, read before the store is opened for reports."""
    return {
        "devices": made.lines("export", "devices", "--format", "jsonl"),
        "readings": made.lines("export", "readings", "--format", "jsonl"),
        "flags": made.lines("flag", "list", "--json"),
        "quality": {
            region: made.lines("quality", "--by", "region", "--since", "2026-01-12", "--until",
                               "2026-01-19", "--total", "--json")
            for region in REGIONS
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def opened(made, told):
    """The data directory and the counts of its days, once `told` has been read."""
    assert told
    with made.request() as request:
        yield request, QualityCounts(request.seen.world)


@pytest.fixture(scope="module")
def counted(opened):
    """The counts of each district, and its paper in both forms and languages."""
    request, counts = opened
    found = {}
    for region in REGIONS:
        papers = {
            language: district_report(request, counts, region, WEEK, Texts(language))
            for language in ("en", "zh")
        }
        of = {lang: (pdf_text(written(paper, "pdf")), html_text(written(paper, "html")))
              for lang, paper in papers.items()}  # fmt: skip
        found[region] = district(request.seen, counts, region, WEEK), papers, of
    return found


def of_region(told, what, region):
    ids = {each["device_id"] for each in told["devices"] if each.get("region") == region}
    return [each for each in told[what] if each["device_id"] in ids]


@pytest.mark.parametrize("region", REGIONS)
def test_the_numbers_are_those_of_the_exports(told, counted, region):
    found, _, _ = counted[region]
    flags = of_region(told, "flags", region)
    assert flags
    assert found.flags == len(flags)
    by_code = Counter((each["code"], each["severity"]) for each in flags)
    assert {(each.code, each.severity): each.flags for each in found.codes} == by_code
    statuses = Counter((each["severity"], each["status"]) for each in flags)
    outcomes = {(s, status): n for s, of in found.outcomes.items() for status, n in of.items()}
    assert outcomes == statuses
    assert sum(map(sum, found.days.values())) == len(flags)
    devices = of_region(told, "devices", region)
    measured = {each["device_id"] for each in of_region(told, "readings", region)}
    assert sum(each.known for each in found.kinds.values()) == len(devices)
    assert sum(each.alive for each in found.kinds.values()) == len(measured)
    (line,) = [each for each in told["quality"][region] if each["region"] == region]
    assert found.quality.overall == pytest.approx(line["overall"], abs=0.01)
    assert sum(each["readings"] for each in found.vendors) == line["readings"]
    assert sum(each["readings"] for each in found.models) == line["readings"]
    worst = found.worst[0]
    most = Counter(each["device_id"] for each in flags if each["severity"] == "critical")
    assert not most or (worst.device_id, worst.severities["critical"]) == most.most_common(1)[0]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("region", REGIONS)
def test_the_paper_says_the_numbers_and_nothing_of_another_district(
    told, counted, region, language
):
    found, papers, of = counted[region]
    texts = Texts(language)
    for text in of[language]:
        for each in found.codes:
            title = next(f["title"] for f in told["flags"] if f["code"] == each.code)[language]
            assert squeezed(f"{title} ({each.code}) {each.flags}") in text
        for heading in ("alive", "flags", "outcome", "quality", "due", "worst"):
            assert squeezed(texts(f"district.{heading}_title")) in text
        others = [each for each in told["devices"] if each.get("region") != region]
        assert len(others) >= 2
        for each in others:
            for mark in (each["device_id"], each["region"], each.get("model", each["device_id"])):
                assert mark not in text
    tables = [block for block in papers[language].blocks if isinstance(block, Table)]
    assert len(tables) >= 5
    for table in tables:
        assert {len(row) for row in table.rows} <= {len(table.columns)}


def test_who_sees_one_district_gets_no_report_of_another(opened):
    request, counts = opened
    here = Seen(request.seen.world, Scope("330106", None), request.seen.privacy)
    assert district(here, counts, None, WEEK).scope.region == "330106"
    with pytest.raises(AccessDenied):
        district(here, counts, "310101", WEEK)
    vendor = Seen(request.seen.world, Scope("", "Reference"), Privacy(False, False))
    with pytest.raises(AccessDenied):
        district(vendor, counts, "330106", WEEK)


def test_a_week_without_anything_and_the_week_behind_are_told_apart(opened, told):
    request, counts = opened
    after = district(request.seen, counts, "330106", week("2026-W04"))
    before = district(request.seen, counts, "330106", week("2025-W10"))
    paper = district_report(request, counts, "330106", week("2025-W10"), Texts("en"))
    flags = len(of_region(told, "flags", "330106"))
    assert (after.flags, after.flags_before) == (0, flags)
    assert [(k.alive, k.silent, k.before) for k in after.kinds.values()] == [(0, 2, 2)]
    assert (before.flags, before.worst) == (0, [])
    assert [(k.alive, k.silent, k.never) for k in before.kinds.values()] == [(0, 0, 2)]
    assert squeezed(Texts("en")("district.no_flags")) in pdf_text(written(paper, "pdf"))


def test_verifications_fall_due(opened, told):
    request, counts = opened
    lines = of_region(told, "devices", "330106")
    ends = sorted(each["verified_until"] for each in lines)
    last = dt.datetime.fromisoformat(ends[-1]).date()
    found = district(request.seen, counts, "330106", holding("week", last).before)
    due = {(each.device.device_id, each.state) for each in found.due}
    assert {name for name, _ in due} == {each["device_id"] for each in lines}
    assert {"expiring"} <= {state for _, state in due} <= {"expiring", "expired"}


def test_the_command_writes_it_and_refuses_what_makes_no_sense(made, tmp_path):
    file = tmp_path / "week.pdf"
    words = ("report", "--data", made.data, "--region", "3301", "--week", "2026-W03", "-o", file)
    done = made.run(*words, "--language", "zh", *PROFILE_OPTIONS)
    assert done.exit_code == 0, done.stderr
    text = pdf_text(file.read_bytes())
    assert "辖区报告" in text
    assert "浙江" in text
    assert "310101" not in text
    for wrong in (
        (), ("--month", "2026-13"), ("--week", "2026-W60"), ("--month", "1066-01"),
        ("--month", "2026-01", "--week", "2026-W03"), ("--week", "2026-W03", "--region", "abc"),
    ):  # fmt: skip
        assert made.run("report", "--data", made.data, *wrong).exit_code == 2


@pytest.mark.parametrize(
    ("period", "first", "last", "before"),
    [
        (week("2026-W01"), "2025-12-29", "2026-01-04", "2025-W52"),
        (week("2026-W53"), "2026-12-28", "2027-01-03", "2026-W52"),
        (month("2024-02"), "2024-02-01", "2024-02-29", "2024-01"),
        (month("2026-01"), "2026-01-01", "2026-01-31", "2025-12"),
    ],
)
def test_periods_are_those_of_the_calendar(period, first, last, before):
    assert (str(period.first), str(period.last)) == (first, last)
    assert period.before.name == before
    assert (period.end - period.begin) == len(period.days) * 86_400 * 10**9
    assert checked(period.name if period.kind == "month" else None,
                   period.name if period.kind == "week" else None) == period  # fmt: skip


@pytest.mark.parametrize("text", ["", "2026", "2026-W00", "2025-W53", "2026-00", "9999-W53", "x"])
def test_what_is_no_period_is_refused(text):
    for read in (week, month):
        with pytest.raises(ConfigError, match="write it like"):
            read(text)
