"""Radiographs from DICOM files: pixels as they are meant to be shown (air dark), and what the header says of them."""

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
    """A DICOM radiograph: `pixels` (rows, columns) with air dark, shown from `black` to `white`; its header; notes.

    `stored` are the stored values, hung as the picture is, `table` the grey of each pattern of their bits: whoever
    changes greys changes the table and looks up once. `notes` name what was odd in the file and how it was taken, such
    as a window of no width.
    """

    stored: NDArray[Any]
    table: Pixels
    black: float
    white: float
    header: Header
    notes: tuple[str, ...] = ()

    @property
    def pixels(self) -> Pixels:
        """What is shown, (rows, columns)."""
        return looked_up(self.stored, self.table)


def read_dicom(path: Path | str, *, voi: bool = True) -> Radiograph:
    """Read a radiograph from a DICOM file: stored values, modality LUT or rescale, VOI LUT or window, polarity.

    Parameters
    ----------
    path: the file, with or without preamble and file meta information.
    voi: whether the file's first VOI LUT (else its first window) is applied; without it the values span what is there.

    Returns a Radiograph. Its pixels are uint16 from 0 (black) to 65535 (white) where a VOI was applied; otherwise the
    modality values, uint16 or float32, black and white being the least and the greatest. MONOCHROME1 and the
    presentation LUT shape INVERSE are turned round, once, so that air is dark. Padding is black.

    Raises InputError that names the file and the tag or the encoding: not DICOM, no or truncated pixel data, several
    frames, a broken stream.

    Standards: PS3.3 C.11.1 (modality LUT), C.11.2 (VOI LUT), C.7.6.3.1.2 (photometric interpretation). Stored values
    were checked against the hashes of eleven public files and against pydicom.

    >>> from pydicom.data import get_testdata_file
    >>> read_dicom(get_testdata_file("RG1_UNCI.dcm", download=False) or get_testdata_file("CT_small.dcm")).pixels.ndim
    2
    """
    return decode_dicom(read_bytes(path), path, voi=voi)


def decode_dicom(data: bytes, where: Path | str, *, voi: bool = True) -> Radiograph:
    """The same for bytes already read; `where` is what errors call them."""
    with lenient():  # odd values are common in real headers; what matters is checked here
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
    """The stored pixel values (rows, columns), before any grey scale is applied: what checksums of files speak of.

    >>> from pydicom.data import get_testdata_file
    >>> stored_values(get_testdata_file("CT_small.dcm")).dtype
    dtype('int16')
    """
    with lenient():
        dataset = dataset_of(read_bytes(path), path, with_pixels=True)
        with readable(path, "tags that can be read"):
            return stored_of(dataset, path)


def stored_of(dataset: pydicom.Dataset, where: Path | str, notes: list[str] | None = None) -> NDArray[np.generic]:
    """The stored values of a data set, in the file's own integer type; `notes` takes what was odd.

    Raises InputError: see `layout.layout_of` and `codecs.stored`.
    """
    return codecs.stored(dataset, layout_of(dataset, where, [] if notes is None else notes), where)
