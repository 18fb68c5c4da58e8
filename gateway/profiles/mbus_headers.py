"""Headers of M-Bus records without their data, as a profile says those of a compact frame."""

from __future__ import annotations

from typing import Final

_SIZES: Final = {0x1: 1, 0x2: 2, 0x3: 3, 0x4: 4, 0x5: 4, 0x6: 6, 0x7: 8,
                 0x9: 1, 0xA: 2, 0xB: 3, 0xC: 4, 0xE: 6}  # fmt: skip
"""Bytes of data by the low bits of a DIF; the others tell their size by the data, or have none."""

_PLAIN_TEXT: Final = 0x7C


def split_headers(headers: bytes) -> list[tuple[bytes, int]]:
    """Each header (DIF to the last VIFE) with the size of the data that belong to it.

    Raises:
        ValueError: they end within one, or one does not say the size of its data.
    """
    found: list[tuple[bytes, int]] = []
    at = 0
    while at < len(headers):
        size = _SIZES.get(headers[at] & 0x0F)
        try:
            stop = _end(headers, at)
        except IndexError as error:
            raise ValueError(f"the header of a record is cut off after byte {at}") from error
        if size is None or _PLAIN_TEXT in {byte & 0x7F for byte in headers[at + 1 : at + 2]}:
            raise ValueError(f"the header at byte {at} does not say the size of its data")
        found.append((headers[at:stop], size))
        at = stop
    return found


def _end(headers: bytes, at: int) -> int:
    for _ in ("DIF", "VIF"):
        while headers[at] & 0x80:
            at += 1
        at += 1
    return at
