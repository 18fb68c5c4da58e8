"""Which protocols there are, who speaks them, which profile reads them, and what each can't say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from simulators.protocols import reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.instrument import Setting
    from simulators.protocols.packet import Encode


class Protocol(NamedTuple):
    """A protocol.

    Attributes:
        profiles: the profile of the gateway's catalogue that reads it, by kind of instrument.
        encoder: makes a device's encoder, from its kind, region and setting.
        carries: what of a reading gets through, in the words of ``NEEDS``; None for all of it.
        identity: the id that the protocol forces on a device, from kind, region and number (from
            0); None leaves the id as it is.
    """

    profiles: dict[str, str]
    encoder: Callable[[str, str, Setting], Encode]
    carries: frozenset[str] | None = None
    identity: Callable[[str, str, int], str] | None = None

    def device_id(self, kind: str, region: str, index: int) -> str | None:
        """The id of device number ``index``, or None where any will do."""
        return None if self.identity is None else self.identity(kind, region, index)


NEEDS: Final[dict[str, frozenset[str]]] = {
    code: frozenset(words.split())
    for code, words in {
        "unregistered_device": "",
        "silent_device": "",
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
        "tariff_sum_mismatch": "tariffs",
        "voltage_out_of_limits": "voltage",
        "frequency_out_of_limits": "frequency",
        "session_energy_mismatch": "session",
        "session_overlap": "session",
    }.items()
}
"""What a protocol must carry for a flag to be raised; a code that is not here needs all."""


def shows(protocol: Protocol, code: str) -> bool:
    """Whether a fault with this flag code can be seen through a protocol."""
    if protocol.carries is None:
        return True
    return code in NEEDS and NEEDS[code] <= protocol.carries


PROTOCOLS: Final[dict[str, Protocol]] = {
    "json": Protocol(reference.PROFILES, reference.json),
    "cbor": Protocol(reference.CBOR_PROFILES, reference.cbor),
    "msgpack": Protocol(reference.MSGPACK_PROFILES, reference.msgpack),
}
