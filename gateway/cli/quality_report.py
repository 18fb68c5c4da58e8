"""What ``gateway quality`` shows to people, in Chinese or English."""

import datetime as dt
from collections.abc import Sequence

import msgspec

from gateway.cli.output import console, print_table
from gateway.messages import Texts
from gateway.quality.assess import UNKNOWN_DEVICE, Assessment, Detail
from gateway.quality.dimensions import DIMENSIONS, formula

Span = tuple[dt.date, dt.date, str]

_SHOWN = 100
_COUNTS = ("readings", "missing", "late", "inaccurate", "inconsistent", "quarantined")


def _share(value: float | None) -> str | None:
    """A share with the digits that tell a very good one from a perfect one."""
    if value is None:
        return None
    text = f"{value:.4f}"
    return "<1" if text == "1.0000" and value < 1 else text


def _score(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"


def _badness(each: Assessment) -> tuple[float, str, str]:
    overall = each.scores.overall
    return 101 if overall is None else overall, str(each.date), each.group or ""


def _group(each: Assessment, texts: Texts) -> str:
    if each.group == UNKNOWN_DEVICE:
        return texts("quality.unattributed")
    if each.model is None:
        return texts("quality.no_group") if each.group is None else each.group
    firmware = each.group or texts("quality.no_firmware")
    return f"{each.model}  {firmware}"


def print_assessments(found: Sequence[Assessment], span: Span, texts: Texts) -> None:
    """Groups as a table, the worst first: scores, then the counts that matter most."""
    if not found:
        console().print(texts("quality.nothing"))
        return
    worst = sorted(found, key=_badness)[:_SHOWN]
    since, until, zone = span
    columns = [
        texts("quality.group"),
        texts("quality.date"),
        texts("counted.devices"),
        texts("dimension.overall"),
        *(texts(f"dimension.{name}") for name in DIMENSIONS),
        *(texts(f"counted.{name}") for name in _COUNTS),
    ]
    rows = [
        (
            _group(each, texts),
            each.date,
            each.counts.devices,
            _score(each.scores.overall),
            *(_share(getattr(each.scores, name)) for name in DIMENSIONS),
            *(f"{getattr(each.counts, name):,}" for name in _COUNTS),
        )
        for each in worst
    ]
    print_table(texts("quality.title", since=since, until=until, zone=zone), columns, rows)
    if len(found) > _SHOWN:
        console().print(texts("quality.more", shown=_SHOWN, count=len(found)))


def print_detail(told: Detail, span: Span, texts: Texts) -> None:
    """What is behind one device: each share with its numbers, counts, flags, quarantine."""
    since, until, zone = span
    total = told.total
    title = texts(
        "quality.device_title", device=told.device_id, since=since, until=until, zone=zone
    )
    rows: list[tuple[object, ...]] = []
    for name in DIMENSIONS:
        share = getattr(total.scores, name)
        counted = None if share is None else formula(name, total.counts)
        shown = texts("quality.not_assessed") if share is None else _share(share)
        rows.append((texts(f"dimension.{name}"), shown, counted))
    rows.append((texts("dimension.overall"), _score(total.scores.overall), None))
    columns = [texts("quality.dimension"), texts("quality.score"), texts("quality.formula")]
    print_table(title, columns, rows)
    counts = {"expected": total.counts.expected} | msgspec.structs.asdict(total.counts)
    print_table(
        texts("quality.of"),
        [texts("column.field"), texts("column.value")],
        [(texts.word("counted", name), f"{count:,}") for name, count in counts.items() if count],
    )
    if len(told.days) > 1:
        print_assessments(told.days, span, texts)
    if told.flags:
        print_table(
            texts("quality.flags"),
            [
                texts("column.id"), texts("column.code"), texts("quality.dimension"),
                texts("quality.readings_covered"),
            ],
            [
                (each.id, each.code, texts(f"dimension.{each.dimension}"), each.readings)
                for each in told.flags
            ],
        )  # fmt: skip
    if told.quarantine:
        print_table(
            texts("quality.quarantine"),
            [texts("quality.reason"), texts("quality.messages")],
            list(told.quarantine.items()),
        )
