"""M-Bus frames and wireless telegrams, built byte by byte from the standards' descriptions.

It shares nothing with the decoders: CRCs are counted bit by bit, CBC, CTR and CMAC are made of
single AES blocks (RFC 4493), and a frame is spelled in the order in which the standard draws it.
"""

import datetime as dt
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

FUNCTIONS = {"instantaneous": 0, "maximum": 1, "minimum": 2, "error": 3}

# -- data ----------------------------------------------------------------------------------------


def bcd(digits: str) -> bytes:
    """``"12.34"`` two digits a byte, low byte first; a minus is F in the highest place."""
    plain = digits.replace(".", "").replace("-", "F")
    assert len(plain) % 2 == 0, digits
    pairs = [plain[i : i + 2] for i in range(0, len(plain), 2)]
    return bytes(int(pair, 16) for pair in reversed(pairs))


def binary(value: int, width: int) -> bytes:
    """A whole number of so many bytes, low byte first."""
    value %= 256**width
    return bytes((value // 256**i) % 256 for i in range(width))


def real(value: float) -> bytes:
    """Four bytes of IEEE 754."""
    return struct.pack("<f", value)


def text(value: str) -> bytes:
    """Signs backwards, behind their number."""
    return bytes([len(value)]) + bytes(ord(sign) for sign in reversed(value))


def day(value: str) -> bytes:
    """Type G of ``2026-01-02``."""
    date = dt.date.fromisoformat(value)
    year = date.year % 100
    return bytes([date.day + 32 * (year % 8), date.month + 16 * (year // 8)])


def minute(value: str, *, invalid: bool = False) -> bytes:
    """Type F of ``2026-01-02T08:00``, in the century 2000."""
    at = dt.datetime.fromisoformat(value)
    return bytes([at.minute + 128 * invalid, at.hour + 32]) + day(value[:10])


def second(value: str) -> bytes:
    """Type I of ``2026-01-02T08:00:00``."""
    at = dt.datetime.fromisoformat(value)
    hours = at.hour + 32 * at.isoweekday()
    return bytes([at.second, at.minute, hours]) + day(value[:10]) + bytes([at.isocalendar()[1]])


# -- records -------------------------------------------------------------------------------------

NONE, INT8, INT16, INT24, INT32, REAL32, INT48, INT64 = range(8)
BCD2, BCD4, BCD6, BCD8, VARIABLE, BCD12 = 9, 10, 11, 12, 13, 14
_KINDS = {1: INT8, 2: INT16, 3: INT24, 4: INT32, 6: INT48, 8: INT64}
_BCD_KINDS = {1: BCD2, 2: BCD4, 3: BCD6, 4: BCD8, 6: BCD12}


def header(
    kind: int, vif: str, *, function: str = "instantaneous", storage: int = 0, tariff: int = 0,
    subunit: int = 0, difes: int = 0,
) -> bytes:  # fmt: skip
    """DIF, as many DIFEs as the numbers need (``difes`` at least), and the VIF with its VIFEs."""
    dif = kind + 16 * FUNCTIONS[function] + 64 * (storage % 2)
    storage //= 2
    extensions = []
    while storage or tariff or subunit or len(extensions) < difes:
        extensions.append(storage % 16 + 16 * (tariff % 4) + 64 * (subunit % 2))
        storage, tariff, subunit = storage // 16, tariff // 4, subunit // 2
    dib = [dif, *extensions]
    marked = [byte + 128 for byte in dib[:-1]] + dib[-1:]
    return bytes(marked) + bytes.fromhex(vif)


def record(vif: str, data: bytes, kind: int | None = None, **where: int | str) -> bytes:
    """A record of a binary number, or of the kind that is said."""
    return header(_KINDS[len(data)] if kind is None else kind, vif, **where) + data  # type: ignore[arg-type]


def digits(vif: str, value: str, **where: int | str) -> bytes:
    """A record of BCD."""
    data = bcd(value)
    return header(_BCD_KINDS[len(data)], vif, **where) + data  # type: ignore[arg-type]


def number(vif: str, value: int, width: int, **where: int | str) -> bytes:
    """A record of a whole number."""
    return record(vif, binary(value, width), **where)


# -- wired frames --------------------------------------------------------------------------------


def maker(letters: str) -> bytes:
    """Five bits a letter, low byte first."""
    first, middle, last = (ord(letter) - 64 for letter in letters)
    return binary(first * 32 * 32 + middle * 32 + last, 2)


def address(identity: str, version: int, medium: int) -> bytes:
    """The A-field: eight digits, version, device type."""
    return bcd(identity) + bytes([version, medium])


def long_header(
    identity: str, manufacturer: str, version: int, medium: int, *, access: int = 1,
    status: int = 0, configuration: int = 0,
) -> bytes:  # fmt: skip
    """The twelve bytes of a long transport header."""
    return (
        bcd(identity) + maker(manufacturer) + bytes([version, medium, access, status])
        + binary(configuration, 2)
    )  # fmt: skip


def short_header(*, access: int = 1, status: int = 0, configuration: int = 0) -> bytes:
    """The four bytes of a short transport header."""
    return bytes([access, status]) + binary(configuration, 2)


def frame(ci: int, data: bytes, *, primary: int = 1, control: int = 0x08) -> bytes:
    """A long frame, ``68 L L 68 ... CS 16``."""
    inside = bytes([control, primary, ci]) + data
    total = 0
    for byte in inside:
        total = (total + byte) % 256
    return bytes([0x68, len(inside), len(inside), 0x68]) + inside + bytes([total, 0x16])


def answer(
    identity: str, manufacturer: str, version: int, medium: int, *records: bytes, access: int = 1,
    status: int = 0, primary: int = 1,
) -> bytes:  # fmt: skip
    """The answer of a meter, with a long header."""
    head = long_header(identity, manufacturer, version, medium, access=access, status=status)
    return frame(0x72, head + b"".join(records), primary=primary)


def fixed(
    identity: str, status: int, units: tuple[int, int], medium: int, *counters: bytes
) -> bytes:
    """The fixed structure; the medium's four bits are the top bits of the units."""
    first, second_ = units
    return frame(
        0x73,
        bcd(identity) + bytes([1, status, first + 64 * (medium % 4), second_ + 64 * (medium // 4)])
        + b"".join(counters),
    )  # fmt: skip


# -- ciphers -------------------------------------------------------------------------------------


def _block(key: bytes, data: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(data)


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=False))


def cbc(key: bytes, vector: bytes, plain: bytes) -> bytes:
    """Cipher block chaining, block by block."""
    found = []
    for i in range(0, len(plain), 16):
        vector = _block(key, _xor(vector, plain[i : i + 16]))
        found.append(vector)
    return b"".join(found)


def ctr(key: bytes, first: bytes, plain: bytes) -> bytes:
    """Counter mode; the last byte counts."""
    found = b""
    for i in range(0, len(plain), 16):
        counter = first[:15] + bytes([first[15] + i // 16])
        found += _xor(plain[i : i + 16], _block(key, counter))
    return found


def cmac(key: bytes, message: bytes) -> bytes:
    """AES-CMAC of RFC 4493."""

    def doubled(block: bytes) -> bytes:
        value = int.from_bytes(block, "big") << 1
        if value >> 128:
            value = (value ^ 0x87) & ((1 << 128) - 1)
        return value.to_bytes(16, "big")

    once = doubled(_block(key, bytes(16)))
    if message and len(message) % 16 == 0:
        last, rest = _xor(message[-16:], once), message[:-16]
    else:
        over = len(message) % 16
        padded = message[len(message) - over :] + b"\x80" + bytes(15 - over)
        last, rest = _xor(padded, doubled(once)), message[: len(message) - over]
    state = bytes(16)
    for i in range(0, len(rest), 16):
        state = _block(key, _xor(state, rest[i : i + 16]))
    return _block(key, _xor(state, last))


# -- wireless telegrams --------------------------------------------------------------------------


def crc(data: bytes) -> bytes:
    """CRC of EN 13757-4 (polynomial 3D65, complemented), bit by bit, high byte first."""
    rest = 0
    for byte in data:
        for bit in range(7, -1, -1):
            top = rest >> 15 ^ byte >> bit & 1
            rest = rest << 1 & 0xFFFF
            if top:
                rest ^= 0x3D65
    rest ^= 0xFFFF
    return bytes([rest >> 8, rest & 0xFF])


def telegram(
    identity: str, manufacturer: str, version: int, medium: int, body: bytes, *, control: int = 0x44
) -> bytes:
    """A telegram without CRCs: L, C, M, A, and the rest from CI on."""
    inside = bytes([control]) + maker(manufacturer) + address(identity, version, medium) + body
    return bytes([len(inside)]) + inside


def format_a(plain: bytes) -> bytes:
    """The same with the CRCs of frame format A."""
    found = plain[:10] + crc(plain[:10])
    for i in range(10, len(plain), 16):
        found += plain[i : i + 16] + crc(plain[i : i + 16])
    return found


def format_b(plain: bytes) -> bytes:
    """The same with the CRCs of frame format B, which L counts."""
    blocks = 1 if len(plain) <= 126 else 2
    data = bytes([plain[0] + 2 * blocks]) + plain[1:]
    found = data[:126] + crc(data[:126])
    if blocks == 2:
        found += data[126:] + crc(data[126:])
    return found


def filled(plain: bytes) -> bytes:
    """2F 2F, the records, and fillers to whole blocks."""
    proved = b"\x2f\x2f" + plain
    return proved + b"\x2f" * (-len(proved) % 16)


def mode_5(
    key: bytes, sender: bytes, plain: bytes, *, access: int = 1, status: int = 0, ci: int = 0x7A,
    head: bytes = b"",
) -> bytes:  # fmt: skip
    """Body of a message in mode 5; ``sender`` is M-field and A-field, ``head`` them in CI 72."""
    text_ = filled(plain)
    configuration = 0x0500 + 16 * (len(text_) // 16)
    vector = sender + bytes([access]) * 8
    return (
        bytes([ci]) + head + short_header(access=access, status=status, configuration=configuration)
        + cbc(key, vector, text_)
    )  # fmt: skip


def derived(key: bytes, purpose: int, counter: int, identity: str) -> bytes:
    """A key of one message: purpose 0 to encipher, 1 for the MAC."""
    return cmac(key, bytes([purpose]) + binary(counter, 4) + bcd(identity) + b"\x07" * 7)


def mode_7(
    key: bytes, identity: str, plain: bytes, *, counter: int = 1, access: int = 1, mac: int = 8,
    with_length: bool = False,
) -> bytes:  # fmt: skip
    """Body of a message in mode 7: authentication layer, short header, enciphered records."""
    text_ = filled(plain)
    configuration = 0x0700 + 16 * (len(text_) // 16)
    message = (
        b"\x7a" + short_header(access=access, configuration=configuration) + b"\x10"
        + cbc(derived(key, 0, counter, identity), bytes(16), text_)
    )  # fmt: skip
    kind = {0: 0, 2: 3, 4: 4, 8: 5, 12: 6, 16: 7}[mac]
    control = bytes([kind + 0x20 + 0x40 * with_length])
    length = binary(len(message), 2) if with_length else b""
    covered = control + binary(counter, 4) + length
    proof = cmac(derived(key, 1, counter, identity), covered + message)[:mac]
    fields = 0x2800 + 0x0400 * bool(mac) + 0x1000 * with_length
    head = binary(fields, 2) + control + binary(counter, 4) + proof + length
    return bytes([0x90, len(head)]) + head + message


def extended(
    message: bytes, sender: bytes, *, key: bytes | None = None, control: int = 0x20,
    access: int = 1, session: int = 0x0123456, receiver: bytes = b"",
) -> bytes:  # fmt: skip
    """An extended link layer with a session (CI 8D, or 8F with a receiver of eight bytes)."""
    cipher = 1 << 29 if key is not None else 0
    number_ = binary(session + cipher, 4)
    inner = bytes(reversed(crc(message))) + message
    if key is not None:
        inner = ctr(key, sender + bytes([control]) + number_ + bytes(3), inner)
    ci = 0x8F if receiver else 0x8D
    return bytes([ci, control, access]) + receiver + number_ + inner


def compact(headers: str, *data: bytes) -> bytes:
    """A compact frame of these headers: signature, CRC of the whole frame, data."""
    pieces = [bytes.fromhex(piece) for piece in headers.split()]
    whole = b"".join(head + value for head, value in zip(pieces, data, strict=True))
    signature = bytes(reversed(crc(b"".join(pieces))))
    return b"\x79" + signature + bytes(reversed(crc(whole))) + b"".join(data)
