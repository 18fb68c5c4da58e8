"""Checks: readings in, flags out.

``Judge`` is the whole of it for a pipeline; ``CATALOGUE`` says what every code means;
``read_tariffs`` reads the tariffs that fares are judged by.
"""

from gateway.checks.catalogue import CATALOGUE, CheckInfo
from gateway.checks.judge import BoundChecks, Judge
from gateway.checks.overrides import Region, read_regions
from gateway.checks.tariffs import Tariff, read_tariffs

__all__ = [
    "CATALOGUE",
    "BoundChecks",
    "CheckInfo",
    "Judge",
    "Region",
    "Tariff",
    "read_regions",
    "read_tariffs",
]
