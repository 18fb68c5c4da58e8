"""The dashboards: overview, a device by its kind, a petrol station, health of the intake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.dashboards.panels import SEVERITY_COLOURS, Board, Panel, Query, Variable
from gateway.dashboards.queries import InfluxQueries, PromQueries, Queries, Selected
from gateway.dashboards.units import REGISTERS, unit
from gateway.quantities import KINDS, Quantity, export_key

if TYPE_CHECKING:
    from gateway.dashboards import Backend
    from gateway.messages import Texts

_RATE: Final = "rate({}[$__rate_interval])"
_FUEL: Final = "fuel_dispenser"
_HOURLY: Final[dict[str, Any]] = {"bars": True, "stacked": True, "least": "1h"}


def boards(backend: Backend, texts: Texts) -> list[Board]:
    """Every dashboard for a database, in one language."""
    makers: Queries = PromQueries(texts) if backend == "victoriametrics" else InfluxQueries(texts)
    made = [_overview(makers, texts), _station(makers, texts), _ingest(texts)]
    return made + [_device(makers, texts, kind) for kind in KINDS]


def _overview(makers: Queries, texts: Texts) -> Board:
    colours = tuple(SEVERITY_COLOURS.items())
    return Board(
        "metering-overview",
        texts("board.overview"),
        (
            Panel(
                texts("board.alive"),
                tuple(makers.heard(kind, latest=True) for kind in KINDS),
                kind="stat",
                size=(16, 6),
            ),
            Panel(
                texts("board.flags_severity"),
                (makers.flags(("severity",), latest=True),),
                kind="stat",
                size=(8, 6),
                colours=colours,
            ),
            Panel(
                texts("board.alive_over_time"),
                tuple(makers.heard(kind, latest=False) for kind in KINDS),
                least="15m",
            ),
            Panel(
                texts("board.flags_over_time"),
                (makers.flags(("severity",), latest=False),),
                bars=True,
                stacked=True,
                least="1h",
                colours=colours,
            ),
            Panel(
                texts("board.readings_rate"),
                tuple(makers.rate(kind) for kind in KINDS),
                unit="cps",
                least="1m",
            ),
            Panel(texts("board.received"), _received(texts), unit="cps", health=True),
            Panel(
                texts("board.flags_code"),
                (makers.flags(("code",), latest=True),),
                kind="bargauge",
                size=(12, 12),
            ),
            Panel(
                texts("board.flags_devices"),
                (makers.flags(("device_id", "kind"), latest=True),),
                kind="table",
                size=(12, 12),
            ),
        ),
    )


def _device(makers: Queries, texts: Texts, kind: str) -> Board:
    where = makers.one("device")
    panels = [
        Panel(
            texts("board.last_heard"),
            (makers.last_heard(kind, where),),
            kind="stat",
            unit="dateTimeAsIso",
            size=(6, 5),
        ),
        Panel(
            texts("board.flags"),
            (makers.flags(("code", "severity"), latest=True, where=where),),
            kind="bargauge",
            size=(18, 5),
        ),
    ]
    panels += [
        _quantity(makers, texts, kind, quantity, where)
        for quantity in KINDS[kind]
        if quantity.type != "text"
    ]
    words = makers.texts_of(kind, where)
    if words is not None:
        panels.append(Panel(texts("board.status_quality"), (words,), kind="table", size=(24, 6)))
    return Board(
        f"metering-device-{kind.replace('_', '-')}",
        texts("board.device", kind=texts.word("kind", kind)),
        tuple(panels),
        (
            Variable("find", texts("board.find")),
            Variable("device", texts("board.device_id"), makers.devices(kind, "$find")),
        ),
    )


def _quantity(makers: Queries, texts: Texts, kind: str, quantity: Quantity, where: str) -> Panel:
    of = Selected(kind, export_key(quantity), where)
    title = texts.word("quantity", quantity.name)
    if quantity.type == "time":
        return Panel(title, (makers.moment(of),), "stat", unit(quantity), size=(6, 5))
    latest = quantity.name in REGISTERS
    query = makers.series(of, latest=latest, by=("channel",))
    return Panel(title, (query,), unit=unit(quantity), least="1m")


def _station(makers: Queries, texts: Texts) -> Board:
    pumps, tanks = makers.several("pumps"), makers.several("tanks")
    nozzle = ("device_id", "channel")

    def of(field: str, where: str) -> Selected:
        return Selected(_FUEL, field, where)

    def by_nozzle(field: str, where: str, *, latest: bool) -> tuple[Query, ...]:
        return (makers.series(of(field, where), latest=latest, by=nozzle),)

    return Board(
        "metering-station",
        texts("board.station"),
        (
            Panel(
                texts("board.sold"), (makers.total(of("volume_l", pumps), nozzle),),
                unit="litre", **_HOURLY,
            ),
            Panel(
                texts("board.revenue"), (makers.total(of("amount_cny", pumps), nozzle),),
                unit="currencyCNY", **_HOURLY,
            ),
            Panel(
                texts("board.price"), by_nozzle("unit_price_cny_per_l", pumps, latest=True),
                unit="suffix: CNY/L", least="1m",
            ),
            Panel(
                texts("board.flow"), by_nozzle("flow_rate_l_per_min", pumps, latest=False),
                unit="flowlpm", least="1m",
            ),
            Panel(
                texts("board.totaliser"), by_nozzle("totaliser_volume_l", pumps, latest=True),
                unit="litre", least="1m",
            ),
            Panel(
                texts("board.balance"),
                (
                    makers.total(of("volume_l", pumps), (), texts("board.balance_sold")),
                    makers.drawn(of("tank_volume_l", tanks), texts("board.balance_drawn")),
                ),
                unit="litre", least="1h",
            ),
            Panel(
                texts("board.tank_volume"), by_nozzle("tank_volume_l", tanks, latest=True),
                unit="litre", size=(8, 8), least="1m",
            ),
            Panel(
                texts("board.tank_temperature"),
                by_nozzle("tank_temperature_cel", tanks, latest=False),
                unit="celsius", size=(8, 8), least="1m",
            ),
            Panel(
                texts("board.tank_water"), by_nozzle("water_height_mm", tanks, latest=True),
                unit="lengthmm", size=(8, 8), least="1m",
            ),
            Panel(
                texts("board.flags"),
                (makers.flags(("code", "severity"), latest=True, where=pumps),),
                kind="bargauge", size=(24, 6),
            ),
        ),
        (
            Variable("find", texts("board.find")),
            Variable("pumps", texts("board.pumps"), makers.devices(_FUEL, "$find"), several=True),
            Variable("tanks", texts("board.tanks"), makers.devices(_FUEL, "$find"), several=True),
        ),
    )  # fmt: skip


def _received(texts: Texts) -> tuple[Query, ...]:
    return (
        Query(_RATE.format("gateway_received_total"), texts("board.received_in")),
        Query(_RATE.format("gateway_appended_total"), texts("board.received_durable")),
    )


def _ingest(texts: Texts) -> Board:
    """Health of the intake, from the gateway's own metrics, whatever the database of readings."""

    def health(title: str, *queries: Query, **more: Any) -> Panel:  # noqa: ANN401 - fields of Panel
        return Panel(texts(title), queries, health=True, **more)

    good_or_bad = (
        ("1", texts("board.yes"), "#299c46"),
        ("0", texts("board.no"), "#c4162a"),
    )
    return Board(
        "metering-ingest",
        texts("board.ingest"),
        (
            health(
                "board.up",
                Query("gateway_source_connected", texts("board.up_source"), latest=True),
                Query("gateway_processing_up", texts("board.up_processing"), latest=True),
                Query("gateway_balance_ok", texts("board.up_balance"), latest=True),
                Query("1 - gateway_ledger_full", texts("board.up_ledger"), latest=True),
                Query("gateway_alert_up", texts("board.up_alert"), latest=True),
                kind="stat", size=(24, 5), words=good_or_bad,
            ),
            health(
                "board.received",
                *_received(texts),
                unit="cps",
            ),
            health(
                "board.decided",
                Query(_RATE.format("gateway_messages_total"), "{{decision}}"),
                unit="cps", stacked=True,
            ),
            health("board.pending", Query("gateway_pending_messages")),
            health("board.lag", Query("gateway_lag_seconds"), unit="s"),
            health(
                "board.quarantined",
                Query("60 * " + _RATE.format('gateway_messages_total{decision="quarantined"}')),
            ),
            health("board.ledger", Query("gateway_ledger_bytes"), unit="bytes"),
            health("board.sinks", Query("gateway_sink_lag", "{{sink}}")),
            health(
                "board.restarts",
                Query("gateway_processing_restarts_total", texts("board.restarts_processing")),
                Query("gateway_source_reconnects_total", "{{source}}"),
            ),
            health(
                "board.alerts",
                Query("gateway_alert_queued", texts("board.alerts_queued")),
                Query("gateway_alert_dead", texts("board.alerts_dead")),
            ),
            health(
                "board.alerts_sent",
                Query("3600 * " + _RATE.format("gateway_alert_sent_total"), "{{alert}}"),
            ),
        ),
        span="now-3h",
        refresh="10s",
    )  # fmt: skip
