"""The grey scale of a DICOM radiograph: modality LUT, VOI LUT or window, polarity, as one table of stored values.

Stored values are at most 16 bits, so the whole chain is worked out once per value that can occur and looked up per
pixel: exact, and the same cost however long the chain is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import apply_modality_lut

from overread.images.lookup import counted
from overread.images.picture import Pixels

_WHITE = 65535


@dataclass(frozen=True, slots=True)
class Plane:
    """Stored values (rows, columns), the grey that each pattern of their bits shows, air dark, and notes on odd tags.

    `black` and `white` are the values of the table that are shown as such.
    """

    stored: NDArray[Any]
    table: Pixels
    black: float
    white: float
    notes: tuple[str, ...] = ()


def displayed(dataset: pydicom.Dataset, stored: NDArray[Any], *, voi: bool) -> Plane:
    """The stored values as they are meant to be seen."""
    notes: list[str] = []
    photometric = str(dataset.get("PhotometricInterpretation", "")).strip()
    if photometric == "PALETTE COLOR":
        raise ValueError("photometric interpretation (0028,0004) is PALETTE COLOR, a radiograph is grey")
    if stored.ndim == 3:
        stored = _one_plane(stored, photometric)
        notes.append(f"{photometric} with nothing but grey in it: one plane taken")
    levels = np.arange(int(stored.min()), int(stored.max()) + 1).astype(stored.dtype)  # (n_levels,)
    padding = _padding(dataset, levels)
    values = np.asarray(apply_modality_lut(levels, dataset), np.float64)
    shown = _voi(dataset, values, notes) if voi else None
    if shown is None:
        table, (least, greatest) = values, _range(values[_occurring(stored, levels) & ~padding], values)
    else:
        table, least, greatest = shown * _WHITE, 0.0, float(_WHITE)
    if photometric == "MONOCHROME1" or str(dataset.get("PresentationLUTShape", "")).strip() == "INVERSE":
        table = least + greatest - table
    table = np.clip(np.where(padding, least, table), least, greatest)
    greys = _whole(table) if shown is not None or _fits_uint16(table) else table.astype(np.float32)
    return Plane(_upright(stored, dataset, notes), _by_bits(greys, levels), least, greatest, tuple(notes))


def _one_plane(stored: NDArray[Any], photometric: str) -> NDArray[Any]:
    """The grey plane of a picture that is stored as colour but has none; a picture with colour is no radiograph."""
    first, second, third = (stored[..., i] for i in range(3))
    plain = bool((first == second).all() and (second == third).all())
    if photometric.startswith("YBR"):  # where the decoder left it: a chroma of one half is none
        middle = 1 << (8 * stored.dtype.itemsize - 1)
        plain = plain or bool((np.abs(stored[..., 1:].astype(np.int32) - middle) <= 1).all())
    if not plain:
        raise ValueError(f"photometric interpretation (0028,0004) is {photometric} with colour, a radiograph is grey")
    return np.ascontiguousarray(first)


def _upright(pixels: NDArray[Any], dataset: pydicom.Dataset, notes: list[str]) -> NDArray[Any]:
    """The picture as it is hung, rows to the patient's left and columns to the feet: PatientOrientation (0020,0020).

    Only a frontal picture (left or right, and head or feet) is turned; where the tag is empty the picture stays.
    """
    given = dataset.get("PatientOrientation")
    words = [str(w).strip().upper()[:1] for w in given] if given and not isinstance(given, str) else []
    if len(words) != 2 or {"L", "R"}.isdisjoint(words) or {"F", "H"}.isdisjoint(words) or words == ["L", "F"]:
        return pixels
    notes.append(f"stored with its rows to {words[0]} and its columns to {words[1]}: turned to L and F")
    if words[0] in "FH":
        pixels, words = pixels.T, words[::-1]
    pixels = pixels[:, ::-1] if words[0] == "R" else pixels
    pixels = pixels[::-1] if words[1] == "H" else pixels
    return np.ascontiguousarray(pixels)


def _by_bits(greys: Pixels, levels: NDArray[Any]) -> Pixels:
    """The greys of the levels at the places of their bits, so that signed values are looked up without a copy."""
    table = np.zeros(1 << (8 * levels.dtype.itemsize), greys.dtype)
    table[levels.view(f"u{levels.dtype.itemsize}")] = greys
    return table


def _range(seen: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    values = seen if seen.size else values
    return float(values.min()), float(values.max())


def _whole(values: NDArray[np.float64]) -> NDArray[np.uint16]:
    return np.clip(np.rint(values), 0, _WHITE).astype(np.uint16)


def _fits_uint16(values: NDArray[np.float64]) -> bool:
    return bool(values.min() >= 0 and values.max() <= _WHITE and np.array_equal(values, np.rint(values)))


def _occurring(stored: NDArray[Any], levels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of the levels occur in the image at all."""
    return counted(stored)[levels.view(f"u{levels.dtype.itemsize}")] > 0


def _padding(dataset: pydicom.Dataset, levels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which levels are padding (0028,0120), a range where (0028,0121) gives its other end."""
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(levels.size, bool)
    limit = dataset.get("PixelPaddingRangeLimit")
    ends = sorted((value, limit if isinstance(limit, int) else value))
    return (levels >= ends[0]) & (levels <= ends[1])


def _voi(dataset: pydicom.Dataset, values: NDArray[np.float64], notes: list[str]) -> NDArray[np.float64] | None:
    """The values shown, 0 to 1, by the first VOI LUT, else the first window; None where the file has neither."""
    sequence = dataset.get("VOILUTSequence")
    if sequence:
        return _looked_up(sequence[0], values)
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if center is None or width is None:
        return None
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip()
    if width <= 0 or (width < 1 and function == "LINEAR"):
        notes.append(f"window width (0028,1051) is {width:g}: the window was left out")
        return None
    shown = windowed(values, center, width, function)
    if float(shown.max()) == float(shown.min()):
        notes.append(f"window {center:g}/{width:g} shows one grey value only: it was left out")
        return None
    return shown


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value[0] if isinstance(value, list | pydicom.multival.MultiValue) else value)


def windowed(values: NDArray[np.float64], center: float, width: float, function: str = "LINEAR") -> NDArray[np.float64]:
    """Values as shown through a window, 0 (black) to 1 (white): PS3.3 C.11.2.1.2 and C.11.2.1.3.

    >>> windowed(np.array([0.0, 50.0, 100.0]), 50.0, 100.0, "LINEAR_EXACT").tolist()
    [0.0, 0.5, 1.0]
    """
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - center) / width))
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0.0, 1.0)
    if function != "LINEAR":
        raise ValueError(
            f"VOI LUT function (0028,1056) is {function}, the standard knows LINEAR, LINEAR_EXACT, SIGMOID"
        )
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)


def _looked_up(item: pydicom.Dataset, values: NDArray[np.float64]) -> NDArray[np.float64]:
    entries, first, bits = (int(v) for v in item.LUTDescriptor)
    entries = entries or 65536
    data = item.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, "<u2" if len(data) >= 2 * entries else "u1")
    table = np.asarray(data, np.float64)[:entries]
    index = np.clip(np.rint(values).astype(np.int64) - first, 0, table.size - 1)
    return np.clip(table[index] / (2.0**bits - 1), 0.0, 1.0)
