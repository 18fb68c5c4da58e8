"""Grafana dashboards for what the sink writes, made from the same tables that the sink goes by.

``python -m gateway.dashboards deploy/grafana`` writes them: for VictoriaMetrics (PromQL) and for
InfluxDB (InfluxQL, which versions 1.8, 2 and 3 all speak), each in Chinese and English.
"""

from __future__ import annotations

from typing import Final, Literal

Backend = Literal["victoriametrics", "influxdb"]
BACKENDS: Final[tuple[Backend, ...]] = ("victoriametrics", "influxdb")

__all__ = ["BACKENDS", "Backend"]
