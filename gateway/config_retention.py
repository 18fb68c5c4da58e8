"""Settings of retention: how long readings are kept, by kind."""

# No "from __future__ import annotations": pydantic reads the annotations when the class is made.
from typing import Annotated

from pydantic import Field

from gateway.config_tables import Table

Days = Annotated[int, Field(ge=1, le=36_500)]


class RetentionSettings(Table):
    """How long readings and quarantine stay in the store, by time of receipt; flags stay."""

    fuel_dispenser: Days | None = Field(
        default=None,
        description="days after which readings of fuel dispensers are removed; default: never",
    )
    taximeter: Days | None = Field(
        default=None,
        description="days after which trips and tracks of taximeters are removed; default: never",
    )
    electricity_meter: Days | None = Field(
        default=None,
        description="days after which readings of electricity meters are removed; default: never",
    )
    water_meter: Days | None = Field(
        default=None,
        description="days after which readings of water meters are removed; default: never",
    )
    gas_meter: Days | None = Field(
        default=None,
        description="days after which readings of gas meters are removed; default: never",
    )
    heat_meter: Days | None = Field(
        default=None,
        description="days after which readings of heat meters are removed; default: never",
    )
    ev_charger: Days | None = Field(
        default=None,
        description="days after which readings of EV chargers are removed; default: never",
    )
    quarantine: Days | None = Field(
        default=None, description="days after which rows of quarantine are removed; default: never"
    )

    def days(self) -> dict[str, int]:
        """Days to keep by kind and ``quarantine``; what is kept for ever is not in it."""
        return {kind: days for kind, days in self.model_dump().items() if days is not None}
