"""Check of the frame header of a compressed stream before it is decoded."""

from __future__ import annotations

import struct

from overread import limits
from overread.images.raster.image_faults import Fault

_JPEG, _CODESTREAM = b"\xff\xd8", b"\xff\x4f\xff\x51"
# Start of frame: JPEG baseline, extended, progressive, lossless (and their arithmetic kinds), JPEG-LS.
_FRAME = {0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xCB, 0xF7}
_SEQUENTIAL = {0xC0, 0xC1}
_TILE, _END = b"\xff\x90", b"\xff\xd9"
_SCANS = b"\xff\xda"
_TILES = 65_535  # as the number of a tile has 16 bits (A.4.2)
_SCAN, _ALONE = 0xDA, {0xD8, 0x01, *range(0xD0, 0xD8)}


def check_stream(stream: bytes, rows: int, columns: int, planes: int = 1) -> None:
    r"""Refuse a JPEG, JPEG-LS or JPEG 2000 stream of another size than the file states, or of no standard.

    Parameters
    ----------
    stream : bytes
        The compressed frame.
    rows, columns : int
        Size in pixels that the file states.
    planes : int
        Samples per pixel that the file states.

    Raises
    ------
    Fault
        The number of rows, columns or components differs, there is no frame header, or a scan of a sequential JPEG
        omits coefficients (some decoders replace them without a warning).

    Notes
    -----
    ITU-T T.81 (JPEG), T.87 (JPEG-LS) and T.800 (JPEG 2000).

    Examples
    --------
    >>> check_stream(b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\x00\x08\x01\x01\x11\x00", 8, 8)
    Traceback (most recent call last):
    overread.images.raster.image_faults.Fault: the stream is of 65535 x 8 pixels, the file states 8 x 8
    """
    if stream[:2] == _JPEG:
        if (scans := stream.count(_SCANS)) > limits.JPEG_SCANS:
            raise Fault(f"the stream has {scans:,} scans, a picture needs at most {limits.JPEG_SCANS}")
        size = _jpeg_size(stream, planes)
    elif (start := stream.find(_CODESTREAM, 0, 4096)) >= 0:  # bare, or within the boxes of a JP2 file
        size = _jpeg2000_size(stream, start + 4, planes)
    else:
        raise Fault(f"a stream that begins with {stream[:4].hex(' ')}: neither JPEG nor JPEG 2000")
    if size != (rows, columns):
        raise Fault(f"the stream is of {size[0]} x {size[1]} pixels, the file states {rows} x {columns}")


def _jpeg_size(stream: bytes, planes: int) -> tuple[int, int]:
    place, size, kind = 0, None, 0
    while place + 4 <= len(stream):
        if stream[place] != 0xFF:
            raise Fault(f"no marker at byte {place} of the stream")
        marker = stream[place + 1]
        if marker == 0xFF:  # fill bytes may precede a marker
            place += 1
            continue
        if marker in _ALONE:
            place += 2
            continue
        (length,) = struct.unpack_from(">H", stream, place + 2)
        if marker in _FRAME:
            _, rows, columns, components = struct.unpack_from(">BHHB", stream, place + 4)
            if components != planes:
                raise Fault(f"the stream has {components} components, the file states {planes}")
            size, kind = (rows, columns), marker
        if marker == _SCAN:
            if kind in _SEQUENTIAL:
                _check_scan(stream[place + 4 : place + 2 + length])
            break
        place += 2 + length
    if size is None:
        raise Fault("the stream has no frame header")
    return size


def _check_scan(header: bytes) -> None:
    first, last = header[-3:-1].ljust(2, b"\x00")
    if (first, last) != (0, 63):
        raise Fault(f"the scan header states coefficients {first} to {last}, a sequential JPEG has 0 to 63")


def _jpeg2000_size(stream: bytes, place: int, planes: int) -> tuple[int, int]:
    """Image area on the reference grid (SIZ, ITU-T T.800 A.5.1)."""
    _, _, right, bottom, left, top = struct.unpack_from(">HHIIII", stream, place)
    (components,) = struct.unpack_from(">H", stream, place + 36)
    if components != planes:
        raise Fault(f"the stream has {components} components, the file states {planes}")
    _check_grid(stream, place)
    _check_tiles(stream, place - 2)
    return bottom - top, right - left


def _check_grid(stream: bytes, place: int) -> None:
    """Refuse tiles or steps of size 0, by which decoders divide, and too many tiles (A.5.1)."""
    right, bottom, left, top, wide, tall, first_x, first_y = struct.unpack_from(">8I", stream, place + 4)
    (components,) = struct.unpack_from(">H", stream, place + 36)
    steps = [stream[place + 38 + 3 * i + 1 : place + 41 + 3 * i] for i in range(components)]
    if not (wide and tall and first_x <= left < right and first_y <= top < bottom):
        raise Fault("the stream is divided into tiles that do not cover it")
    if any(len(step) < 2 or 0 in step for step in steps):
        raise Fault("the stream has components of no resolution")
    if -(-(right - first_x) // wide) * -(-(bottom - first_y) // tall) > _TILES:
        raise Fault(f"the stream has more than {_TILES:,} tiles")


def _check_tiles(stream: bytes, place: int) -> None:
    """Refuse a tile part that is shorter than it states (SOT, A.4.2): a truncated stream would decode to a blurred
    image.
    """
    while place + 4 <= len(stream) and stream[place : place + 2] != _TILE:
        place += 2 + struct.unpack_from(">H", stream, place + 2)[0]
    while place + 12 <= len(stream) and stream[place : place + 2] == _TILE:
        (length,) = struct.unpack_from(">I", stream, place + 6)
        if length == 0:  # the last tile part may extend to the end
            return
        place += length
    if stream[place : place + 2] != _END:
        raise Fault("a tile of the stream does not end where it says: the file is truncated")
