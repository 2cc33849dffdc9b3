"""Stored pixel values of a DICOM file: imagecodecs first (fast, frees the interpreter), pydicom as the reference."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import get_frame

from overread.errors import InputError

_LITTLE_ENDIAN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99")
_RLE = "1.2.840.10008.1.2.5"
_CODECS = {
    "1.2.840.10008.1.2.4.50": "jpeg8_decode",
    "1.2.840.10008.1.2.4.57": "ljpeg_decode",
    "1.2.840.10008.1.2.4.70": "ljpeg_decode",
    "1.2.840.10008.1.2.4.80": "jpegls_decode",
    "1.2.840.10008.1.2.4.81": "jpegls_decode",
    "1.2.840.10008.1.2.4.90": "jpeg2k_decode",
    "1.2.840.10008.1.2.4.91": "jpeg2k_decode",
}
# Errors of imagecodecs are RuntimeError, those of pydicom's plugins any of these.
_BROKEN = (AttributeError, EOFError, KeyError, NotImplementedError, OSError, RuntimeError, TypeError, ValueError,
           IndexError, struct.error)  # fmt: skip


def stored(dataset: pydicom.Dataset, where: Path | str) -> NDArray[np.generic]:
    """The stored values, (rows, columns) or (rows, columns, 3), in the file's own integer type.

    Raises InputError that names the encoding and what both decoders said of it.
    """
    syntax = _syntax(dataset)
    shape = _shape(dataset)
    if syntax in _LITTLE_ENDIAN and dataset.BitsAllocated in (8, 16) and len(shape) == 2:
        return _plain(dataset, where)
    failures = []
    if (syntax in _CODECS or syntax == _RLE) and dataset.BitsAllocated in (8, 16) and len(shape) == 2:
        try:
            values = _decoded(dataset, syntax)
            if values.shape == shape:
                return _typed(values, dataset)
            failures.append(f"imagecodecs: {values.shape} values for {shape}")
        except _BROKEN as error:
            failures.append(f"imagecodecs: {_said(error)}")
    try:
        return _by_pydicom(dataset)
    except _BROKEN as error:
        failures.append(f"pydicom: {_said(error)}")
    name = pydicom.uid.UID(syntax).name
    raise InputError(
        where, f"pixel data (7FE0,0010) in {name}", f"a stream that cannot be decoded ({'; '.join(failures)})",
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


def _plain(dataset: pydicom.Dataset, where: Path | str) -> NDArray[np.generic]:
    dtype = np.dtype("u1" if dataset.BitsAllocated == 8 else "<u2")
    wanted, data = int(dataset.Rows) * int(dataset.Columns) * dtype.itemsize, dataset.PixelData
    if len(data) < wanted:
        raise InputError(
            where, f"{wanted:,} bytes of pixel data (7FE0,0010)", f"{len(data):,}: the file is truncated",
            do="Fetch the file again.",
        )  # fmt: skip
    values = np.frombuffer(data, dtype, count=wanted // dtype.itemsize).reshape(dataset.Rows, dataset.Columns)
    return _typed(values, dataset)


def _decoded(dataset: pydicom.Dataset, syntax: str) -> NDArray[np.generic]:
    import imagecodecs  # loads its libraries as they are asked for; no cost for a cohort of PNG files

    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if syntax == _RLE:
        dtype = np.dtype("u1" if dataset.BitsAllocated == 8 else "<u2")
        flat = np.frombuffer(imagecodecs.dicomrle_decode(frame, dtype), dtype)
        return flat[: dataset.Rows * dataset.Columns].reshape(dataset.Rows, dataset.Columns)
    if b"\xff\xd9" not in frame[-16:]:  # several decoders fill a cut stream with grey and say nothing
        raise ValueError("the stream has no end marker: the file is truncated")
    return np.asarray(getattr(imagecodecs, _CODECS[syntax])(frame))


def _typed(values: NDArray[np.generic], dataset: pydicom.Dataset) -> NDArray[np.generic]:
    """Only the bits that are stored, moved to the low end, signed where the file says so."""
    bits, allocated = int(dataset.BitsStored), 8 if values.dtype.itemsize == 1 else 16
    high = int(dataset.get("HighBit", bits - 1))
    unsigned = values.view(f"u{values.dtype.itemsize}")
    shift = max(0, high + 1 - bits)
    if shift:
        unsigned = unsigned >> shift
    if bits < allocated:
        unsigned = unsigned & unsigned.dtype.type((1 << bits) - 1)
    if not dataset.get("PixelRepresentation"):
        return unsigned
    signed = unsigned.view(f"i{values.dtype.itemsize}")
    return (signed << (allocated - bits)) >> (allocated - bits) if bits < allocated else signed


def _by_pydicom(dataset: pydicom.Dataset) -> NDArray[np.generic]:
    if not getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None):
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(_syntax(dataset))
    return np.asarray(dataset.pixel_array)


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
