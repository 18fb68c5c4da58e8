"""The score's arithmetic on cases made by hand."""

from __future__ import annotations

import pytest

from simulators.capture import BadLine
from simulators.score import read_flags, read_truth, score

HOUR = 3_600_000


def flag(device="a", code="x", at="08:00:00", since=None, until=None, **more):
    line = {"device_id": device, "code": code, "measured_at": f"2026-01-05T{at}Z"}
    line["from"] = f"2026-01-05T{since or at}Z"
    line["to"] = f"2026-01-05T{until or since or at}Z"
    return line | {"severity": "major", "status": "open"} | more


def truth(device="a", code="x", since="08:00:00", until="08:10:00", **more):
    line = {"device_id": device, "code": code}
    return line | {"from": f"2026-01-05T{since}Z", "to": f"2026-01-05T{until}Z"} | more


def scored(flags, truths, **options):
    options.setdefault("grace", 0)
    return score(
        read_flags("flags", enumerate(flags, 1)),
        read_truth("truth", enumerate(truths, 1)),
        **options,
    )


def test_recall_is_the_share_of_events_that_a_flag_of_their_device_and_code_overlaps():
    result = scored(
        [flag(at="08:05:00"), flag("b", at="08:05:00"), flag(code="y", at="08:05:00")],
        [truth(), truth(since="09:00:00", until="09:01:00"), truth("c")],
    )
    assert result.codes["x"].events == 3
    assert result.codes["x"].found == 1
    assert result.codes["x"].recall == pytest.approx(1 / 3, abs=1e-6)


def test_false_flags_are_counted_by_ten_thousand_device_days():
    result = scored(
        [flag(at="08:05:00"), flag(at="12:00:00"), flag("b", code="y")], [truth()], device_days=400
    )
    assert result.codes["x"].false == 1
    assert result.codes["x"].precision == 0.5
    assert result.codes["x"].false_per_10000_device_days == 25
    assert result.overall.false_per_10000_device_days == 50
    assert result.codes["y"].recall is None


def test_one_flag_may_cover_several_events_and_several_flags_one_event():
    result = scored(
        [flag(at="08:00:00", since="07:00:00", until="10:00:00"), flag(at="08:01:00")],
        [truth(), truth(since="09:00:00", until="09:30:00")],
    )
    assert (result.overall.found, result.overall.false, result.overall.flags) == (2, 0, 2)


def test_the_delay_is_from_the_begin_of_an_event_to_its_first_flag():
    result = scored(
        [flag(at="08:05:00"), flag(at="08:02:00"), flag("b", at="08:00:30")],
        [truth(), truth("b")],
    )
    assert result.codes["x"].delay_median_s == 75


def test_a_flag_before_the_event_is_late_by_nothing_and_never_negative():
    result = scored([flag(at="07:59:00", since="07:59:00", until="08:01:00")], [truth()])
    assert result.codes["x"].delay_median_s == 0


def test_a_flag_within_the_grace_after_an_event_counts():
    late = [flag(at="08:40:00")]
    assert scored(late, [truth()]).overall.found == 0
    assert scored(late, [truth()], grace=HOUR).overall.found == 1
    early = [flag(at="07:40:00")]
    assert scored(early, [truth()], grace=HOUR).overall.found == 0


def test_withdrawn_flags_and_mere_information_are_neither_right_nor_false():
    result = scored(
        [flag(at="12:00:00", status="withdrawn"), flag(at="12:00:00", severity="info")], []
    )
    assert (result.overall.flags, result.overall.false) == (0, 0)
    assert scored([flag(at="08:01:00", status="withdrawn")], [truth()]).overall.found == 0


def test_a_false_flag_beside_another_fault_is_told_apart():
    result = scored([flag(code="y", at="08:05:00"), flag("b", code="y")], [truth()])
    assert (result.codes["y"].false, result.codes["y"].false_beside_fault) == (2, 1)


def test_a_clock_that_is_ahead_is_scored_by_the_true_clock_and_by_its_own():
    event = truth(code="future_timestamp", until="23:00:00", clock_ahead_s=7200)
    by_its_own = flag(code="future_timestamp", at="10:01:00")
    result = scored([by_its_own], [event])
    assert result.codes["future_timestamp"].delay_median_s == 60
    by_receipt = flag(code="future_timestamp", at="10:01:00", since="08:01:00")
    assert scored([by_receipt], [event]).overall.found == 1


def test_a_flag_without_an_end_lasts_from_its_begin():
    open_flag = flag(at="08:01:00", since="07:00:00") | {"to": None}
    assert scored([open_flag], [truth()]).overall.found == 1


def test_device_days_from_the_files_are_devices_times_the_span_and_said_to_be():
    result = scored([flag("b", at="20:00:00")], [truth(since="08:00:00", until="08:10:00")])
    assert result.device_days == 1.0
    assert result.device_days_from == "files"
    assert scored([], [], device_days=7).device_days_from == "given"


def test_nothing_against_nothing_has_no_rates():
    overall = scored([], []).overall
    assert (overall.recall, overall.precision, overall.false_per_10000_device_days) == (None,) * 3


def test_the_json_has_the_shape_of_detection_json():
    found = scored([flag(at="08:05:00")], [truth()], device_days=10).as_json()
    assert set(found) == {"overall", "codes"}
    assert {"recall", "false_per_10000_device_days", "device_days"} <= set(found["overall"])
    assert {"recall", "precision", "events", "delay_median_s"} <= set(found["codes"]["x"])


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"device_id": 7}, "device_id must be a text, got 7"),
        ({"from": "2026-01-05 08:00"}, "zone"),
        ({"to": None}, "to must be a text"),
    ],
)
def test_a_broken_line_is_named_with_file_and_line(broken, told):
    with pytest.raises(BadLine, match=rf"truth, line 2: .*{told}"):
        scored([], [truth(), truth() | broken])


def test_an_event_that_is_not_required_makes_flags_right_and_is_no_miss():
    also = truth(code="y", required=False)
    assert scored([], [truth(), also]).overall.events == 1
    result = scored([flag(at="08:05:00"), flag(code="y", at="08:05:00")], [truth(), also])
    assert (result.overall.events, result.overall.found, result.overall.false) == (1, 1, 0)
    assert scored([flag(code="y", at="12:00:00")], [also]).overall.false == 1


def test_information_can_find_an_event_and_is_never_false():
    info = flag(at="08:05:00", severity="info")
    assert scored([info], [truth()]).overall.found == 1
    assert scored([info], []).overall.flags == 0
    assert scored([flag(at="08:05:00", status="withdrawn")], [truth()]).overall.found == 0
