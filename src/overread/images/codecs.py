"""Stored pixel values of a DICOM file: imagecodecs first (fast, frees the interpreter), pydicom as the reference."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import get_frame

from overread.errors import InputError
from overread.images.header import BROKEN, said
from overread.images.stream import check_stream

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
# What a lossy decoder gives may lie beyond the stored bits, by a level or two: it is clipped, not masked.
_LOSSY = tuple(f"1.2.840.10008.1.2.4.{n}" for n in ("50", "51", "81", "91", "203"))


def stored(dataset: pydicom.Dataset, where: Path | str) -> NDArray[np.generic]:
    """The stored values, (rows, columns) or (rows, columns, 3), in the file's own integer type.

    Raises InputError that names the encoding and what the decoders said of it.
    """
    syntax, shape = _syntax(dataset), _shape(dataset)
    grey = dataset.BitsAllocated in (8, 16) and len(shape) == 2
    if grey and (syntax in _LITTLE_ENDIAN or (syntax == _BIG_ENDIAN and dataset.BitsAllocated == 16)):
        return _plain(dataset, where, big=syntax == _BIG_ENDIAN)
    failures = []
    try:
        frame = _frame(dataset, syntax, shape)
    except BROKEN as error:
        raise _refused(where, syntax, [said(error)]) from error
    if grey and frame is not None and (syntax in _CODECS or syntax == _RLE):
        try:
            values = _decoded(dataset, frame, syntax)
            if values.shape == shape:
                return _typed(values, dataset, lossy=syntax in _LOSSY)
            failures.append(f"imagecodecs: {values.shape} values for {shape}")
        except BROKEN as error:
            failures.append(f"imagecodecs: {said(error)}")
    try:
        return _by_pydicom(dataset)
    except BROKEN as error:
        failures.append(f"pydicom: {said(error)}")
    raise _refused(where, syntax, failures)


def _refused(where: Path | str, syntax: str, failures: list[str]) -> InputError:
    return InputError(
        where, f"pixel data (7FE0,0010) in {pydicom.uid.UID(syntax).name}",
        f"a stream that cannot be decoded ({'; '.join(failures)})",
        do="Fetch the file again, or send it uncompressed.",
    )  # fmt: skip


def _syntax(dataset: pydicom.Dataset) -> str:
    """The transfer syntax; a file without meta information is taken as pydicom found it to be."""
    stated = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if stated:
        return str(stated)
    implicit, little = dataset.original_encoding
    if not little:
        return "1.2.840.10008.1.2.2"
    return "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1"


def _shape(dataset: pydicom.Dataset) -> tuple[int, ...]:
    planes = int(dataset.get("SamplesPerPixel") or 1)
    return (dataset.Rows, dataset.Columns) if planes == 1 else (dataset.Rows, dataset.Columns, planes)


def _plain(dataset: pydicom.Dataset, where: Path | str, *, big: bool) -> NDArray[np.generic]:
    dtype = np.dtype("u1" if dataset.BitsAllocated == 8 else ">u2" if big else "<u2")
    wanted, data = int(dataset.Rows) * int(dataset.Columns) * dtype.itemsize, dataset.PixelData
    if len(data) < wanted:
        raise InputError(
            where, f"{wanted:,} bytes of pixel data (7FE0,0010)", f"{len(data):,}: the file is truncated",
            do="Fetch the file again.",
        )  # fmt: skip
    values = np.frombuffer(data, dtype, count=wanted // dtype.itemsize).reshape(dataset.Rows, dataset.Columns)
    return _typed(values.astype(dtype.newbyteorder("="), copy=False), dataset)


def _frame(dataset: pydicom.Dataset, syntax: str, shape: tuple[int, ...]) -> bytes | None:
    """The compressed frame, its header checked before a decoder makes room for what a forged one asks; None = plain."""
    if syntax not in _CODECS and syntax != _RLE:
        return None
    frame: bytes = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if syntax != _RLE:
        if b"\xff\xd9" not in frame[-16:]:  # several decoders fill a cut stream with grey and say nothing
            raise ValueError("the stream has no end marker: the file is truncated")
        check_stream(frame, *shape)
    return frame


def _decoded(dataset: pydicom.Dataset, frame: bytes, syntax: str) -> NDArray[np.generic]:
    import imagecodecs  # loads its libraries as they are asked for; no cost for a cohort of PNG files

    if syntax == _RLE:
        dtype = np.dtype("u1" if dataset.BitsAllocated == 8 else "<u2")
        flat = np.frombuffer(imagecodecs.dicomrle_decode(frame, dtype), dtype)
        return flat[: dataset.Rows * dataset.Columns].reshape(dataset.Rows, dataset.Columns)
    decode = getattr(imagecodecs, _CODECS[syntax])
    return _strictly(decode, frame) if _CODECS[syntax] == "htj2k_decode" else np.asarray(decode(frame))


def _strictly(decode: Callable[[bytes], NDArray[np.generic]], frame: bytes) -> NDArray[np.generic]:
    """What a decoder gives that says of its errors only that they were ignored, and hands over what it had by then."""
    ignored: list[str] = []
    usual = sys.unraisablehook
    sys.unraisablehook = lambda told: ignored.append(said(told.exc_value or RuntimeError("a broken stream")))
    try:
        values = np.asarray(decode(frame))
    finally:
        sys.unraisablehook = usual
    if ignored:
        raise ValueError(ignored[0])
    return values


def _typed(values: NDArray[np.generic], dataset: pydicom.Dataset, *, lossy: bool = False) -> NDArray[np.generic]:
    """Only the bits that are stored, moved to the low end, signed where the file says so."""
    bits, allocated = int(dataset.BitsStored), 8 if values.dtype.itemsize == 1 else 16
    high = int(dataset.get("HighBit", bits - 1))
    unsigned = values.view(f"u{values.dtype.itemsize}")
    shift = max(0, high + 1 - bits)
    if shift:
        unsigned = unsigned >> shift
    if bits < allocated and int(unsigned.max()) >> bits:
        most = unsigned.dtype.type((1 << bits) - 1)
        clipped = lossy and not dataset.get("PixelRepresentation")
        unsigned = np.minimum(unsigned, most) if clipped else unsigned & most
    if not dataset.get("PixelRepresentation"):
        return unsigned
    signed = unsigned.view(f"i{values.dtype.itemsize}")
    return (signed << (allocated - bits)) >> (allocated - bits) if bits < allocated else signed


def _by_pydicom(dataset: pydicom.Dataset) -> NDArray[np.generic]:
    if not getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None):
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(_syntax(dataset))
    return np.asarray(dataset.pixel_array)
