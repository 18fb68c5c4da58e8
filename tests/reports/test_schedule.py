"""Reports that the running gateway writes: when they are due, whole files, and trouble."""

import asyncio
import datetime as dt

import pytest

from gateway.reports.periods import ZONE
from gateway.reports.schedule import Reports, Schedule
from gateway.times import SECOND
from tests.reports.conftest import PROFILES_USED
from tests.reports.reading_back import pdf_text

pytestmark = pytest.mark.xdist_group("reports")


def at(text):
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()) * SECOND


def schedule(folder, **fields):
    given = {
        "region": "330106", "period": "week", "folder": folder, "language": "zh", "form": "pdf",
        "after_hours": 6.0,
    }  # fmt: skip
    return Schedule(**(given | fields))


@pytest.mark.parametrize(
    ("now", "period", "latest"),
    [
        ("2026-01-19T05:59:59", "week", "2026-W02"),
        ("2026-01-19T06:00:00", "week", "2026-W03"),
        ("2026-01-25T23:59:59", "week", "2026-W03"),
        ("2026-03-01T05:59:59", "month", "2026-01"),
        ("2026-03-01T06:00:00", "month", "2026-02"),
    ],
)
def test_a_period_is_due_when_it_is_over_and_late_data_have_had_their_time(
    tmp_path, now, period, latest
):
    assert schedule(tmp_path, period=period).latest(at(now)).name == latest


def test_what_is_due_is_written_once_and_again_when_somebody_deletes_it(made, tmp_path):
    wanted = schedule(tmp_path / "new" / "folder")
    reports = Reports(
        [wanted], made.data, profiles=PROFILES_USED, by="gateway north",
        clock=lambda: at("2026-01-20T00:00:00"),
    )  # fmt: skip
    assert asyncio.run(reports.write(wanted))
    (file,) = wanted.folder.iterdir()
    assert file.name == "report-330106-2026-W03-zh.pdf"
    assert "gatewaynorth" in pdf_text(file.read_bytes())
    file.write_bytes(b"kept")
    assert asyncio.run(reports.write(wanted))
    assert file.read_bytes() == b"kept"
    assert list(wanted.folder.iterdir()) == [file]


def test_trouble_leaves_no_half_file_and_is_tried_again_later(tmp_path):
    wanted = schedule(tmp_path / "reports")
    reports = Reports([wanted], tmp_path / "no data", profiles=(), by="g")
    assert not asyncio.run(reports.write(wanted))
    assert list(wanted.folder.iterdir()) == []
    (tmp_path / "file").write_text("in the way")
    blocked = schedule(tmp_path / "file" / "reports")
    assert not asyncio.run(reports.write(blocked))


def test_a_gateway_that_stops_does_not_wait_for_a_report(made, tmp_path):
    wanted = schedule(tmp_path)
    reports = Reports([wanted], made.data, profiles=PROFILES_USED, by="g")

    async def stopped_at_once():
        running = asyncio.create_task(reports.run())
        await asyncio.sleep(0.3)
        running.cancel()
        await asyncio.wait_for(asyncio.gather(running, return_exceptions=True), 3)

    asyncio.run(stopped_at_once())
    assert not any(each.suffix == ".pdf" and each.name[0] != "." for each in tmp_path.iterdir())
