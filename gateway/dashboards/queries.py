"""The queries of the dashboards, in PromQL and in InfluxQL."""
# ruff: noqa: S608 - what is put into queries is our own names, and Grafana's macros

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gateway.dashboards.panels import Query
from gateway.quantities import KINDS

if TYPE_CHECKING:
    from gateway.messages import Texts


class Selected(NamedTuple):
    """Points of one field of one measurement."""

    kind: str
    field: str
    where: str = ""

    @property
    def metric(self) -> str:
        """The series in VictoriaMetrics, which joins the two names."""
        return f"{self.kind}_{self.field}" + (f"{{{self.where}}}" if self.where else "")


class PromQueries:
    """Queries of VictoriaMetrics: PromQL, and of MetricsQL only distinct_over_time."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def devices(self, kind: str, find: str) -> str:
        """What lists the devices of a kind whose ids begin with ``find``."""
        return f'label_values({kind}_ledger_offset{{device_id=~"{find}.*"}}, device_id)'

    @staticmethod
    def one(variable: str) -> str:
        """The condition that a device is the one chosen in a variable."""
        return f'device_id="${variable}"'

    @staticmethod
    def several(variable: str) -> str:
        """The condition that a device is among those chosen in a variable."""
        return f'device_id=~"${variable}"'

    @staticmethod
    def series(of: Selected, *, latest: bool, by: tuple[str, ...]) -> Query:
        """A field over time, a series for each of ``by``: the latest or mean of an interval."""
        function = "last_over_time" if latest else "avg_over_time"
        legend = " ".join(f"{{{{{name}}}}}" for name in by)
        return Query(f"{function}({of.metric}[$__interval])", legend)

    @staticmethod
    def moment(of: Selected) -> Query:
        """The latest time that a field tells, in ms."""
        return Query(f"last_over_time({of.metric}[$__range]) / 1e6", "{{channel}}", latest=True)

    @staticmethod
    def total(of: Selected, by: tuple[str, ...], legend: str = "") -> Query:
        """The sum of a field in each hour."""
        grouped = f" by ({', '.join(by)})" if by else ""
        named = legend or " ".join(f"{{{{{name}}}}}" for name in by)
        return Query(f"sum{grouped} (sum_over_time({of.metric}[1h]))", named)

    @staticmethod
    def drawn(of: Selected, legend: str) -> Query:
        """By how much a field has gone down in each hour, over all devices chosen."""
        return Query(f"-sum(delta({of.metric}[1h]))", legend)

    def heard(self, kind: str, *, latest: bool) -> Query:
        """The number of devices of a kind that have sent something."""
        span = "$__range" if latest else "$__interval"
        return Query(
            f"count(count by (device_id) (count_over_time({kind}_ledger_offset[{span}])))",
            self._texts.word("kind", kind),
            latest=latest,
        )

    def rate(self, kind: str) -> Query:
        """Readings of a kind a second."""
        return Query(
            f"sum(count_over_time({kind}_ledger_offset[$__interval])) / ($__interval_ms / 1000)",
            self._texts.word("kind", kind),
        )

    @staticmethod
    def flags(by: tuple[str, ...], *, latest: bool, where: str = "") -> Query:
        """The number of different flags, for each of ``by``."""
        span = "$__range" if latest else "$__interval"
        asked = f"flag_from{{{where}}}" if where else "flag_from"
        counted = f"sum by ({', '.join(by)}) (distinct_over_time({asked}[{span}]))"
        legend = " ".join(f"{{{{{name}}}}}" for name in by)
        if latest and "severity" not in by:
            return Query(f"topk(20, {counted})", legend, latest=True, table="device_id" in by)
        return Query(counted, legend, latest=latest)

    def texts_of(self, kind: str, where: str) -> Query | None:
        """The latest of each text of a device; None where the database keeps no text."""
        del kind, where
        return None

    @staticmethod
    def last_heard(kind: str, where: str) -> Query:
        """When a device was last heard, in ms."""
        return Query(
            f"max(max_over_time({kind}_received_at{{{where}}}[$__range])) / 1e6",
            latest=True,
        )


class InfluxQueries:
    """Queries of InfluxDB, in InfluxQL."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def devices(self, kind: str, find: str) -> str:
        """What lists the devices of a kind whose ids begin with ``find``."""
        return (
            f'SHOW TAG VALUES FROM "{kind}" WITH KEY = "device_id" WHERE "device_id" =~ /^{find}/'
        )

    @staticmethod
    def one(variable: str) -> str:
        """The condition that a device is the one chosen in a variable."""
        return f"\"device_id\" = '${variable}'"

    @staticmethod
    def several(variable: str) -> str:
        """The condition that a device is among those chosen in a variable."""
        return f'"device_id" =~ /^${{{variable}:regex}}$/'

    @staticmethod
    def series(of: Selected, *, latest: bool, by: tuple[str, ...]) -> Query:
        """A field over time, a series for each of ``by``: the latest or mean of an interval."""
        function = "last" if latest else "mean"
        return _aggregated(f'{function}("{of.field}")', of, "$__interval", by)

    @staticmethod
    def moment(of: Selected) -> Query:
        """The latest time that a field tells, in ms."""
        return Query(
            f'SELECT last("{of.field}") / 1000000 FROM "{of.kind}" '
            f'WHERE {of.where} AND $timeFilter GROUP BY "channel"',
            "$tag_channel",
            latest=True,
        )

    @staticmethod
    def total(of: Selected, by: tuple[str, ...], legend: str = "") -> Query:
        """The sum of a field in each hour."""
        return _aggregated(f'sum("{of.field}")', of, "1h", by, legend)

    @staticmethod
    def drawn(of: Selected, legend: str) -> Query:
        """By how much a field has gone down in each hour, over all devices chosen."""
        return Query(
            f'SELECT -1 * sum("d") FROM (SELECT difference(last("{of.field}")) AS "d" '
            f'FROM "{of.kind}" WHERE {of.where} AND $timeFilter '
            'GROUP BY time(1h), "device_id", "channel" fill(none)) '
            "WHERE $timeFilter GROUP BY time(1h) fill(none)",
            legend,
        )

    def heard(self, kind: str, *, latest: bool) -> Query:
        """The number of devices of a kind that have sent something."""
        inner, outer = ('"device_id"', "") if latest else (
            'time($__interval), "device_id" fill(none)',
            " WHERE $timeFilter GROUP BY time($__interval) fill(none)",
        )  # fmt: skip
        return Query(
            f'SELECT count("n") FROM (SELECT count("ledger_offset") AS "n" FROM "{kind}" '
            f"WHERE $timeFilter GROUP BY {inner}){outer}",
            self._texts.word("kind", kind),
            latest=latest,
        )

    def rate(self, kind: str) -> Query:
        """Readings of a kind a second."""
        return Query(
            'SELECT sum("n") / ($__interval_ms / 1000) FROM (SELECT count("ledger_offset") AS "n" '
            f'FROM "{kind}" WHERE $timeFilter GROUP BY time($__interval) fill(none)) '
            "WHERE $timeFilter GROUP BY time($__interval) fill(none)",
            self._texts.word("kind", kind),
        )

    @staticmethod
    def flags(by: tuple[str, ...], *, latest: bool, where: str = "") -> Query:
        """The number of different flags, for each of ``by``."""
        tags = [f'"{name}"' for name in by]
        narrowed = f"{where} AND " if where else ""
        grouped = ", ".join(tags if latest else ["time($__interval)", *tags])
        fill = "" if latest else " fill(none)"
        return Query(
            f'SELECT count(distinct("id")) FROM "flag" WHERE {narrowed}$timeFilter '
            f"GROUP BY {grouped}{fill}",
            " ".join(f"$tag_{name}" for name in by),
            latest=latest,
            table="device_id" in by,
        )

    def texts_of(self, kind: str, where: str) -> Query | None:
        """The latest of each text of a device; None where the database keeps no text."""
        words = [quantity.name for quantity in KINDS[kind] if quantity.type == "text"]
        asked = ", ".join(f'last("{name}") AS "{name}"' for name in [*words, "quality", "status"])
        return Query(
            f'SELECT {asked} FROM "{kind}" WHERE {where} AND $timeFilter GROUP BY "channel"',
            latest=True,
            table=True,
        )

    @staticmethod
    def last_heard(kind: str, where: str) -> Query:
        """When a device was last heard, in ms."""
        return Query(
            f'SELECT max("received_at") / 1000000 FROM "{kind}" WHERE {where} AND $timeFilter',
            latest=True,
        )


def _aggregated(what: str, of: Selected, span: str, by: tuple[str, ...], legend: str = "") -> Query:
    where = f"{of.where} AND " if of.where else ""
    grouped = ", ".join([f"time({span})", *(f'"{name}"' for name in by)])
    return Query(
        f'SELECT {what} FROM "{of.kind}" WHERE {where}$timeFilter GROUP BY {grouped} fill(none)',
        legend or " ".join(f"$tag_{name}" for name in by),
    )


Queries = PromQueries | InfluxQueries
