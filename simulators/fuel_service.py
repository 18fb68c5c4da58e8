"""What honestly happens to a dispenser in months: a verification visit, and another dispenser.

A visit closes the dispenser for a morning: every nozzle fills a test can of 20 L three times, which
goes back into the tank within minutes; then K is adjusted and a new certificate holds.  One
dispenser in eight is replaced: another K, another program, totalisers that begin at nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from simulators.clock import DAY, HOUR, LOCAL_OFFSET, MINUTE, local_day, rfc3339
from simulators.instrument import Version

if TYPE_CHECKING:
    from simulators.instrument import Body, Setting

PERIOD: Final = 182 * DAY
"""JJG 443: verified every six months at least."""

VISIT: Final = 2 * HOUR
"""How long before the new certificate holds the test sales begin at most."""

_CLOSES: Final = 7 * HOUR // 2
"""How long before that nobody can buy any more: no sale ends within three hours of it."""

_TESTS: Final = 3
_NEW_SHARE: Final = 0.125
_SPAN: Final = 60
_NEVER: Final = 2**62


class Board(NamedTuple):
    """The metering board: the certified pulses a litre, and the checksum of its program."""

    since: int
    k_factor: float
    checksum: str


class Service:
    """The service history of one dispenser, all of it known from the seed."""

    def __init__(self, setting: Setting) -> None:
        rng = setting.random("service")
        program = setting.shared_random("firmware")
        checksums = [f"{program.getrandbits(32):08x}" for _ in range(2)]
        # K to one decimal: what the seal covers, pulses of the encoder per litre
        k_factor = round(rng.gauss(100.0, 0.1), 1)
        self._serial = f"{rng.randrange(10**8):08d}"
        self._name = setting.device_id
        day = local_day(setting.start)
        visit_day, new_day = day + rng.randint(3, _SPAN), day + rng.randint(5, _SPAN)
        self._visit = visit_day * DAY - LOCAL_OFFSET + 12 * HOUR + rng.randrange(4 * HOUR)
        replaced = rng.random() < _NEW_SHARE and abs(visit_day - new_day) > 1
        self._new = new_day * DAY - LOCAL_OFFSET + 3 * HOUR if replaced else _NEVER
        self._renewed: set[str] = set()
        begins = sorted(each for each in (self._visit, self._new) if each != _NEVER)
        self._boards = [Board(0, k_factor, checksums[0])]
        for since in begins:
            last = self._boards[-1]
            checksum = checksums[1] if since == self._new else last.checksum
            adjusted = round(last.k_factor + rng.choice((-0.1, 0.1)), 1)
            self._boards.append(Board(since, adjusted, checksum))

    def at(self, at: int) -> Board:
        """The board in force."""
        return next(each for each in reversed(self._boards) if each.since <= at)

    def _tests(self, nozzle: int) -> list[int]:
        first = self._visit - VISIT + 25 * MINUTE + nozzle * 22 * MINUTE
        return [first + number * 7 * MINUTE for number in range(_TESTS)]

    def next_test(self, nozzle: int, after: int) -> int | None:
        """When the nozzle (counted from 0) next fills a test can, None for no more."""
        return next((at for at in self._tests(nozzle) if at > after), None)

    def is_test(self, nozzle: int, at: int) -> bool:
        """Whether a sale that begins now is a test."""
        return self._visit - VISIT < at < self._visit and at in self._tests(nozzle)

    def closed(self, at: int) -> bool:
        """Whether nobody can buy now."""
        return (
            self._visit - _CLOSES <= at <= self._visit or self._new - HOUR <= at <= self._new + HOUR
        )

    def is_new(self, nozzle: str, at: int) -> bool:
        """Whether the nozzle's totalisers begin at nothing now; true once a nozzle."""
        if at < self._new or nozzle in self._renewed:
            return False
        self._renewed.add(nozzle)
        return True

    def versions(self, parameters: Body) -> list[Version]:
        """The registry's later versions; ``parameters`` are those of the start."""
        found = []
        for number, board in enumerate(self._boards[1:], 2):
            fields: Body = {
                "verified_at": rfc3339(board.since),
                "verified_until": rfc3339(board.since + PERIOD),
                "certificate": f"SIM-{self._name}-{number}",
            }
            if board.since >= self._new:
                fields["serial_number"] = self._serial
            if board.since == self._new:
                fields["commissioned_at"] = rfc3339(board.since)
            more = {"k_factor": board.k_factor, "firmware_checksum": board.checksum}
            found.append(Version(board.since, fields, parameters | more))
        return found
