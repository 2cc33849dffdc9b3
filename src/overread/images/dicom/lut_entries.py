"""Modality and VOI look-up tables: entries of the file, checked against the LUT descriptor.

The descriptor (0028,3002) gives the number of entries, the first stored value mapped and the bits per entry (PS3.3
C.11.1.1, C.11.2.1.1). Some files contradict it. The entries then take precedence, as in `dcm2pnm +Mv` of DCMTK and in
Cornerstone, and a note is written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from overread.images.dicom import tags
from overread.images.raster.image_faults import BROKEN, Fault

_MOST = 65536
_LEAST_BITS = 8
# A table of 8-bit entries read as bytes rises and falls a few times over its range; 16-bit entries read as bytes
# alternate between low and high byte at every entry.
_SMOOTH = 8


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A look-up table: its `entries`, the value mapped by the first entry, and the entry that is white."""

    entries: NDArray[np.float64]
    first: int
    white: float

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Entries of these values; values outside the table map to its first or last entry."""
        index = np.clip(np.rint(values) - self.first, 0, self.entries.size - 1)
        greys: NDArray[np.float64] = self.entries[index.astype(np.int64)]
        return greys


def read(
    dataset: pydicom.Dataset, keyword: str, values: NDArray[np.float64], notes: list[str], *, scaled: bool
) -> LookupTable | None:
    """Read the first table of a sequence (ModalityLUTSequence, VOILUTSequence).

    Parameters
    ----------
    dataset : Dataset
        Data set with the sequence.
    keyword : str
        Keyword of the sequence.
    values : ndarray of float64, shape (n,)
        Values that occur. They determine whether a first value of 32,768 or more is negative.
    notes : list of str
        Receives notes on contradictions with the descriptor.
    scaled : bool
        Whether the entries are grey values, so that their bits matter.

    Returns
    -------
    LookupTable or None
        None if there is no table or it is unusable, which is noted.
    """
    items = tags.items(dataset, keyword, notes)
    if not items:
        return None
    odd: list[str] = []
    try:
        table = _table(items[0], values, odd, scaled=scaled)
    except Fault as fault:
        notes.append(f"{tags.name(keyword)}: {fault}: left out")
        return None
    notes += [f"{tags.name(keyword)}: {text}" for text in odd]
    return table


def _table(item: pydicom.Dataset, values: NDArray[np.float64], odd: list[str], *, scaled: bool) -> LookupTable:
    stated = [int(v) for v in tags.numbers(item, "LUTDescriptor", odd)]
    if len(stated) < 3:
        raise Fault("its descriptor (0028,3002) does not have three numbers")
    n_stated, first, bits = stated[0] % _MOST or _MOST, stated[1], stated[2]
    entries = _entries(item, n_stated)
    if entries.size != n_stated:
        odd.append(f"its descriptor states {n_stated:,} entries, it has {entries.size:,}")
    needed = max(_LEAST_BITS, math.ceil(math.log2(float(entries.max()) + 1)))
    if scaled and needed != bits:
        odd.append(f"its descriptor states {bits} bits, its entries have {needed}")
    return LookupTable(entries, _first(first, entries.size, values), 2.0**needed - 1)


def _first(first: int, n_entries: int, values: NDArray[np.float64]) -> int:
    """First value mapped, signed or unsigned: the interpretation under which the table covers more of the values."""
    readings = (first, first - _MOST if first >= _MOST // 2 else first + _MOST if first < 0 else first)
    covered = [np.count_nonzero((values >= r) & (values < r + n_entries)) for r in readings]
    return readings[int(covered[1] > covered[0])]


def _entries(item: pydicom.Dataset, n_stated: int) -> NDArray[np.float64]:
    """Entries as 16-bit words, or as bytes packed into words (earlier entry in the low byte)."""
    words = _words(item)
    if words.size == (n_stated + 1) // 2 and n_stated > 1:
        packed = words.astype("<u2").view(np.uint8)[:n_stated]
        if _roughness(packed) <= _SMOOTH:
            return packed.astype(np.float64)
    return words[:_MOST].astype(np.float64)


def _roughness(entries: NDArray[np.uint8]) -> float:
    """Total variation of the entries relative to their range: 1 for a monotonic table."""
    values = entries.astype(np.int64)
    return float(np.abs(np.diff(values)).sum() / max(1, int(np.ptp(values))))


def _words(item: pydicom.Dataset) -> NDArray[np.uint16]:
    element = item.get_item(Tag("LUTData"))
    order = "<u2" if getattr(element, "is_little_endian", True) else ">u2"
    try:
        value = None if element is None else item[Tag("LUTData")].value
        if isinstance(value, bytes):
            words = np.frombuffer(value + bytes(len(value) % 2), order).astype(np.uint16)
        else:
            given: Any = [] if value is None or isinstance(value, Sequence) else np.atleast_1d(value)
            words = (np.asarray(given, np.int64) & 0xFFFF).astype(np.uint16)
    except BROKEN as error:
        raise Fault("its data (0028,3006) cannot be read") from error
    if not words.size:
        raise Fault("it has no data (0028,3006)")
    return words
