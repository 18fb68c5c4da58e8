"""Every flag code: title, severity, evidence, default tolerance with its source, legal basis.

The codes are those of the public surface.
"""

from __future__ import annotations

from typing import Final

from gateway.checks.catalogue import charging, fuel, general, taxi, utility
from gateway.checks.catalogue.info import CheckInfo

__all__ = ["CATALOGUE", "CheckInfo"]

CATALOGUE: Final[dict[str, CheckInfo]] = {
    info.code: info for family in (general, fuel, taxi, utility, charging) for info in family.CODES
}
"""All codes, by family."""
