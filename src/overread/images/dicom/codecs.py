"""Decoding of pixel data: imagecodecs first (fast, releases the interpreter lock), pydicom as the reference."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import get_frame

from overread.errors import InputError
from overread.images.dicom.pixel_layout import Layout
from overread.images.dicom.stream import check_stream
from overread.images.dicom.tags import quoted
from overread.images.raster.image_faults import BROKEN, Fault, said

_LITTLE_ENDIAN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99")
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_RLE = "1.2.840.10008.1.2.5"
_CODECS = {
    "1.2.840.10008.1.2.4.50": "jpeg8_decode",  # baseline, 8 bits
    "1.2.840.10008.1.2.4.51": "jpeg8_decode",  # extended, 8 or 12 bits (libjpeg-turbo reads both)
    "1.2.840.10008.1.2.4.57": "ljpeg_decode",
    "1.2.840.10008.1.2.4.70": "ljpeg_decode",
    "1.2.840.10008.1.2.4.80": "jpegls_decode",
    "1.2.840.10008.1.2.4.81": "jpegls_decode",
    "1.2.840.10008.1.2.4.90": "jpeg2k_decode",
    "1.2.840.10008.1.2.4.91": "jpeg2k_decode",
    "1.2.840.10008.1.2.4.201": "htj2k_decode",
    "1.2.840.10008.1.2.4.202": "htj2k_decode",
    "1.2.840.10008.1.2.4.203": "htj2k_decode",
}
_SURPLUS = 1 << 16  # bytes that a run may write beyond the image
# Values of a lossy decoder may exceed the stored bits by a level or two: they are clipped, not masked.
_LOSSY = tuple(f"1.2.840.10008.1.2.4.{n}" for n in ("50", "51", "81", "91", "203"))


class _Excess(Fault):
    """A stream that decodes to more data than the image has; no other decoder is tried."""


def stored(dataset: pydicom.Dataset, layout: Layout, where: Path | str) -> NDArray[np.generic]:
    """Decode the stored values in the integer type of the file.

    Parameters
    ----------
    dataset : Dataset
        Data set with pixel data.
    layout : Layout
        Its pixel layout.
    where : path
        Name of the file in messages.

    Returns
    -------
    ndarray, shape (rows, columns) or (rows, columns, 3)
        Stored values.

    Raises
    ------
    InputError
        The stream cannot be decoded; the message names the transfer syntax and the fault.

    Notes
    -----
    DICOM PS3.5, section 8 and annex A (encoding of pixel data, transfer syntaxes).
    """
    syntax = _syntax(dataset)
    grey = layout.allocated in (8, 16) and layout.samples == 1
    if syntax in _LITTLE_ENDIAN and layout.samples == 1:
        return _plain(dataset, layout, where, big=False)
    if syntax == _BIG_ENDIAN and layout.samples == 1 and layout.allocated > 8:
        return _plain(dataset, layout, where, big=True)
    faults = []
    try:
        frame = _frame(dataset, syntax, layout.shape)
    except BROKEN as error:
        raise _refused(where, syntax, [said(error)]) from error
    if grey and frame is not None:
        try:
            values = _decoded(frame, layout, syntax)
            if values.shape == layout.shape:
                return _typed(values, layout, lossy=syntax in _LOSSY)
            faults.append(f"{_times(values.shape)} pixels, the file states {_times(layout.shape)}")
        except _Excess as error:
            raise _refused(where, syntax, [said(error)]) from error
        except BROKEN as error:
            faults.append(said(error))
    try:
        return _by_pydicom(dataset)
    except BROKEN as error:
        faults.append(said(error))
    raise _refused(where, syntax, faults)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)


def _refused(where: Path | str, syntax: str, faults: list[str]) -> InputError:
    name = pydicom.uid.UID(syntax).name
    return InputError(
        where,
        f"pixel data (7FE0,0010) in {name if name[:1].isalpha() else quoted(name)}",
        f"a stream that cannot be decoded ({'; '.join(dict.fromkeys(faults))})",
        do="Fetch the file again, or send it uncompressed.",
    )


def _syntax(dataset: pydicom.Dataset) -> str:
    """Transfer syntax; without file meta information, the encoding that pydicom detected."""
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if syntax:
        return str(syntax)
    implicit, little = dataset.original_encoding
    if not little:
        return "1.2.840.10008.1.2.2"
    return "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1"


def _plain(dataset: pydicom.Dataset, layout: Layout, where: Path | str, *, big: bool) -> NDArray[np.generic]:
    dtype = np.dtype(f"{'>' if big else '<'}u{layout.allocated // 8}")
    wanted, data = layout.rows * layout.columns * dtype.itemsize, dataset.PixelData
    if len(data) < wanted:
        raise InputError(
            where,
            f"{wanted:,} bytes of pixel data (7FE0,0010)",
            f"{len(data):,}: the file is truncated",
            do="Fetch the file again.",
        )
    values = np.frombuffer(data, dtype, count=wanted // dtype.itemsize).reshape(layout.shape)
    return _typed(values.astype(dtype.newbyteorder("="), copy=False), layout)


def _frame(dataset: pydicom.Dataset, syntax: str, shape: tuple[int, ...]) -> bytes | None:
    """The compressed frame, or None if the pixel data are native.

    The frame header is checked before a decoder allocates memory for the size that it states, which may be forged.
    """
    if syntax not in _CODECS and syntax != _RLE:
        return None
    frame: bytes = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if syntax != _RLE:
        if b"\xff\xd9" not in frame[-16:]:  # several decoders fill a truncated stream with grey silently
            raise Fault("the stream has no end marker: the file is truncated")
        check_stream(frame, *shape)
    return frame


def _decoded(frame: bytes, layout: Layout, syntax: str) -> NDArray[np.generic]:
    import imagecodecs  # imported here: a cohort of PNG files does not need it

    if syntax == _RLE:
        dtype = np.dtype("u1" if layout.allocated == 8 else "<u2")
        most = (
            layout.rows * layout.columns * dtype.itemsize + _SURPLUS
        )  # a few bytes of run lengths could fill all memory
        try:
            flat = np.frombuffer(imagecodecs.dicomrle_decode(frame, dtype, out=most), dtype)
        except RuntimeError as error:
            if "OUTPUT_TOO_SMALL" in str(error):  # pydicom, the next decoder, would unpack all of it
                raise _Excess("its runs are longer than the picture") from error
            raise
        return flat[: layout.rows * layout.columns].reshape(layout.shape)
    decode = getattr(imagecodecs, _CODECS[syntax])
    return _strictly(decode, frame) if _CODECS[syntax] == "htj2k_decode" else np.asarray(decode(frame))


def _strictly(decode: Callable[[bytes], NDArray[np.generic]], frame: bytes) -> NDArray[np.generic]:
    """Run a decoder that reports errors only as warnings and returns partial data; raise an error instead."""
    ignored: list[str] = []
    usual = sys.unraisablehook
    sys.unraisablehook = lambda told: ignored.append(said(told.exc_value or RuntimeError("a broken stream")))
    try:
        values = np.asarray(decode(frame))
    finally:
        sys.unraisablehook = usual
    if ignored:
        raise Fault(ignored[0])
    return values


def _typed(values: NDArray[np.generic], layout: Layout, *, lossy: bool = False) -> NDArray[np.generic]:
    """Keep the stored bits only, shifted to the low end, with the sign that the file states."""
    bits, width = layout.stored, 8 * values.dtype.itemsize
    unsigned = values.view(f"u{values.dtype.itemsize}")
    shift = layout.high + 1 - bits
    if shift:
        unsigned = unsigned >> shift
    if bits < width and int(unsigned.max()) >> bits:
        most = unsigned.dtype.type((1 << bits) - 1)
        clipped = lossy and not layout.signed
        unsigned = np.minimum(unsigned, most) if clipped else unsigned & most
    if not layout.signed:
        return unsigned
    signed = unsigned.view(f"i{values.dtype.itemsize}")
    return (signed << (width - bits)) >> (width - bits) if bits < width else signed


def _by_pydicom(dataset: pydicom.Dataset) -> NDArray[np.generic]:
    if not getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None):
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(_syntax(dataset))
    return np.asarray(dataset.pixel_array)
