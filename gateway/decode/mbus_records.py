"""Data records of M-Bus (EN 13757-3, clause 6): DIF and VIF, the value, and a name for it.

A record is ``DIF DIFE* VIF VIFE* data``.  DIF: bits 0 to 3 kind and size of the data, 4 and 5 the
function (instantaneous, maximum, minimum, value during error), 6 the lowest bit of the storage
number, 7 a DIFE follows.  A DIFE has four bits of the storage number, two of the tariff, one of the
subunit.  What a header says is worked out once and remembered: a meter sends the same headers each
time.

A value's name is ``quantity[_qualifier][_max|_min|_error][_tTARIFF][_sSTORAGE][_uSUBUNIT]``, parts
that are 0 left out: ``energy_t1``, ``flow_rate_max_s2``, ``volume_backward``.  Of several with one
name the second is ``volume_2``.  A qualifier of the maker's own (VIFE 7F or FF) is its bytes,
``power_m01``; a VIF of the maker's own ``vif_ff13``.

A value that is absent (`gateway.decode.mbus_values`), or that a record error takes the place of, is
null in its record, and ``values`` has not the name.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gateway.decode.mbus_values import Read, nothing, read_variable, reader
from gateway.decode.mbus_vif import Meaning, describe
from gateway.errors import DecodeError

MAX_RECORDS: Final = 10_000

_MANUFACTURER: Final = 0x0F
_MORE_FOLLOWS: Final = 0x1F
_FILLER: Final = 0x2F
_READOUT: Final = 0x7F
_PLAIN_TEXT: Final = 0x7C
_MAX_EXTENSIONS: Final = 10
_FUNCTIONS: Final = ("instantaneous", "maximum", "minimum", "error")
_SUFFIXES: Final = ("", "_max", "_min", "_error")
_MAX_LAYOUTS: Final = 4096


class Layout(NamedTuple):
    """What a header says: bytes of data (-1: they tell it), a reader, and the record but its value.

    ``name`` is None where no value comes, because of a record error or of the data's size.
    """

    size: int
    read: Read
    name: str | None
    record: dict[str, Any]
    meaning: Meaning


class Records:
    """Collects the records of the frames of one meter.

    Attributes:
        values: by name; numbers, and texts for times and labels.
        records: all of them, in their order.
        more: the meter has more to say in its next frame.
        manufacturer_data: the maker's own bytes at the end.
    """

    __slots__ = ("_counts", "manufacturer_data", "more", "records", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.records: list[dict[str, Any]] = []
        self.more = False
        self.manufacturer_data = b""
        self._counts: dict[str, int] = {}

    def add(self, name: str | None, value: Any, record: dict[str, Any]) -> None:  # noqa: ANN401
        """Takes one value; a name that is taken gets its number behind it."""
        self.records.append({**record, "value": value})
        if name is not None and value is not None:
            if name in self.values:
                name = self._another(name)
            self.values[name] = value

    def _another(self, name: str) -> str:
        count = self._counts[name] = self._counts.get(name, 1) + 1
        return f"{name}_{count}"

    def take(self, data: bytes, at: int, *, swapped: bool = False) -> None:
        """Reads the records of one frame from ``at`` to the end of ``data``.

        Args:
            data: the frame up to its last record.
            at: where its first DIF stands.
            swapped: numbers come with their high byte first (CI 76, the old mode 2).

        Raises:
            DecodeError: ``unparseable`` with the byte, ``too_large``.
        """
        self.more = False
        try:
            self._take(data, at, swapped=swapped)
        except IndexError as error:  # of the bytes: each loop there ends by it
            raise DecodeError(
                "unparseable", f"the last record is cut off after {len(data)} bytes"
            ) from error

    # The hot loop: a call a record less is a tenth of its time.
    def _take(self, data: bytes, at: int, *, swapped: bool) -> None:  # noqa: C901, PLR0912
        values, append, layouts = self.values, self.records.append, _LAYOUTS
        end = len(data)
        while at < end:
            stop = at
            byte = data[stop]
            if byte & 0x0F == 0x0F:
                if byte == _FILLER:
                    at += 1
                    continue
                self._special(data, at)
                return
            while byte > 0x7F:
                stop += 1
                byte = data[stop]
            stop += 1
            byte = data[stop]
            if byte & 0x7F == _PLAIN_TEXT:
                stop += 1 + data[stop + 1]
                if byte == _PLAIN_TEXT:
                    byte = 0
                else:
                    stop += 1
                    byte = data[stop]
            while byte > 0x7F:
                stop += 1
                byte = data[stop]
            stop += 1
            header = data[at:stop]
            layout = layouts.get(header) or _remember(header, at)
            size, read, name, record, meaning = layout
            if size < 0:
                value, at = read_variable(data, stop, end, meaning)
                value = None if name is None else value
            else:
                at = stop + size
                if at > end:
                    raise IndexError
                raw = data[stop:at]
                value = read(raw[::-1] if swapped else raw)
            append({**record, "value": value})
            if value is not None and name is not None:
                if name in values:
                    name = self._another(name)
                values[name] = value
        if len(self.records) > MAX_RECORDS:
            raise DecodeError("too_large", f"more than {MAX_RECORDS} records in one message")

    def _special(self, data: bytes, at: int) -> None:
        dif = data[at]
        if dif == _READOUT:
            return
        if dif not in {_MANUFACTURER, _MORE_FOLLOWS}:
            raise DecodeError("unparseable", f"byte {at}: DIF {dif:02X}H is reserved")
        self.more = dif == _MORE_FOLLOWS
        self.manufacturer_data += data[at + 1 :]


# -- headers -------------------------------------------------------------------------------------

_LAYOUTS: Final[dict[bytes, Layout]] = {}
"""Headers seen; bounded, as whoever sends chooses them."""


def _remember(header: bytes, at: int) -> Layout:
    """Works out a header that is new."""
    dib = 1
    while header[dib - 1] & 0x80:
        dib += 1
    vib, text = header[dib:], None
    if vib[0] & 0x7F == _PLAIN_TEXT:
        size = vib[1]
        text = vib[2 : 2 + size][::-1].decode("latin-1")
        vib = vib[:1] + vib[2 + size :]
    if max(dib, len(vib)) > 1 + _MAX_EXTENSIONS:
        raise DecodeError(
            "unparseable",
            f"byte {at}: a record with {dib - 1} DIFEs and {len(vib) - 1} VIFEs; at most "
            f"{_MAX_EXTENSIONS} may follow each",
        )
    layout = _layout(header, header[:dib], vib, text)
    if len(_LAYOUTS) >= _MAX_LAYOUTS:
        _LAYOUTS.clear()
    _LAYOUTS[header] = layout
    return layout


def _layout(header: bytes, dib: bytes, codes: bytes, text: str | None) -> Layout:
    dif = dib[0]
    storage, tariff, subunit = dif >> 6 & 1, 0, 0
    for i, dife in enumerate(dib[1:]):
        storage |= (dife & 0x0F) << 4 * i + 1
        tariff |= (dife >> 4 & 3) << 2 * i
        subunit |= (dife >> 6 & 1) << i
    said = describe(codes, text)
    name = said.name + _SUFFIXES[dif >> 4 & 3]
    for letter, number in (("t", tariff), ("s", storage), ("u", subunit)):
        if number:
            name += f"_{letter}{number}"
    size, read = reader(dif & 0x0F, said.meaning)
    record: dict[str, Any] = {
        "name": name,
        "dif": dib.hex(),
        "vif": header[len(dib) :].hex(),
        "quantity": said.meaning.quantity,
        "unit": said.meaning.unit,
        "function": _FUNCTIONS[dif >> 4 & 3],
        "storage": storage,
        "tariff": tariff,
        "subunit": subunit,
    }
    if said.error is not None:
        record["error"] = said.error
        return Layout(size, nothing, None, record, said.meaning)
    return Layout(size, read, name, record, said.meaning)
