"""Inflation of deflated DICOM files (PS3.5 annex A.5) with a limit on the size."""

from __future__ import annotations

import zlib
from pathlib import Path

from overread.errors import InputError

SYNTAX = "1.2.840.10008.1.2.1.99"
_PLAIN = b"1.2.840.10008.1.2.1"
_LONG = (
    b"OB",
    b"OD",
    b"OF",
    b"OL",
    b"OV",
    b"OW",
    b"SQ",
    b"UC",
    b"UN",
    b"UR",
    b"UT",
)  # value representations with a 4-byte length


def inflated(data: bytes, where: Path | str, *, most: int, whole: bool) -> bytes | None:
    """Inflate a deflated file to Explicit VR Little Endian.

    Parameters
    ----------
    data : bytes
        A DICOM file, or its first bytes.
    where : path
        Name of the file in messages.
    most : int
        Maximum size of the data set in bytes.
    whole : bool
        Whether the complete file is needed; otherwise the first `most` bytes are sufficient and the stream may be
        truncated.

    Returns
    -------
    bytes or None
        The inflated file; None if the file is not deflated.

    Raises
    ------
    InputError
        The stream is damaged, larger than `most`, or with `whole` truncated.
    """
    start, at, syntax = _meta(data, 132 if data[128:132] == b"DICM" else 0)
    if syntax.rstrip(b"\x00 ") != SYNTAX.encode():
        return None
    stream = data[start:]
    body = _all_at_once(stream, most) if whole else None
    if body is None:
        body = _inflated(stream, where, most, whole=whole)
    return b"".join((data[:at], _PLAIN.ljust(len(syntax), b"\x00"), data[at + len(syntax) : start], body))


def _all_at_once(stream: bytes, most: int) -> bytes | None:
    """Inflate with libdeflate, nearly twice as fast as zlib; None on an error, which zlib can describe."""
    import imagecodecs  # imported here: only deflated files need it

    try:
        return bytes(imagecodecs.deflate_decode(stream, raw=True, out=most))
    except (imagecodecs.DeflateError, MemoryError):
        return None


def _inflated(stream: bytes, where: Path | str, most: int, *, whole: bool) -> bytes:
    """Inflate with zlib, which can stop after `most` bytes and describes errors."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        body = inflater.decompress(stream, most + 1)
    except zlib.error as error:
        raise InputError(
            where, "a complete deflated DICOM file", "a broken stream", do="Fetch the file again."
        ) from error
    if whole and len(body) > most:
        raise InputError(where, f"at most {most:,} bytes when inflated", "more: no radiograph is of that size")
    if whole and not inflater.eof:
        raise InputError(
            where,
            "a complete deflated DICOM file",
            "a stream without its end: the file is truncated",
            do="Fetch the file again.",
        )
    return body[:most]


def _meta(data: bytes, place: int) -> tuple[int, int, bytes]:
    """End of the file meta information (whatever length it states), position of its transfer syntax, and its value."""
    where, syntax = 0, b""
    while data[place : place + 2] == b"\x02\x00" and place + 12 <= len(data):
        kind = data[place + 4 : place + 6]
        if not (kind.isalpha() and kind.isupper()):  # implicit VR, which violates the standard but occurs
            at, length = place + 8, int.from_bytes(data[place + 4 : place + 8], "little")
        elif kind in _LONG:
            at, length = place + 12, int.from_bytes(data[place + 8 : place + 12], "little")
        else:
            at, length = place + 8, int.from_bytes(data[place + 6 : place + 8], "little")
        if data[place + 2 : place + 4] == b"\x10\x00":
            where, syntax = at, data[at : at + length]
        place = at + length
    return place, where, syntax
