"""Which protocols there are, who speaks them, which profile reads them, and what each can't say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from simulators.protocols import (
    cjt188,
    dlt645,
    dsmr,
    lorawan,
    mbus,
    ocmf,
    ocpp16,
    reference,
    senml,
    sparkplug,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.instrument import Setting
    from simulators.protocols.packet import Encode


def _nothing(kind: str, setting: Setting) -> dict[str, Any]:
    del kind, setting
    return {}


_DIGITS: Final = {
    "electricity_meter": dict.fromkeys(
        ("energy_import", "energy_export", "energy_reactive_import", "energy_reactive_export"), 6
    ),
    "water_meter": {"volume": 6, "volume_reverse": 6},
    "gas_meter": {"volume": 6, "volume_base": 6},
    "heat_meter": {"energy": 8, "volume": 6},
    "ev_charger": dict.fromkeys(("energy_import", "energy_start", "energy_end"), 8),
}
"""Digits before the point of the instruments' registers, in canonical units."""

_LAST_DIGITS: Final = {"volume": 0.001, "volume_reverse": 0.001, "volume_base": 0.001}
"""What the last digit stands for, where that is not 0.01."""


def _faces(kind: str, setting: Setting) -> dict[str, Any]:
    """The digits of the registers, before and after the point: the profiles are for any meter."""
    del setting
    steps = {name: _LAST_DIGITS.get(name, 0.01) for name in _DIGITS[kind]}
    return {
        "register_digits": _DIGITS[kind],
        "checks": {"register_decrease": {"tolerance": steps}},
    }


def _cjt188_faces(kind: str, setting: Setting) -> dict[str, Any]:
    """The frame has six digits before the point, whatever the heat meter's display has."""
    return {"register_digits": {"energy": 6}} if kind == "heat_meter" else _nothing(kind, setting)


def _ocmf_parameters(kind: str, setting: Setting) -> dict[str, Any]:
    return _faces(kind, setting) | ocmf.parameters(setting)


class Protocol(NamedTuple):
    """A protocol.

    Attributes:
        profiles: the profile of the gateway's catalogue that reads it, by kind of instrument.
        encoder: makes a device's encoder, from its kind, region and setting.
        carries: what of a reading gets through, in the words of ``NEEDS``; None for all of it.
        identity: the id that the protocol forces on a device, from kind, region and number (from
            0); None leaves the id as it is.
        parameters: what the registry must know to read it, from kind and setting: a key, or the
            digits of registers where the profile does not tell them.
    """

    profiles: dict[str, str]
    encoder: Callable[[str, str, Setting], Encode]
    carries: frozenset[str] | None = None
    identity: Callable[[str, str, int], str] | None = None
    parameters: Callable[[str, Setting], dict[str, Any]] = _nothing

    def device_id(self, kind: str, region: str, index: int) -> str | None:
        """The id of device number ``index``, or None where any will do."""
        return None if self.identity is None else self.identity(kind, region, index)


NEEDS: Final[dict[str, frozenset[str]]] = {
    code: frozenset(words.split())
    for code, words in {
        "unregistered_device": "",
        "silent_device": "",
        "burst_after_silence": "time",
        "verification_expired": "",
        "future_timestamp": "time",
        "clock_drift": "time",
        "sequence_gap": "sequence",
        "conflicting_duplicate": "sequence",
        "register_decrease": "register",
        "register_stuck": "register",
        "register_spike": "register",
        "zero_consumption": "register",
        "consumption_drop": "register",
        "leak_suspected": "register",
        "energy_balance_mismatch": "register",
        "power_energy_mismatch": "register power",
        "tariff_sum_mismatch": "tariffs",
        "signature_invalid": "signature",
        "voltage_out_of_limits": "voltage",
        "frequency_out_of_limits": "frequency",
    }.items()
}
"""What a protocol must carry for a flag to be raised; a code that is not here needs all."""

_SIGNED: Final = frozenset({"signature_invalid"})


def shows(protocol: Protocol, code: str) -> bool:
    """Whether a fault with this flag code can be seen through a protocol."""
    if protocol.carries is None:
        # nothing signs the reference format
        return code not in _SIGNED
    return code in NEEDS and NEEDS[code] <= protocol.carries


PROTOCOLS: Final[dict[str, Protocol]] = {
    "json": Protocol(reference.PROFILES, reference.json),
    "cbor": Protocol(reference.CBOR_PROFILES, reference.cbor),
    "msgpack": Protocol(reference.MSGPACK_PROFILES, reference.msgpack),
    "senml": Protocol(senml.PROFILES, senml.encoder, senml.CARRIES, parameters=_faces),
    "sparkplug": Protocol(
        sparkplug.PROFILES, sparkplug.encoder, sparkplug.CARRIES, parameters=_faces
    ),
    "mbus": Protocol(mbus.PROFILES, mbus.encoder, mbus.CARRIES, mbus.identity, _faces),
    "dlt645": Protocol(dlt645.PROFILES, dlt645.encoder, dlt645.CARRIES, dlt645.identity),
    "cjt188": Protocol(
        cjt188.PROFILES, cjt188.encoder, cjt188.CARRIES, cjt188.identity, _cjt188_faces
    ),
    "dsmr": Protocol(dsmr.PROFILES, dsmr.encoder, dsmr.CARRIES, parameters=_faces),
    "ttn": Protocol(lorawan.PROFILES, lorawan.things_stack, lorawan.CARRIES, parameters=_faces),
    "chirpstack": Protocol(
        lorawan.PROFILES, lorawan.chirpstack, lorawan.CARRIES, lorawan.identity, _faces
    ),
    "ocpp16": Protocol(ocpp16.PROFILES, ocpp16.encoder, ocpp16.CARRIES, parameters=_faces),
    "ocmf": Protocol(ocmf.PROFILES, ocmf.encoder, ocmf.CARRIES, parameters=_ocmf_parameters),
}
