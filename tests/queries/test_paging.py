"""Pages by key: together they are the whole list, each row once, whatever comes in between."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.roles import EVERYTHING, Scope
from gateway.errors import ConfigError
from gateway.flags.decisions import decide, suppress
from gateway.flags.query import Choice, Desk
from gateway.flags.states import STATUSES
from gateway.queries import flags as flag_queries
from gateway.queries import paging, trail
from gateway.queries import quarantine as quarantine_queries
from gateway.queries import readings as reading_queries
from gateway.queries.flags import FlagChoice
from gateway.queries.privacy import EXACT
from gateway.queries.quarantine import QuarantineChoice
from gateway.queries.readings import ReadingChoice
from gateway.queries.seen import NotFound, Seen
from gateway.queries.trail import AuditChoice
from gateway.times import nanoseconds
from tests.api.world import Bureau, devices
from tests.store.made import SECOND, START, flag, quarantined, reading, results

DEVICES = [device.device_id for device in devices()]


@pytest.fixture(scope="module")
def bureau(tmp_path_factory):
    """Seven hundred flags of which people have decided about some, some gone, some suppressed."""
    made = Bureau(tmp_path_factory.mktemp("pages"))
    chance = random.Random(7)
    flags = [
        flag(
            number, id=f"f{chance.randrange(10**9):09d}", device_id=chance.choice(DEVICES),
            since=START + chance.randrange(300) * SECOND,
            until=START + chance.randrange(300, 600) * SECOND,
            status=chance.choice(("open", "ended", "withdrawn")),
            severity=chance.choice(flag_queries.SEVERITIES),
        )
        for number in range(700)
    ]  # fmt: skip
    rows = [
        quarantined(5_000 + number // 3, device_id=chance.choice([*DEVICES, None]))
        for number in range(100)
    ]
    same_time = [
        reading(9_000 + number, device_id="w-330106-acme", measured_at=START + number // 4)
        for number in range(50)
    ]
    made.store.commit(results(same_time, flags, rows, next_offset=10_000))
    gone = [flag(number, id=f"gone{number}", device_id=DEVICES[number]) for number in range(5)]
    decided = chance.sample(flags, 60) + gone
    decide(made.casebook, "acknowledge", decided, actor="zhang")
    decide(made.casebook, "confirm", decided[:20], actor="zhang")
    suppress(
        made.casebook, since=START, until=START + 500 * SECOND, reason="work", actor="zhang",
        device_id=DEVICES[0],
    )  # fmt: skip
    made.api.world.directory.refresh()
    yield made
    made.close()


def _seen(bureau, scope=EVERYTHING):
    return Seen(bureau.api.world, scope, EXACT)


def _all(page, **more):
    items, cursor, pages = [], None, 0
    while True:
        found = page(cursor=cursor, **more)
        items += found.items
        cursor = found.next_cursor
        pages += 1
        assert pages < 1_000
        if cursor is None:
            return items


@pytest.mark.parametrize("limit", [23, 1_000])
@pytest.mark.parametrize("region", ["", "3301"])
@pytest.mark.parametrize(
    "statuses", [(), ("confirmed",), ("suppressed",), ("open", "acknowledged"), STATUSES]
)
def test_pages_of_flags_are_the_list_of_the_command_line(bureau, limit, region, statuses):
    seen = _seen(bureau, Scope(region, None))
    choice = FlagChoice(statuses=statuses)
    found = _all(lambda **more: flag_queries.page(seen, choice, **more), limit=limit)
    desk = Desk(bureau.store, bureau.casebook)
    expected = [
        view.flag.id
        for view in desk.views(Choice(statuses=statuses))
        if seen.sees(view.flag.device_id)
    ]
    assert [each["id"] for each in found] == expected


def test_a_flag_that_comes_between_two_pages_hides_and_doubles_none(bureau):
    seen = _seen(bureau)
    choice = FlagChoice(severity="critical")
    first = flag_queries.page(seen, choice, cursor=None, limit=20)
    newer = flag(1, id="between", device_id=DEVICES[0], since=START + 10**6 * SECOND,
                 until=START + 10**6 * SECOND, severity="critical")  # fmt: skip
    offset = bureau.store.checkpoint().next_offset + 1
    bureau.store.commit(results(flags=[newer], next_offset=offset))
    second = flag_queries.page(seen, choice, cursor=first.next_cursor, limit=20)
    ids = [each["id"] for each in (*first.items, *second.items)]
    assert len(set(ids)) == 40
    assert "between" not in ids


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_readings_of_one_moment_are_each_on_one_page(bureau, order):
    seen = _seen(bureau)

    def page(**more):
        return reading_queries.page(seen, "w-330106-acme", ReadingChoice(), order=order, **more)

    found = [each["ledger_offset"] for each in _all(page, limit=3)]
    assert len(found) == len(set(found)) == 62
    times = [nanoseconds(each["measured_at"]) for each in _all(page, limit=1_000)]
    assert times == sorted(times, reverse=order == "newest")


def test_rows_of_one_message_are_each_on_one_page(bureau):
    seen = _seen(bureau)
    small = _all(lambda **more: quarantine_queries.page(seen, QuarantineChoice(), **more), limit=4)
    large = _all(
        lambda **more: quarantine_queries.page(seen, QuarantineChoice(), **more), limit=999
    )
    assert small == large
    assert len(small) == 100 + len(DEVICES) + 2


def test_the_audit_is_paged_and_narrowed(bureau):
    seen = _seen(bureau)
    whole = _all(lambda **more: trail.page(seen, AuditChoice(), **more), limit=9)
    assert [each["id"] for each in whole] == sorted((each["id"] for each in whole), reverse=True)
    assert len(whole) == len(bureau.casebook.audit(limit=10_000))
    chosen = AuditChoice(action="flag.con", actor="zhang")
    assert len(_all(lambda **more: trail.page(seen, chosen, **more), limit=9)) == 20
    wild = AuditChoice(action="%")
    assert _all(lambda **more: trail.page(seen, wild, **more), limit=9) == []


def test_a_series_is_what_the_readings_come_to(bureau):
    seen = _seen(bureau)
    found = reading_queries.series(
        seen, "w-330108-acme", ReadingChoice(), quantities=("volume",), points=4
    )
    (line,) = found.series
    assert sum(line["count"]) == 12
    assert (min(line["min"]), max(line["max"]), line["last"][-1]) == (10.0, 21.0, 21.0)
    total = sum(n * mean for n, mean in zip(line["count"], line["mean"], strict=True))
    assert total == pytest.approx(sum(range(10, 22)))
    assert len(line["at"]) <= 4 + 1
    with pytest.raises(NotFound):
        reading_queries.series(_seen(bureau, Scope("31", None)), "w-330108-acme", ReadingChoice())


@given(
    since=st.integers(0, 10**18),
    span=st.integers(1, 10**18),
    points=st.integers(1, reading_queries.MOST_POINTS),
)
def test_a_bucket_is_wide_enough_and_of_whole_seconds(since, span, points):
    width = reading_queries.bucket(since, since + span, points)
    assert width % SECOND == 0
    assert width * points >= span


@given(st.text(max_size=60))
def test_any_text_is_a_cursor_or_told_to_be_none(text):
    try:
        key = paging.read(text, tuple[int, str])
    except ConfigError:
        return
    assert key is not None
    assert isinstance(key[0], int)


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.text(max_size=100))
def test_a_cursor_comes_back_as_it_was_written(number, text):
    assert paging.read(paging.written(number, text), tuple[int, str]) == (number, text)
