"""Frames of Chinese meters, built byte by byte from the standards' descriptions.

It shares nothing with the decoders: numbers are laid out digit by digit, sums and CRCs are counted
bit by bit, and a frame is spelled in the order in which the standard draws it.
"""

from collections.abc import Iterable

WAKE_UP = b"\xfe\xfe\xfe\xfe"


def bcd(digits: str) -> bytes:
    """``"123456.78"`` as BCD, two digits a byte, low byte first; a minus sets the top bit."""
    plain = digits.replace(".", "").replace("-", "")
    assert len(plain) % 2 == 0, digits
    found = [int(plain[i]) * 16 + int(plain[i + 1]) for i in range(0, len(plain), 2)]
    if digits.startswith("-"):
        found[0] += 0x80
    return bytes(reversed(found))


def checked(body: bytes) -> bytes:
    """A frame from its first 68: the sum of all bytes modulo 256, and 16."""
    total = 0
    for byte in body:
        total = (total + byte) % 256
    return body + bytes([total, 0x16])


# -- DL/T 645 ------------------------------------------------------------------------------------


def frame645(address: str, control: int, data: bytes = b"") -> bytes:
    """A frame of DL/T 645; 33H is added to each byte of the data."""
    body = bytes([0x68]) + bcd(address) + bytes([0x68, control, len(data)])
    for byte in data:
        body += bytes([(byte + 0x33) % 256])
    return checked(body)


def answer645(address: str, di: str, *fields: bytes, control: int = 0x91) -> bytes:
    """An answer to "read data": the identifier, low byte first, and the fields."""
    identifier = [int(di[i : i + 2], 16) for i in range(0, len(di), 2)]
    return frame645(address, control, bytes(reversed(identifier)) + b"".join(fields))


# -- CJ/T 188 ------------------------------------------------------------------------------------


def frame188(address: str, kind: int, control: int, data: bytes) -> bytes:
    """A frame of CJ/T 188: type, seven bytes of address, control code, length, data."""
    return checked(bytes([0x68, kind]) + bcd(address) + bytes([control, len(data)]) + data)


def quantity188(digits: str, unit: int) -> bytes:
    """Four bytes of BCD and the unit's code."""
    return bcd(digits) + bytes([unit])


def answer188(address: str, kind: int, *fields: bytes, di: tuple[int, int] = (0x1F, 0x90)) -> bytes:
    """An answer to "read data", with SER 00."""
    return frame188(address, kind, 0x81, bytes([*di, 0]) + b"".join(fields))


# -- DL/T 698.45 ---------------------------------------------------------------------------------


def x25(data: bytes) -> bytes:
    """CRC-16/X.25, bit by bit (ISO/IEC 13239: reflected 1021, complemented), low byte first."""
    crc = 0xFFFF
    for byte in data:
        for bit in range(8):
            feedback = (crc ^ (byte >> bit)) & 1
            crc >>= 1
            if feedback:
                crc ^= 0x8408
    crc = ~crc & 0xFFFF
    return bytes([crc % 256, crc // 256])


def frame698(
    address: str, apdu: bytes, control: int = 0xC3, client: int = 0, logical: int | None = None
) -> bytes:
    """A frame of DL/T 698.45; ``logical`` is the extended logical address, a byte of its own."""
    octets = bytes(reversed(bytes.fromhex(address)))
    features = len(octets) - 1
    if logical is not None:
        features, octets = 0x20 + len(octets), bytes([logical]) + octets
    inside = bytes([control, features]) + octets + bytes([client])
    length = 2 + len(inside) + 2 + len(apdu) + 2
    head = bytes([length % 256, length // 256]) + inside
    head += x25(head)
    return bytes([0x68]) + head + apdu + x25(head + apdu) + bytes([0x16])


def oad(name: str) -> bytes:
    """An object attribute descriptor."""
    return bytes.fromhex(name)


def sized(count: int) -> bytes:
    """A length of A-XDR."""
    if count < 128:
        return bytes([count])
    return bytes([0x82, count // 256, count % 256])


def array(*items: bytes) -> bytes:
    """An array of data."""
    return bytes([1]) + sized(len(items)) + b"".join(items)


def structure(*items: bytes) -> bytes:
    """A structure of data."""
    return bytes([2]) + sized(len(items)) + b"".join(items)


def double_long(value: int) -> bytes:
    """A signed integer of 32 bits."""
    return bytes([5]) + value.to_bytes(4, "big", signed=True)


def double_long_unsigned(value: int) -> bytes:
    """An integer of 32 bits."""
    return bytes([6]) + value.to_bytes(4, "big")


def long_signed(value: int) -> bytes:
    """A signed integer of 16 bits."""
    return bytes([16]) + value.to_bytes(2, "big", signed=True)


def long_unsigned(value: int) -> bytes:
    """An integer of 16 bits."""
    return bytes([18]) + value.to_bytes(2, "big")


def long64_unsigned(value: int) -> bytes:
    """An integer of 64 bits."""
    return bytes([21]) + value.to_bytes(8, "big")


def date_time_s(*parts: int) -> bytes:
    """Year, month, day, hour, minute, second."""
    return bytes([28, parts[0] // 256, parts[0] % 256, *parts[1:]])


NULL = b"\x00"


def result(name: str, data: bytes) -> bytes:
    """A-ResultNormal with data."""
    return oad(name) + b"\x01" + data


def refusal(name: str, reason: int) -> bytes:
    """A-ResultNormal with a data access result."""
    return oad(name) + bytes([0, reason])


def get_response(*results: bytes, tail: bytes = b"\x00\x00") -> bytes:
    """GET-Response, one object or several; the tail: no report along, no time."""
    if len(results) == 1:
        return b"\x85\x01\x00" + results[0] + tail
    return b"\x85\x02\x00" + sized(len(results)) + b"".join(results) + tail


def report(*results: bytes, tail: bytes = b"\x00\x00") -> bytes:
    """REPORT-Notification of several objects."""
    return b"\x88\x01\x00" + sized(len(results)) + b"".join(results) + tail


def record(name: str, columns: Iterable[str], *rows: Iterable[bytes]) -> bytes:
    """A-ResultRecord: the record's object, its columns as plain descriptors, and rows."""
    names = list(columns)
    head = oad(name) + sized(len(names)) + b"".join(b"\x00" + oad(each) for each in names)
    return head + b"\x01" + sized(len(rows)) + b"".join(b"".join(row) for row in rows)
