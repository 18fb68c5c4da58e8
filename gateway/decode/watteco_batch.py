"""Batch reports of Watteco sensors: samples of several series, with their times, in few bits.

The format is the vendor's ("batch report", support.watteco.com; its tool is ``br_uncompress``).
Bits of a byte come lowest first; a number of n bits comes as its high n mod 8 bits (8 when even)
and then byte by byte.  A batch has a byte of flags, a counter, and for each series a tag, a time
since the device started and a first value in full.  Samples after them are differences: the number
of bits of a difference comes in a Huffman code of one of three tables, the difference in that many
bits.  Times of the samples are the series' own, or one list for all of them.  The time of sending
comes last, so that each time counts back from the receipt.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gateway.errors import DecodeError

_COMMON_TIMES: Final = 0x02
_FIRST_VALUES_ONLY: Final = 0x04
_FULL: Final = 15
"""Of the Huffman codes: what follows is a number in full, not a difference."""
_TIME_TABLE: Final = 1
_TIME_BITS: Final = 32
_RARE: Final = "1000000000 10000000010 10000000011 10000000100 10000000101 10000000110 10000000111"
_COMMON: Final = (
    "1101111 11010 1100 011 111 10 00 010 110110 110111011 110111001 1101110101 1101110100 "
    "1101110000 11011100011 11011100010"
)
_CODES: Final = (
    f"00 01 11 101 1001 10001 100001 1000001 10000001 {_RARE}",
    _COMMON,
    f"1001 101 00 01 11 10001 100001 1000001 10000001 {_RARE}",
)
"""The three tables of the vendor: the code of each number of bits, 0 to 14, and of 'in full'."""
Codes = Mapping[tuple[int, int], int]
"""What a code means, by its length and bits."""
_TABLES: Final[tuple[Codes, ...]] = tuple(
    {(len(code), int(code, 2)): bits for bits, code in enumerate(codes.split())} for codes in _CODES
)
_LONGEST: Final = 11


Series = tuple[str, int, str, float]
"""What its samples are called in the document, how many bits a value in full has, its sort (``b``,
``u``: unsigned, ``s``: signed, ``f``: a float), and what a difference of one stands for."""

Table = tuple[int, Mapping[int, Series]]
"""How many bits a tag has, and the series of a device's batches by tag."""


def read_batch(payload: bytes, table: Table, received: int, label: str) -> dict[str, Any]:
    """The samples of a batch.

    Args:
        payload: the whole batch.
        table: what the device sends.
        received: seconds since 1970 of the receipt.
        label: what faults call it.

    Returns:
        ``counter``, and a list of ``time`` (seconds since 1970) and ``value`` by name of series.

    Raises:
        DecodeError: ``unparseable``.
    """
    return _Batch(payload, table, label).read(received)


class _Run(NamedTuple):
    """The samples of a series so far: time and value."""

    name: str
    bits: int
    sort: str
    step: float
    coding: int
    codes: Codes
    samples: list[tuple[int, float]]


