"""Checksums of payloads, by the names that layouts say."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from typing import Final


def _table(polynomial: int, width: int, *, reflected: bool) -> tuple[int, ...]:
    top, mask = 1 << (width - 1), (1 << width) - 1
    table = []
    for byte in range(256):
        rest = byte if reflected else byte << (width - 8)
        for _ in range(8):
            if reflected:
                rest = rest >> 1 ^ polynomial if rest & 1 else rest >> 1
            else:
                rest = (rest << 1 ^ polynomial if rest & top else rest << 1) & mask
        table.append(rest)
    return tuple(table)


def crc(
    polynomial: int, width: int, start: int, final: int = 0, *, reflected: bool = False
) -> Callable[[bytes], int]:
    """A cyclic redundancy check of 8 to 16 bits, by table.

    Args:
        polynomial: without its highest term; bit-reversed for a reflected check.
        width: bits.
        start: of the register.
        final: is combined into the result by exclusive or.
        reflected: bytes go in from their lowest bit.
    """
    table, mask, shift = _table(polynomial, width, reflected=reflected), (1 << width) - 1, width - 8

    def check(data: bytes) -> int:
        rest = start
        if reflected:
            for byte in data:
                rest = rest >> 8 ^ table[(rest ^ byte) & 0xFF]
        else:
            for byte in data:
                rest = (rest << 8 & mask) ^ table[(rest >> shift) ^ byte]
        return rest ^ final

    return check


CHECKSUMS: Final[dict[str, Callable[[bytes], int]]] = {
    "sum8": lambda data: sum(data) & 0xFF,
    "sum16": lambda data: sum(data) & 0xFFFF,
    "xor8": lambda data: functools.reduce(int.__xor__, data, 0),
    "crc8": crc(0x07, 8, 0),
    "crc16-modbus": crc(0xA001, 16, 0xFFFF, reflected=True),
    "crc16-ccitt": crc(0x1021, 16, 0xFFFF),
    "crc16-xmodem": crc(0x1021, 16, 0),
    "crc16-en13757": crc(0x3D65, 16, 0, 0xFFFF),
    "crc32": zlib.crc32,
}
"""``crc16-ccitt`` starts with 0xFFFF (CRC-16/IBM-3740); ``crc16-xmodem`` with 0."""
