"""Which program a device runs, as far as it is known: a group of data quality.

What the registry has of it counts first (the parameter that `firmware_changed` compares with, by
the version of the device at the time), else what the device told last.  Upper and lower case are
alike, as they are to that check.
"""
# ruff: noqa: S608 - what is put into statements is our own names; users' values are parameters

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gateway.quality.counts import DAY, HISTORY
from gateway.quantities import KINDS
from gateway.store.schema import table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.records import Device
    from gateway.store.reading import StoreReader

PARAMETER: Final = "firmware_checksum"
"""The registry's parameter, a text or one a channel; and the quantity, where a kind has it."""

_TELLING: Final = tuple(
    kind for kind, quantities in KINDS.items() if any(each.name == PARAMETER for each in quantities)
)


def told_firmware(store: StoreReader, begin: int, end: int) -> dict[str, str]:
    """What each device told of its program last, on a day or the seven before it.

    Args:
        store: with its readings.
        begin: of the day, ns, included.
        end: of the day, ns, not included.
    """
    told: dict[str, list[str]] = {}
    for kind in _TELLING:
        # One a channel: the nozzles of a dispenser may have a board each.
        for device_id, firmware in store.ask(
            f"SELECT device_id, arg_max({PARAMETER}, ledger_offset) FROM {table(kind)} "
            f"WHERE {PARAMETER} <> '' AND measured_at >= make_timestamp_ns(?) "
            "AND measured_at < make_timestamp_ns(?) GROUP BY device_id, channel",
            [begin - HISTORY * DAY, end],
        ):
            told.setdefault(device_id, []).append(firmware)
    return {device_id: one for device_id, each in told.items() if (one := _named(each)) is not None}


def registered_firmware(device: Device) -> str | None:
    """The program that one version of a device in the registry names; None where it names none."""
    told = device.parameters.get(PARAMETER)
    return _named(told.values() if isinstance(told, dict) else (told,))


def _named(told: Iterable[Any]) -> str | None:
    """The programs of a device in one name; of several channels each once."""
    names = {_text(each) for each in told} - {""}
    return " + ".join(sorted(names)) or None


def _text(told: Any) -> str:  # noqa: ANN401 - whatever the registry has
    if isinstance(told, int) and not isinstance(told, bool):
        told = str(told)  # a cell of a table that has digits only
    return told.strip().lower() if isinstance(told, str) else ""