class _Batch:
    def __init__(self, payload: bytes, table: Table, label: str) -> None:
        self.whole = int.from_bytes(payload, "little")
        self.end = 8 * len(payload)
        self.at = 0
        self.tag_bits, self.series = table
        self.label = label
        self.runs: dict[int, _Run] = {}

    def read(self, received: int) -> dict[str, Any]:
        flags = self.number(8)
        counter = self.number(3)
        self.number(1)
        last = 0
        for _ in range(flags >> 4):
            last = self.first(last, samples=not flags & _FIRST_VALUES_ONLY)
        if not flags & _FIRST_VALUES_ONLY:
            last = self.common() if flags & _COMMON_TIMES else self.separate(last)
        sent = self.later(last)
        if self.end - self.at >= 8:
            raise self.fault(f"{(self.end - self.at) // 8} bytes are left behind the last time")
        document: dict[str, Any] = {"counter": counter}
        for run in self.runs.values():
            document[run.name] = [
                {"time": received - (sent - time), "value": value} for time, value in run.samples
            ]
        return document

    # Bits

    def fault(self, what: str) -> DecodeError:
        return DecodeError("unparseable", f"{self.label}: bit {self.at} of the batch: {what}")

    def number(self, bits: int) -> int:
        if self.at + bits > self.end:
            raise self.fault(f"{bits} bits are needed, {self.end - self.at} are left")
        value, group = 0, bits % 8 or 8
        while bits > 0:
            value = value << 8 | (self.whole >> self.at & (1 << group) - 1)
            self.at += group
            bits -= group
            group = 8
        return value

    def code(self, table: Codes) -> int:
        code = 0
        for length in range(1, _LONGEST + 1):
            code = code << 1 | self.number(1)
            found = table.get((length, code))
            if found is not None:
                return found
        raise self.fault("no code of the table")

    def codes(self) -> Codes:
        number = self.number(2)
        if number >= len(_TABLES):
            raise self.fault("there is no fourth table of codes")
        return _TABLES[number]

    # Times and values

    def later(self, base: int) -> int:
        """A time in full, or after another; before any sample it is always in full."""
        if not base:
            return self.number(_TIME_BITS)
        return self.step(base, self.code(_TABLES[_TIME_TABLE]))

    def step(self, base: int, bits: int) -> int:
        if bits == _FULL:
            return self.number(_TIME_BITS)
        return base + self.number(bits) + (1 << bits) - 1

    def full(self, name: str, bits: int, sort: str) -> float:
        raw = self.number(bits)
        if sort == "f":
            value: float = struct.unpack(">f", raw.to_bytes(4, "big"))[0]
            if not math.isfinite(value):
                raise self.fault(f"{name} is no number")
            return value
        return raw - (1 << bits) if sort == "s" and raw >> bits - 1 else raw

    def difference(self, run: _Run, bits: int) -> float:
        """How many steps: towards both sides, upwards or downwards."""
        raw, greatest = self.number(bits), (1 << bits) - 1
        if run.coding == 0:
            return raw if raw > greatest >> 1 else raw - greatest
        return raw + greatest if run.coding == 1 else -(raw + greatest)

    def value(self, run: _Run, bits: int) -> float:
        before = run.samples[-1][1]
        if bits == _FULL:
            return self.full(run.name, run.bits, run.sort)
        return before + self.difference(run, bits) * run.step if bits else before

    # The parts of a batch

    def tag(self) -> int:
        tag = self.number(self.tag_bits)
        if tag not in self.series:
            known = ", ".join(f"{key}: {name}" for key, (name, *_) in self.series.items())
            raise self.fault(f"tag {tag} is none of {known}")
        return tag

    def known(self) -> _Run:
        tag = self.tag()
        if tag not in self.runs:
            raise self.fault(f"samples of {self.series[tag][0]} without a first value")
        return self.runs[tag]

    def first(self, last: int, *, samples: bool) -> int:
        """The first sample of a series; returns its time."""
        tag = self.tag()
        if tag in self.runs:
            raise self.fault(f"{self.series[tag][0]} is there twice")
        name, bits, sort, step = self.series[tag]
        time = self.later(last)
        value = self.full(name, bits, sort)
        coding, codes = 0, _TABLES[0]
        if samples:
            coding, codes = self.number(2), self.codes()
            if coding > 2:
                raise self.fault("there is no fourth coding of differences")
        self.runs[tag] = _Run(name, bits, sort, step, coding, codes, [(time, value)])
        return time

    def separate(self, last: int) -> int:
        """Samples with times of their own; returns the latest."""
        for _ in self.runs:
            run = self.known()
            count = self.number(8)
            times = self.codes() if count else _TABLES[0]
            for _ in range(count):
                time = self.step(run.samples[-1][0], self.code(times))
                run.samples.append((time, self.value(run, self.code(run.codes))))
                last = max(last, time)
        return last

    def common(self) -> int:
        """Samples with one list of times for all; returns the last of it."""
        count, codes = self.number(8), self.codes()
        times: list[int] = []
        start = next((run.samples[0][0] for run in self.runs.values()), 0)
        for index in range(count):
            bits = self.code(codes)
            if not index and bits != _FULL:
                times.append(start)
            else:
                times.append(self.step(times[-1] if times else 0, bits))
        for _ in self.runs:
            self.listed(self.known(), times)
        return times[-1] if times else 0

    def listed(self, run: _Run, times: list[int]) -> None:
        """The samples of a series at some of the times; the first, sent in full, comes again."""
        again = True
        for time in times:
            if not self.number(1):
                continue
            bits = self.code(run.codes)
            if not bits and again:
                again = False
                continue
            run.samples.append((time, self.value(run, bits)))
