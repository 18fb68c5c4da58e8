"""DLMS messages, built value by value from the standards' descriptions.

It shares nothing with the decoders: lengths and CRCs are counted here by other means, and each
frame is spelled in the order in which the standard draws it.
"""

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CLOCK = "0-0:1.0.0"

# -- data (A-XDR) --------------------------------------------------------------------------------


def size(count: int) -> bytes:
    """A length: one byte below 128, else how many bytes follow, and they."""
    if count < 128:
        return bytes([count])
    digits = []
    while count:
        count, digit = divmod(count, 256)
        digits.insert(0, digit)
    return bytes([128 + len(digits), *digits])


def whole(tag: int, value: int) -> bytes:
    """An integer of the type with this tag."""
    width = {5: 4, 6: 4, 15: 1, 16: 2, 17: 1, 18: 2, 20: 8, 21: 8, 22: 1}[tag]
    value %= 256**width
    return bytes([tag, *((value // 256**i) % 256 for i in reversed(range(width)))])


def u32(value: int) -> bytes:
    return whole(6, value)


def u16(value: int) -> bytes:
    return whole(18, value)


def octet_string(data: bytes) -> bytes:
    return b"\x09" + size(len(data)) + data


def visible(text: str) -> bytes:
    return b"\x0a" + size(len(text)) + text.encode("ascii")


def structure(*items: bytes) -> bytes:
    return b"\x02" + size(len(items)) + b"".join(items)


def array(*items: bytes) -> bytes:
    return b"\x01" + size(len(items)) + b"".join(items)


def obis(code: str) -> bytes:
    """``1-0:1.8.0`` as an octet string of six bytes, F being 255."""
    medium, _, rest = code.partition("-")
    channel, _, groups = rest.partition(":")
    return octet_string(bytes([int(medium), int(channel), *map(int, groups.split(".")), 255]))


def scaler_unit(scaler: int, unit: int) -> bytes:
    return structure(whole(15, scaler), whole(22, unit))


def moment(text: str, deviation: int | None = None, status: int = 0) -> bytes:
    """The 12 bytes of ``2026-01-02 08:00:00``; the deviation in minutes from local time to UTC."""
    date, _, clock = text.partition(" ")
    year, month, day = map(int, date.split("-"))
    hour, minute, second = map(int, clock.split(":"))
    far = 0x8000 if deviation is None else deviation % 65536
    return bytes([
        year // 256, year % 256, month, day, 255, hour, minute, second, 255, far // 256, far % 256,
        status,
    ])  # fmt: skip


# -- the message ---------------------------------------------------------------------------------


def notification(data: bytes, at: bytes = b"", *, tagged: bool = False) -> bytes:
    """A data notification; some meters write the tag of its date-time too."""
    head = b"\x0f\x40\x00\x00\x00" + (b"\x09" if tagged else b"")
    return head + bytes([len(at)]) + at + data


def ciphered(
    apdu: bytes, title: bytes, key: bytes, authentication: bytes = b"", counter: int = 1
) -> bytes:
    """General-glo-ciphering; authenticated as well where there is an authentication key."""
    control = 0x30 if authentication else 0x20
    count = bytes([counter >> 24 & 255, counter >> 16 & 255, counter >> 8 & 255, counter & 255])
    known = bytes([control]) + authentication if authentication else None
    sealed = AESGCM(key).encrypt(title + count, apdu, known)
    body, tag = sealed[:-16], sealed[-16:-4]  # DLMS sends the first 12 bytes of the tag
    inside = bytes([control]) + count + body + (tag if authentication else b"")
    return b"\xdb" + size(len(title)) + title + size(len(inside)) + inside


def fcs(data: bytes) -> bytes:
    """The frame check of HDLC as a shift register: x^16 + x^12 + x^5 + 1, low byte first."""
    register = 0xFFFF
    for byte in data:
        for bit in range(8):
            low = (register ^ (byte >> bit)) & 1
            register >>= 1
            if low:
                register ^= 0x8408
    register ^= 0xFFFF
    return bytes([register & 255, register >> 8])


def hdlc(
    apdu: bytes, *, part: int = 0, address: bytes = b"\x41\x08\x83", flags: bool = True
) -> bytes:
    """An APDU in HDLC frames, of at most ``part`` bytes of information each."""
    information = b"\xe6\xe7\x00" + apdu
    step = part or len(information)
    pieces = [information[i : i + step] for i in range(0, len(information), step)]
    sent = b""
    for number, piece in enumerate(pieces, 1):
        length = 2 + len(address) + 1 + 2 + len(piece) + 2
        kind = 0xA000 + (0x0800 if number < len(pieces) else 0) + length
        head = bytes([kind // 256, kind % 256]) + address + b"\x13"
        body = head + fcs(head) + piece
        frame = body + fcs(body)
        sent += b"\x7e" + frame + b"\x7e" if flags else frame
    return sent


def wrapper(apdu: bytes) -> bytes:
    """The wrapper of TCP and UDP, version 1."""
    return b"\x00\x01\x00\x01\x00\x10" + bytes([len(apdu) // 256, len(apdu) % 256]) + apdu


def mbus(apdu: bytes, part: int = 240) -> bytes:
    """An APDU in M-Bus long frames."""
    pieces = [apdu[i : i + part] for i in range(0, len(apdu), part)] or [b""]
    sent = b""
    for number, piece in enumerate(pieces):
        control = number % 16 + (16 if number == len(pieces) - 1 else 0)
        body = bytes([0x53, 0xFF, control, 0x01, 0x67]) + piece
        total = 0
        for byte in body:
            total = (total + byte) % 256
        sent += bytes([0x68, len(body), len(body), 0x68]) + body + bytes([total, 0x16])
    return sent


def blocks(apdu: bytes, part: int) -> list[bytes]:
    """General block transfer: the blocks, numbered from 1."""
    pieces = [apdu[i : i + part] for i in range(0, len(apdu), part)]
    return [
        bytes([0xE0, 0x80 if number == len(pieces) else 0, 0, number, 0, 0])
        + size(len(piece))
        + piece
        for number, piece in enumerate(pieces, 1)
    ]


# -- what the customer ports of Norway send ------------------------------------------------------


def aidon(rows: list[tuple[str, bytes, tuple[int, int] | None]]) -> bytes:
    """An array of structures: OBIS code, value, and scaler and unit where there are."""
    items = [
        structure(obis(code), value, *([scaler_unit(*scale)] if scale else []))
        for code, value, scale in rows
    ]
    return notification(array(*items))


def kamstrup(at: bytes, rows: list[tuple[str, bytes]]) -> bytes:
    """One structure: the list's name, then OBIS code and value by turns."""
    items = [part for code, value in rows for part in (obis(code), value)]
    return notification(structure(visible("Kamstrup_V0001"), *items), at)


def kaifa(at: bytes, values: list[bytes]) -> bytes:
    """One structure of values without codes."""
    return notification(structure(*values), at, tagged=True)
