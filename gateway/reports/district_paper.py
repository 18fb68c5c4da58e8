"""A district's report on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.checks.catalogue import CATALOGUE
from gateway.flags.states import STATUSES
from gateway.quality.dimensions import DIMENSIONS
from gateway.queries.quality import QualityCounts
from gateway.registry.codes import province
from gateway.reports.district import DUE_DAYS, District, district
from gateway.reports.paper import Figure, Heading, Paper, Table, Text, Tile, Tiles
from gateway.reports.plots import by_day
from gateway.reports.words import label, moment, second
from gateway.times import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.messages import Texts
    from gateway.registry.validity import Overdue
    from gateway.reports.evidence import Request
    from gateway.reports.paper import Block
    from gateway.reports.periods import Period

_MOST_DUE: Final = 40
_MOST_GROUPS: Final = 30
_CODES_SHOWN: Final = 3


def district_report(
    request: Request,
    counts: QualityCounts | None,
    region: str | None,
    period: Period,
    texts: Texts,
) -> Paper:
    """The report of a district's week or month.

    Args:
        request: who asks.
        counts: of quality, kept by day; None to count anew.
        region: a beginning of a GB/T 2260 code; None for all that is seen.
        period: of what time.
        texts: of the language.

    Raises:
        AccessDenied: the region is not within the scope, or places are not seen.
    """
    kept = counts if counts is not None else QualityCounts(request.seen.world)
    found = district(request.seen, kept, region, period)
    name = _name(found.scope.region, texts)
    return Paper(
        language=texts.language,
        title=texts("district.title"),
        subtitle=texts("district.subtitle", region=name, since=period.first, until=period.last),
        running=texts("district.running", region=name, period=period.name),
        made=texts("paper.made", by=request.by, at=second(request.made_at)),
        made_at=request.made_at,
        page=texts("paper.page", page="{page}", pages="{pages}"),
        blocks=[
            *_summary(found, texts),
            *_instruments(found, texts),
            *_flags(found, texts),
            *_worst(request, found, texts),
            *_quality(found, texts),
            *_due(found, texts),
        ],
    )


def _name(region: str, texts: Texts) -> str:
    if not region:
        return texts("district.everywhere")
    known = province(region)
    if known is None:
        return region
    return f"{known[0 if texts.language == 'zh' else 1]} {region}"


def _head(texts: Texts, *names: str) -> list[str]:
    return [label(texts(f"district.{name}")) for name in names]


def _summary(found: District, texts: Texts) -> Iterator[Block]:
    alive = sum(each.alive for each in found.kinds.values())
    known = sum(each.known for each in found.kinds.values())
    critical = [each for each in found.codes if each.severity == "critical"]
    now, then = (sum(each.flags for each in critical), sum(each.before for each in critical))
    quality = found.quality.overall

    def before(value: int) -> str:
        return texts("district.before", value=f"{value:,}")

    yield Tiles(
        [
            Tile(
                texts("district.alive"),
                f"{alive:,}",
                texts("district.of_registered", count=f"{known:,}"),
            ),
            Tile(texts("district.flags"), f"{found.flags:,}", before(found.flags_before)),
            Tile(texts("district.critical"), f"{now:,}", before(then), "bad" if now else "good"),
            Tile(
                texts("district.quality"), "–" if quality is None else f"{quality:.1f}", "0 … 100"
            ),
            Tile(
                texts("district.due"),
                f"{len(found.due):,}",
                texts("district.due_note", days=DUE_DAYS),
                "bad" if found.due else "good",
            ),
        ]
    )


def _instruments(found: District, texts: Texts) -> Iterator[Block]:
    yield Heading(texts("district.alive_title"))
    yield Text(texts("district.alive_text"))
    columns = ["known", "reporting", "silent", "never", "alive_before"]
    rows = [
        [
            label(texts.word("kind", kind)),
            *_figures(each.known, each.alive, each.silent, each.never, each.before),
        ]
        for kind, each in found.kinds.items()
    ]
    every = found.kinds.values()
    rows.append(
        [
            label(texts("district.total")),
            *_figures(
                *(
                    sum(getattr(each, name) for each in every)
                    for name in ("known", "alive", "silent", "never", "before")
                )
            ),
        ]
    )
    head = [label(texts("column.kind")), *_head(texts, *columns)]
    yield Table(head, rows, numeric=[1, 2, 3, 4, 5], widths=[5, 2, 2, 2, 3, 2])


def _figures(*numbers: int) -> list[str]:
    return [f"{number:,}" for number in numbers]


def _flags(found: District, texts: Texts) -> Iterator[Block]:
    before = found.period.before
    yield Heading(texts("district.flags_title"))
    yield Text(texts("district.flags_text", since=before.first, until=before.last))
    if not found.codes:
        yield Text(texts("district.no_flags"))
        return
    days = [f"{day:%m-%d}" for day in found.period.days]
    yield Figure(by_day(texts, days, found.days, found.before_a_day), texts("district.by_day"))
    head = [
        label(texts("column.severity")),
        *_head(texts, "codes"),
        label(texts("column.count")),
        *_head(texts, "before_column", "change"),
        label(texts("column.devices")),
    ]
    rows = [
        [
            texts.word("severity", each.severity),
            f"{_title(each.code, texts)} ({each.code})",
            f"{each.flags:,}",
            f"{each.before:,}",
            f"{each.flags - each.before:+,}",
            f"{len(each.devices):,}",
        ]
        for each in found.codes
    ]
    yield Table(head, rows, numeric=[2, 3, 4, 5], widths=[2, 9, 2, 2, 2, 2])
    yield Heading(texts("district.outcome_title"))
    yield Text(texts("district.outcome_text"))
    shown = [each for each in STATUSES if any(of[each] for of in found.outcomes.values())]
    head = [label(texts("column.severity")), *(label(texts.word("status", each)) for each in shown)]
    rows = [
        [texts.word("severity", severity), *_figures(*(of[each] for each in shown))]
        for severity, of in found.outcomes.items()
    ]
    yield Table(head, rows, numeric=list(range(1, len(head))), widths=[1] * len(head))


def _title(code: str, texts: Texts) -> str:
    info = CATALOGUE.get(code)
    return code if info is None else info.title[texts.language]


def _worst(request: Request, found: District, texts: Texts) -> Iterator[Block]:
    if not found.worst:
        return
    yield Heading(texts("district.worst_title"))
    yield Text(texts("district.worst_text"))
    head = [
        label(texts("column.device")),
        label(texts("column.site")),
        texts.word("severity", "critical"),
        texts.word("severity", "major"),
        *_head(texts, "total", "codes", "score"),
    ]
    rows = []
    for each in found.worst:
        device = request.seen.device(each.device_id)
        codes = [
            f"{_title(code, texts)} × {count:,}"
            for code, count in each.codes.most_common(_CODES_SHOWN)
        ]
        rows.append(
            [
                each.device_id,
                (device and device.site) or "",
                *_figures(
                    each.severities["critical"], each.severities["major"], each.severities.total()
                ),
                "; ".join(codes),
                "" if each.quality is None else f"{each.quality:.1f}",
            ]
        )
    head[2:4] = [label(each) for each in head[2:4]]
    yield Table(head, rows, numeric=[2, 3, 4, 6], widths=[5, 5, 2, 2, 2, 7, 2])


def _quality(found: District, texts: Texts) -> Iterator[Block]:
    yield Heading(texts("district.quality_title"))
    yield Text(texts("district.quality_text"))
    if not found.vendors:
        yield Text(texts("district.no_quality"))
        return
    for by, title, lines in (
        ("vendor", texts("district.quality_vendor"), found.vendors),
        ("model", texts("district.quality_model"), found.models),
    ):
        head = [
            title,
            label(texts("column.devices")),
            *_head(texts, "readings"),
            *(label(texts.word("dimension", each)) for each in (*DIMENSIONS, "overall")),
        ]
        ordered = sorted(lines, key=lambda line: line.get("overall", 101.0))[:_MOST_GROUPS]
        rows = [_quality_row(line, by, texts) for line in ordered]
        yield Table(
            head, rows, numeric=list(range(1, len(head))), widths=[7, 4, 5, 7, 5, 6, 6, 6, 6, 4]
        )


def _quality_row(line: dict[str, Any], by: str, texts: Texts) -> list[str]:
    group = line[by]
    shares = [f"{100 * line[each]:.2f}" if each in line else "–" for each in DIMENSIONS]
    overall = f"{line['overall']:.1f}" if "overall" in line else "–"
    name = texts("quality.unattributed") if group == "" else str(group or texts("quality.no_group"))
    return [name, *_figures(line["devices"], line["readings"]), *shares, overall]


def _due(found: District, texts: Texts) -> Iterator[Block]:
    yield Heading(texts("district.due_title"))
    until = moment(found.period.end + DUE_DAYS * DAY)
    yield Text(texts("district.due_text", until=until[:10]))
    if not found.due:
        yield Text(texts("district.nothing_due"))
        return
    head = [
        label(texts("column.device")),
        label(texts("column.kind")),
        label(texts("column.site")),
        label(texts.word("registered", "model")),
        *_head(texts, "state", "valid_until"),
    ]
    yield Table(
        head, [_due_row(each, texts) for each in found.due[:_MOST_DUE]], widths=[5, 4, 5, 4, 3, 4]
    )
    if len(found.due) > _MOST_DUE:
        yield Text(texts("district.due_more", count=f"{len(found.due) - _MOST_DUE:,}"))


def _due_row(each: Overdue, texts: Texts) -> list[str]:
    device = each.device
    return [
        device.device_id,
        texts.word("kind", device.kind or "unknown"),
        device.site or "",
        device.model or "",
        texts(f"district.{each.state}"),
        "" if each.until is None else moment(each.until)[:10],
    ]
