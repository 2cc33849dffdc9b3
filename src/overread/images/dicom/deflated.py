"""A deflated DICOM file (PS3.5 A.5), inflated here, so that no file becomes larger than a radiograph may be."""

from __future__ import annotations

import zlib
from pathlib import Path

from overread.errors import InputError

SYNTAX = "1.2.840.10008.1.2.1.99"
_PLAIN = b"1.2.840.10008.1.2.1"
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT")  # their length has 4 bytes


def inflated(data: bytes, where: Path | str, *, most: int, whole: bool) -> bytes | None:
    """The file as explicit little endian, what was deflated inflated; None where the file is not deflated.

    Parameters
    ----------
    data: the bytes of a DICOM file, or its first ones.
    where: what errors call the file.
    most: bytes that its data set may have.
    whole: whether all of the file is asked for; otherwise its first `most` bytes are enough, and it may end early.

    Raises InputError: a stream that is broken, larger than `most` or, where `whole`, without its end.
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
    """By libdeflate, nearly twice as fast as zlib; None where it finds a fault, which zlib can name."""
    import imagecodecs  # loads its libraries as they are asked for

    try:
        return bytes(imagecodecs.deflate_decode(stream, raw=True, out=most))
    except (imagecodecs.DeflateError, MemoryError):
        return None


def _inflated(stream: bytes, where: Path | str, most: int, *, whole: bool) -> bytes:
    """By zlib, which can stop at the first `most` bytes and says what is wrong."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        body = inflater.decompress(stream, most + 1)
    except zlib.error as error:
        raise InputError(where, "a whole deflated DICOM file", "a broken stream", do="Fetch the file again.") from error
    if whole and len(body) > most:
        raise InputError(where, f"at most {most:,} bytes when inflated", "more: no radiograph is of that size")
    if whole and not inflater.eof:
        raise InputError(
            where,
            "a whole deflated DICOM file",
            "a stream without its end: the file is truncated",
            do="Fetch the file again.",
        )
    return body[:most]


def _meta(data: bytes, place: int) -> tuple[int, int, bytes]:
    """Where the meta information ends, whatever length it states; where its transfer syntax stands; and which it is."""
    where, syntax = 0, b""
    while data[place : place + 2] == b"\x02\x00" and place + 12 <= len(data):
        kind = data[place + 4 : place + 6]
        if not (kind.isalpha() and kind.isupper()):  # implicit, against the standard, as some files have it
            at, length = place + 8, int.from_bytes(data[place + 4 : place + 8], "little")
        elif kind in _LONG:
            at, length = place + 12, int.from_bytes(data[place + 8 : place + 12], "little")
        else:
            at, length = place + 8, int.from_bytes(data[place + 6 : place + 8], "little")
        if data[place + 2 : place + 4] == b"\x10\x00":
            where, syntax = at, data[at : at + length]
        place = at + length
    return place, where, syntax
