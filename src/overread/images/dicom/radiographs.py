"""Reading of DICOM radiographs: pixels with the grey-scale transformation applied (air dark), and the header."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from overread.errors import InputError
from overread.images.dicom import codecs, grey_scale
from overread.images.dicom.headers import Header, dataset_of, header_of
from overread.images.dicom.pixel_layout import layout_of
from overread.images.raster.file_content import Pixels, read_bytes
from overread.images.raster.image_faults import BROKEN, lenient, readable, said
from overread.images.recipe.lut import looked_up


@dataclass(frozen=True, slots=True)
class Radiograph:
    """A DICOM radiograph.

    `stored` are the stored values in display orientation and `table` the grey value of each of their bit patterns, so
    that a change of grey values is a change of the table. `black` and `white` are the limits of the display range.
    `notes` describe irregularities of the file and how they were handled, such as a window of zero width.
    """

    stored: NDArray[Any]
    table: Pixels
    black: float
    white: float
    header: Header
    notes: tuple[str, ...] = ()

    @property
    def pixels(self) -> Pixels:
        """Grey values, shape (rows, columns)."""
        return looked_up(self.stored, self.table)


def read_dicom(path: Path | str, *, voi: bool = True) -> Radiograph:
    """Read a radiograph from a DICOM file.

    Parameters
    ----------
    path : path
        File with or without preamble and file meta information.
    voi : bool
        Whether the first VOI LUT, otherwise the first window, is applied; without it the display range is the range of
        the values.

    Returns
    -------
    Radiograph
        With a VOI transformation, pixels are uint16 from 0 (black) to 65535 (white); otherwise they are modality
        values, uint16 or float32, with black and white at minimum and maximum. Air is dark: MONOCHROME1 and the
        presentation LUT shape INVERSE are inverted. Padding is black.

    Raises
    ------
    InputError
        The file is not DICOM, its pixel data are missing or truncated, it has several frames, or its stream is
        damaged. The message names the file and the tag or the encoding.

    Notes
    -----
    DICOM PS3.3, sections C.11.1 (modality LUT), C.11.2 (VOI LUT) and C.7.6.3.1.2 (photometric interpretation). Stored
    values were verified against the hashes of eleven public files and against pydicom.

    Examples
    --------
    >>> from pydicom.data import get_testdata_file
    >>> read_dicom(get_testdata_file("RG1_UNCI.dcm", download=False) or get_testdata_file("CT_small.dcm")).pixels.ndim
    2
    """
    return decode_dicom(read_bytes(path), path, voi=voi)


def decode_dicom(data: bytes, where: Path | str, *, voi: bool = True) -> Radiograph:
    """Decode a radiograph from the bytes of a DICOM file.

    Parameters
    ----------
    data : bytes
        The file.
    where : path
        Name of the file in messages.
    voi : bool
        See `read_dicom`.

    Returns
    -------
    Radiograph
        As from `read_dicom`.

    Raises
    ------
    InputError
        As `read_dicom`.
    """
    with lenient():  # irregular values are common in headers; relevant ones are checked here
        dataset = dataset_of(data, where, with_pixels=True)
        notes: list[str] = []
        with readable(where, "tags that can be read"):
            stored = stored_of(dataset, where, notes)
        try:
            plane = grey_scale.displayed(dataset, stored, voi=voi)
        except BROKEN as error:
            raise InputError(where, "grey scale tags that can be applied", said(error)) from error
        header = header_of(dataset, where)
        return Radiograph(plane.stored, plane.table, plane.black, plane.white, header, (*notes, *plane.notes))


def stored_values(path: Path | str) -> NDArray[np.generic]:
    """Read the stored pixel values of a file, before any grey-scale transformation.

    Parameters
    ----------
    path : path
        DICOM file.

    Returns
    -------
    ndarray, shape (rows, columns) or (rows, columns, 3)
        Stored values, to which published checksums refer.

    Examples
    --------
    >>> from pydicom.data import get_testdata_file
    >>> stored_values(get_testdata_file("CT_small.dcm")).dtype
    dtype('int16')
    """
    with lenient():
        dataset = dataset_of(read_bytes(path), path, with_pixels=True)
        with readable(path, "tags that can be read"):
            return stored_of(dataset, path)


def stored_of(dataset: pydicom.Dataset, where: Path | str, notes: list[str] | None = None) -> NDArray[np.generic]:
    """Stored values of a data set in the integer type of the file.

    Parameters
    ----------
    dataset : Dataset
        Data set with its pixel data.
    where : path
        Name of the file in messages.
    notes : list of str, optional
        Receives notes on irregular elements.

    Returns
    -------
    ndarray, shape (rows, columns) or (rows, columns, 3)
        Stored values.

    Raises
    ------
    InputError
        See `pixel_layout.layout_of` and `codecs.stored`.
    """
    return codecs.stored(dataset, layout_of(dataset, where, [] if notes is None else notes), where)
