"""A dispenser as its messages tell it: sales that add up, and what a test spoils in them."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.devices import Registry
from gateway.profiles.layout import Layout, Register
from gateway.records import Device, Reading
from tests.checks.support import MINUTE, T0

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.checks.runs import Made

DAY = 24 * 60
_REGISTERS = {
    "totaliser_volume": Register(10.0**8, 0.01),
    "totaliser_amount": Register(10.0**9, 0.01),
}
SALE = Layout(
    "fuel_dispenser", "transaction", "test@1.0.0",
    ("volume", "unit_price", "amount", "product", "started_at", "ended_at", "flow_rate", "pulses",
     "k_factor", "totaliser_volume", "totaliser_amount", "firmware_checksum"),
    _REGISTERS, 2**32, sequence_per_channel=False, measured=True,
)  # fmt: skip
TOTALS = Layout(
    "fuel_dispenser", "periodic", "test@1.0.0", ("totaliser_volume", "totaliser_amount"),
    _REGISTERS, 2**32, sequence_per_channel=False, measured=True,
)  # fmt: skip
ALARM = Layout(
    "fuel_dispenser", "alarm", "test@1.0.0", (), {}, 2**32,
    sequence_per_channel=False, measured=True,
)  # fmt: skip


def device(*, valid_from: int | None = None, serial_number: str = "1", **parameters: Any) -> Device:
    """A version of the dispenser that `Forecourt` makes."""
    return Device(
        device_id="d1", serial_number=serial_number, parameters=parameters, valid_from=valid_from
    )


class Forecourt:
    """Two nozzles sell in turn, every quarter of an hour or so; totalisers every hour.

    A totaliser takes a sale in at its end.  ``made`` is what was sent, with its layouts.
    """

    def __init__(self, seed: int = 1, *, k: float = 100.0, price: float = 7.5) -> None:
        self.rng = Random(seed)
        self.k = k
        self.price = price
        self.number = 0
        self.totals = {"1": [5000_00, 30000_00], "2": [7000_00, 50000_00]}
        self.made: list[Made] = []
        self.minute = 0.0
        self.next_totals = 30.0

    def sale(
        self,
        nozzle: str,
        *,
        litres: float | None = None,
        spoil: Callable[[dict[str, Any]], None] = lambda _: None,
        booked: Callable[[dict[str, Any]], None] = lambda _: None,
        told: bool = True,
        lost: bool = False,
        pause: float | None = None,
    ) -> Reading | None:
        """The next sale.

        Args:
            nozzle: 1 or 2.
            litres: None: by chance, six in ten for a round amount.
            spoil: changes its quantities before the totalisers take it in.
            booked: changes them after.
            told: False: neither sent nor numbered.
            lost: numbered and not sent.
            pause: minutes before it.
        """
        rng = self.rng
        self.minute += rng.uniform(8, 22) if pause is None else pause
        if litres is None and rng.random() < 0.6:
            amount = rng.choice((100, 150, 200, 200, 300))
            volume = round(amount / self.price, 2)
        else:
            volume = rng.randint(600, 6000) / 100 if litres is None else litres
            amount = round(volume * self.price, 2)
        start, flow = self.minute, rng.uniform(20, 40)
        self.minute += max(0.1, volume / flow)
        while self.next_totals < self.minute:
            self.periodic(self.next_totals)
        sale: dict[str, Any] = {
            "volume": volume,
            "unit_price": self.price,
            "amount": float(amount),
            "product": "92#",
            "started_at": T0 + round(start * MINUTE),
            "ended_at": T0 + round(self.minute * MINUTE),
            "flow_rate": round(flow, 1),
            "pulses": float(round(volume * self.k)),
            "k_factor": self.k,
            "firmware_checksum": "c0ffee01",
        }
        spoil(sale)
        total = self.totals[nozzle]
        total[0] += round(sale["volume"] * 100)
        total[1] += round(sale["amount"] * 100)
        sale["totaliser_volume"], sale["totaliser_amount"] = total[0] / 100, total[1] / 100
        booked(sale)
        if not told:
            return None
        return self._send(SALE, nozzle, self.minute, sale, lost=lost)

    def periodic(self, minute: float) -> None:
        """Both nozzles' totalisers."""
        self.next_totals += 60
        for nozzle, total in self.totals.items():
            names = {"totaliser_volume": total[0] / 100, "totaliser_amount": total[1] / 100}
            self._send(TOTALS, nozzle, minute, names)

    def alarm(self, *words: str) -> None:
        """An alarm, one minute later."""
        self.minute += 1
        one = self._send(ALARM, None, self.minute, {})
        self.made[-1] = (ALARM, msgspec.structs.replace(one, status=words))

    def sell(self, sales: int, **given: Any) -> None:
        """So many sales on both nozzles in turn."""
        for index in range(sales):
            self.sale("12"[index % 2], **given)

    def _send(
        self,
        layout: Layout,
        nozzle: str | None,
        minute: float,
        quantities: dict[str, Any],
        *,
        lost: bool = False,
    ) -> Reading:
        self.number += 1
        measured = T0 + round(minute * MINUTE)
        one = Reading(
            "d1", "fuel_dispenser", layout.event, nozzle, measured, measured + MINUTE // 10,
            self.number, "raw", (), "CNY", layout.profile, self.number, layout.names,
            tuple(quantities.get(name) for name in layout.names),
        )  # fmt: skip
        if not lost:
            self.made.append((layout, one))
        return one


REGISTERED = Registry([device(k_factor=100.0, q_max=50.0, q_min=5.0, mmq=5.0)])
