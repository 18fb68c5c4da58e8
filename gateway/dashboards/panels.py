"""Panels and dashboards as Grafana's JSON: only what differs from Grafana's own defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from gateway.dashboards import Backend

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA: Final = 39
"""Version of Grafana's dashboard model (10.4 and later read it)."""

_WIDE: Final = 24
_TYPES: Final[dict[Backend, str]] = {"victoriametrics": "prometheus", "influxdb": "influxdb"}
SEVERITY_COLOURS: Final = {
    "critical": "#c4162a", "major": "#e0752d", "minor": "#e0b400", "info": "#3274d9",
}  # fmt: skip

Kind = Literal["timeseries", "stat", "table", "bargauge"]


class Query(msgspec.Struct, frozen=True):
    """One query of a panel, in the language of its database.

    ``legend`` names the series; ``latest`` asks for one value at the end of the time chosen;
    ``table`` for rows instead of series.
    """

    text: str
    legend: str = ""
    latest: bool = False
    table: bool = False


class Panel(msgspec.Struct, frozen=True):
    """One panel; ``size`` is width (of 24) and height.

    ``health``: it asks the database of the gateway's metrics.  ``least`` is the shortest interval
    of its points.  ``words`` maps values to texts, with a colour each.
    """

    title: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    unit: str = "none"
    size: tuple[int, int] = (12, 8)
    health: bool = False
    least: str = ""
    bars: bool = False
    stacked: bool = False
    words: tuple[tuple[str, str, str], ...] = ()
    colours: tuple[tuple[str, str], ...] = ()


class Variable(msgspec.Struct, frozen=True):
    """What a reader chooses: ``query`` lists it; without one he types it."""

    name: str
    label: str
    query: str = ""
    several: bool = False


class Board(msgspec.Struct, frozen=True):
    """One dashboard; ``span`` is the time it opens with, ``refresh`` how often it looks anew."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()
    span: str = "now-24h"
    refresh: str = "1m"


def dashboard(
    board: Board, backend: Backend, tags: Sequence[str], labels: dict[str, str]
) -> dict[str, Any]:
    """The JSON of a dashboard.

    Args:
        board: what is in it.
        backend: the database that its panels ask.
        tags: by which Grafana finds it, and links it to the others.
        labels: of the variables ``database`` and ``prometheus``.
    """
    data = any(not panel.health for panel in board.panels)
    health = any(panel.health for panel in board.panels)
    variables: list[dict[str, Any]] = []
    if data:
        variables.append(_source("database", labels["database"], _TYPES[backend]))
    if health:
        variables.append(_source("prometheus", labels["prometheus"], "prometheus"))
    variables += [_variable(each, backend) for each in board.variables]
    return {
        "uid": board.uid,
        "title": board.title,
        "tags": list(tags),
        "schemaVersion": SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": board.refresh,
        "time": {"from": board.span, "to": "now"},
        "timezone": "browser",
        "links": [
            {
                "type": "dashboards",
                "asDropdown": False,
                "includeVars": False,
                "keepTime": True,
                "tags": list(tags),
                "title": "",
            }
        ],
        "templating": {"list": variables},
        "annotations": {"list": []},
        "panels": _placed(board.panels, backend),
    }


def _source(name: str, label: str, type_: str) -> dict[str, Any]:
    return {"type": "datasource", "name": name, "label": label, "query": type_, "hide": 0}


def _variable(variable: Variable, backend: Backend) -> dict[str, Any]:
    made: dict[str, Any] = {"name": variable.name, "label": variable.label, "hide": 0}
    if not variable.query:
        return made | {"type": "textbox", "query": "", "current": {"text": "", "value": ""}}
    query: Any = variable.query
    if backend == "victoriametrics":
        query = {"query": variable.query, "refId": variable.name}
    return made | {
        "type": "query",
        "datasource": _asked(backend, health=False),
        "query": query,
        "definition": variable.query,
        "refresh": 2,
        "sort": 1,
        "multi": variable.several,
        "includeAll": False,
    }


def _asked(backend: Backend, *, health: bool) -> dict[str, str]:
    if health:
        return {"type": "prometheus", "uid": "${prometheus}"}
    return {"type": _TYPES[backend], "uid": "${database}"}


def _placed(panels: Sequence[Panel], backend: Backend) -> list[dict[str, Any]]:
    """Panels from left to right, in rows as high as their highest."""
    placed = []
    x = y = high = 0
    for number, panel in enumerate(panels, 1):
        wide, tall = panel.size
        if x + wide > _WIDE:
            x, y, high = 0, y + high, 0
        place = {"x": x, "y": y, "w": wide, "h": tall}
        placed.append(_panel(panel, number, place, backend))
        x, high = x + wide, max(high, tall)
    return placed


def _panel(panel: Panel, number: int, place: dict[str, int], backend: Backend) -> dict[str, Any]:
    asked = _asked(backend, health=panel.health)
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.words:
        options = {
            value: {"text": text, "color": colour, "index": index}
            for index, (value, text, colour) in enumerate(panel.words)
        }
        defaults["mappings"] = [{"type": "value", "options": options}]
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "drawStyle": "bars" if panel.bars else "line",
            "fillOpacity": 60 if panel.bars else 8,
            "lineWidth": 1,
            "spanNulls": True,
            "showPoints": "auto",
            "stacking": {"mode": "normal" if panel.stacked else "none"},
        }
    overrides = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in panel.colours
    ]
    made: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "gridPos": place,
        "datasource": asked,
        "targets": [
            _target(query, index, asked, prom=asked["type"] == "prometheus")
            for index, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": defaults, "overrides": overrides},
        "options": _options(panel),
    }
    if panel.least:
        made["interval"] = panel.least
    return made


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        return {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if panel.kind == "table":
        return {"showHeader": True}
    reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "bargauge":
        return {"reduceOptions": reduced, "orientation": "horizontal", "displayMode": "basic"}
    return {"reduceOptions": reduced, "colorMode": "value", "textMode": "value_and_name"}


def _target(query: Query, index: int, asked: dict[str, str], *, prom: bool) -> dict[str, Any]:
    ref = chr(ord("A") + index % 26) + ("" if index < 26 else str(index // 26))
    made: dict[str, Any] = {"refId": ref, "datasource": asked}
    if prom:
        return made | {
            "expr": query.text,
            "legendFormat": query.legend or "__auto",
            "instant": query.latest,
            "range": not query.latest,
            "format": "table" if query.table else "time_series",
        }
    return made | {
        "query": query.text,
        "rawQuery": True,
        "alias": query.legend,
        "resultFormat": "table" if query.table else "time_series",
    }
