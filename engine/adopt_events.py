"""Scalars in TensorBoard's event files, without TensorBoard: records of length, checksum, data, checksum.

Format: TensorFlow's record_writer (TFRecord) around messages of event.proto. Read are wall_time, step and those values
of the summary that are one number, whether stored as simple_value or, as TensorFlow 2 does, as a tensor.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

HEAD, FOOT = 12, 4
RECORD_LIMIT = 16 << 20
"""Bytes of one record; longer ones (images, graphs) are passed over."""
_FLOAT, _DOUBLE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Scalar(NamedTuple):
    end: int
    """Bytes from where the reading began to behind the record."""
    t: float
    step: int
    tag: str
    value: float


class Damaged(ValueError):
    """The checksum of a length is wrong: what follows can't be found."""


def _table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)  # Castagnoli, reflected
        table.append(crc)
    return table


_TABLE = _table()


def masked_crc(data: bytes) -> int:
    """Give the CRC-32C of data as these files hold it: rotated, and with a constant added."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the whole records, each with the offset behind it; a record that is not finished yet is left for later.

    Raises Damaged where a length has the wrong checksum.
    """
    at = 0
    while at + HEAD <= len(data):
        size, crc = struct.unpack_from("<QI", data, at)
        if masked_crc(data[at : at + 8]) != crc:
            raise Damaged(f"a record's length has the wrong checksum at byte {at}")
        end = at + HEAD + size + FOOT
        if end > len(data):
            return
        yield end, data[at + HEAD : end - FOOT]
        at = end


def skip(data: bytes) -> int:
    """Give the bytes of the first record where it is too long to be looked at, else 0."""
    if len(data) < HEAD or masked_crc(data[:8]) != struct.unpack_from("<I", data, 8)[0]:
        return 0
    size = int(struct.unpack_from("<Q", data)[0])
    return HEAD + size + FOOT if size > RECORD_LIMIT else 0


def scalars(data: bytes) -> Iterator[Scalar]:
    """Give the scalars of whole records. Raises Damaged."""
    for end, record in records(data):
        try:
            yield from _event(end, record)
        except (ValueError, struct.error, IndexError):
            continue  # not an event of ours; its length was right, so the next one is found


def _event(end: int, data: bytes) -> Iterator[Scalar]:
    t, step = 0.0, 0
    summaries = []
    for field, kind, value in _fields(data):
        if field == 1 and kind == _FIXED64:
            t = struct.unpack("<d", value)[0]
        elif field == 2 and kind == _VARINT:
            step = int.from_bytes(value, "little", signed=True)
        elif field == 5 and kind == _BYTES:
            summaries.append(value)
    for summary in summaries:
        for field, kind, value in _fields(summary):
            if field == 1 and kind == _BYTES:
                tag, found = _value(value)
                if tag and found is not None:
                    yield Scalar(end, t if math.isfinite(t) else 0.0, step, tag, found)


def _value(data: bytes) -> tuple[str, float | None]:
    """Tag and number of a Summary.Value; None where it is none (a picture, a histogram)."""
    tag, found = "", None
    for field, kind, value in _fields(data):
        if field == 1 and kind == _BYTES:
            tag = value.decode(errors="replace")
        elif field == 2 and kind == _FIXED32:
            found = float(struct.unpack("<f", value)[0])
        elif field == 8 and kind == _BYTES:
            found = _tensor(value)
    return tag, found


def _tensor(data: bytes) -> float | None:
    """The number of a TensorProto that holds exactly one float or double."""
    dtype, content = 0, b""
    found: list[float] = []
    for field, kind, value in _fields(data):
        if field == 1 and kind == _VARINT:
            dtype = value[0]
        elif field == 4 and kind == _BYTES:
            content = value
        elif (field, kind) in ((5, _BYTES), (5, _FIXED32)):
            found += struct.unpack(f"<{len(value) // 4}f", value)
        elif (field, kind) in ((6, _BYTES), (6, _FIXED64)):
            found += struct.unpack(f"<{len(value) // 8}d", value)
    if dtype == _FLOAT and len(content) == 4:
        found = [*struct.unpack("<f", content)]
    elif dtype == _DOUBLE and len(content) == 8:
        found = [*struct.unpack("<d", content)]
    return float(found[0]) if len(found) == 1 and dtype in (_FLOAT, _DOUBLE) else None


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Walk a protobuf message: (field number, wire type, bytes; a varint as 8 bytes). Raises ValueError, IndexError."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            number, at = _varint(data, at)
            yield key >> 3, kind, number.to_bytes(8, "little")
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError("no wire type of ours")
        if at + size > len(data):
            raise ValueError("shorter than it says")
        yield key >> 3, kind, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise ValueError("longer than 64 bits")
