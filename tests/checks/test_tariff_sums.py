"""Total against tariff registers of one message."""

import pytest
from msgspec.structs import replace

from gateway.checks import Judge
from gateway.profiles.layout import Layout, Register
from gateway.records import Device
from tests.checks.support import final, judged, reading

LAYOUT = Layout(
    "electricity_meter",
    "periodic",
    "t@1",
    ("energy_import", "energy_export"),
    {},
    2**32,
    False,
    True,
)


def message(number, total, *tariffs, order=None):
    registers = {"total": total, **{f"T{n}": v for n, v in enumerate(tariffs, 1)}}
    return [
        reading(LAYOUT, number, 15 * number, offset=number, channel=c, energy_import=registers[c])
        for c in (order or registers)
        if registers[c] is not None
    ]


def judge_all(*messages, settings=None):
    judge = Judge({}, {})
    bound = judge.bind(LAYOUT, settings or {}, "t")
    readings = [one for message in messages for one in message]
    flags = [f for f in judged(judge, bound, readings)[1] if f.code == "tariff_sum_mismatch"]
    return flags, dict(judge.not_judged)


def test_totals_that_add_up_within_display_rounding_are_no_finding():
    messages = [message(n, 100.0 + n, 60.0 + n, 25.02, 15.02) for n in range(5)]
    assert judge_all(*messages) == ([], {})


@pytest.mark.parametrize(
    ("full_scale", "parameters"), [(1_000_000.0, {}), (None, {"register_digits": 6})]
)
def test_a_total_that_rolls_over_before_its_tariffs_still_adds_up(full_scale, parameters):
    rolling = replace(LAYOUT, registers={"energy_import": Register(full_scale, 0.01)})
    values = ((999_999.0, 600_000.0, 399_999.0), (1.0, 600_001.0, 400_000.0))
    readings = [
        reading(rolling, n, n, offset=n, channel=channel, energy_import=value)
        for n, row in enumerate(values)
        for channel, value in zip(("total", "T1", "T2"), row, strict=True)
    ]
    judge = Judge({"d1": Device(device_id="d1", parameters=parameters)}, {})
    flags = judged(judge, judge.bind(rolling, {}, "t"), readings)[1]
    assert [f.code for f in flags] == ["register_rollover"]


def test_a_total_that_runs_ahead_is_one_flag_that_ends_when_it_adds_up_again():
    honest = message(1, 100.0, 60.0, 40.0)
    flags, _ = judge_all(
        honest,
        message(2, 105.0, 62.0, 40.0),
        message(3, 108.0, 63.0, 41.0),
        message(4, 105.0, 64.0, 41.0),
    )
    assert [(f.status, f.channel, f.severity) for f in flags] == [
        ("open", "total", "major"),
        ("ended", "total", "major"),
    ]
    assert len({f.id for f in flags}) == 1
    evidence = {"observed": 105.0, "expected": 102.0, "tolerance": 0.04, "unit": "kWh"}
    assert flags[0].evidence.items() >= evidence.items()
    assert flags[0].evidence["inputs"] == {"T1": 62.0, "T2": 40.0}
    assert flags[1].evidence["count"] == 2


def test_a_message_is_judged_as_soon_as_it_is_complete():
    flags, _ = judge_all(message(1, 100.0, 60.0, 40.0), message(2, 200.0, 60.0, 40.0))
    assert [f.ledger_offset for f in flags] == [2]


@pytest.mark.parametrize("order", [("total", "T1", "T2"), ("T2", "total", "T1")])
def test_the_order_of_the_registers_in_a_message_is_free(order):
    messages = [message(n, 100.0 + 9 * n, 60.0, 40.0, order=order) for n in range(2)]
    assert len(judge_all(*messages)[0]) == 1


def test_tariffs_above_the_total_are_flagged_at_first_sight():
    flags, _ = judge_all(message(1, 90.0, 60.0, 40.0), message(2, 90.0, 60.0, 40.0))
    assert [f.status for f in flags] == ["open"]


def test_a_total_that_was_always_larger_by_the_same_is_not_judged_but_its_jump_is():
    standing = [message(n, 150.0 + n, 60.0 + n, 40.0) for n in range(30)]
    flags, not_judged = judge_all(*standing)
    assert flags == []
    assert sum(not_judged.values()) == 1
    flags, _ = judge_all(*standing, message(30, 190.0, 90.0, 40.0))
    assert [f.evidence["residual_before"] for f in flags] == [50.0]


def test_a_tariff_that_is_not_sent_may_run():
    messages = [message(n, 150.0 + 2 * n, 60.0 + n, 40.0) for n in range(40)]
    flags, not_judged = judge_all(*messages)
    assert flags == []
    assert list(not_judged) == [
        ("tariff_sum_mismatch", "the total may contain a tariff that is not sent")
    ]


def test_no_tariff_that_is_not_sent_runs_backwards_or_faster_than_the_total():
    first, second = message(1, 150.0, 60.0, 40.0), message(2, 151.0, 61.0, 40.0)
    backwards, faster = message(3, 152.0, 70.0, 40.0), message(3, 152.0, 50.0, 40.0)
    assert len(judge_all(first, second, backwards)[0]) == 1
    assert len(judge_all(first, second, faster)[0]) == 1


def test_a_message_without_one_of_its_tariffs_is_not_judged():
    flags, not_judged = judge_all(
        message(1, 100.0, 60.0, 40.0), message(2, 101.0, 61.0, None), message(3, 102.0, 62.0, 40.0)
    )
    assert flags == []
    assert not_judged == {("tariff_sum_mismatch", "a register is missing"): 1}


def test_a_meter_without_tariffs_is_no_case_at_all():
    assert judge_all(*[message(n, 100.0 + n) for n in range(3)]) == ([], {})


def test_import_and_export_are_judged_apart():
    def both(number, extra):
        return [
            reading(
                LAYOUT, number, number, offset=number, channel=c, energy_import=i, energy_export=e
            )
            for c, i, e in (("total", 10.0, 5.0 + extra), ("T1", 10.0, 5.0))
        ]

    flags, _ = judge_all(both(1, 0.0), both(2, 1.0))
    assert [f.evidence["quantity"] for f in final(flags).values()] == ["energy_export"]


def test_the_tolerance_is_a_parameter():
    messages = [message(n, 100.0 + n, 100.0) for n in range(2)]
    settings = {"tariff_sum_mismatch": {"per_tariff": 1.0}}
    assert judge_all(*messages, settings=settings)[0] == []
    assert len(judge_all(*messages)[0]) == 1
