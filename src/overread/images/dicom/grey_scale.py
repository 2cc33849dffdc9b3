"""Grey-scale transformation of a DICOM radiograph as one look-up table of its stored values.

Modality LUT or rescale, VOI LUT or window, and polarity are computed once for every stored value that occurs (at most
65,536) and looked up per pixel. A step that would remove the contrast of an image is omitted and noted, so that an
invalid secondary element does not make the image unusable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from overread.images.dicom import lut_entries, tags
from overread.images.raster.file_content import Pixels
from overread.images.raster.image_faults import Fault
from overread.images.recipe import visible_contrast
from overread.images.recipe.lut import counted

_WHITE = 65535
_MOST = 65536
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_SHAPES = ("IDENTITY", "INVERSE")


@dataclass(frozen=True, slots=True)
class Plane:
    """Stored values with their grey-scale look-up table.

    Parameters
    ----------
    stored : ndarray, shape (rows, columns)
        Stored values.
    table : ndarray
        Grey value of each bit pattern of the stored values; air is dark.
    black, white : float
        Values of the table that are displayed as black and as white.
    notes : tuple of str
        Notes on irregular elements.
    """

    stored: NDArray[Any]
    table: Pixels
    black: float
    white: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Levels:
    """The stored values that occur, their bit patterns, the pixels, and a sample of pixel indices."""

    values: NDArray[np.float64]
    places: NDArray[np.int64]
    stored: NDArray[Any]
    sample: NDArray[np.int64]


def displayed(dataset: pydicom.Dataset, stored: NDArray[Any], *, voi: bool) -> Plane:
    """Compute the grey-scale transformation of a data set.

    Parameters
    ----------
    dataset : Dataset
        Data set of the image.
    stored : ndarray
        Stored values.
    voi : bool
        Whether the VOI LUT or window is applied.

    Returns
    -------
    Plane
        Stored values and their look-up table.

    Raises
    ------
    Fault
        The photometric interpretation is not that of a radiograph, the image has colour, or it has more different
        values than a table can hold.

    Notes
    -----
    DICOM PS3.3, sections C.11.1 (modality LUT), C.11.2 (VOI LUT) and C.7.6.3.1.2 (photometric interpretation).
    """
    notes: list[str] = []
    photometric = _photometric(dataset)
    if stored.ndim == 3:
        stored = _one_plane(stored, photometric)
        notes.append(f"{photometric} with nothing but grey in it: one plane taken")
    elif not photometric.startswith("MONOCHROME"):
        notes.append(f"{photometric} with one sample per pixel: taken as MONOCHROME2")
    levels = _levels(stored)
    padding = _padding(dataset, levels, notes)
    seen = levels.sample[~padding[levels.sample]]
    values = _modality(dataset, levels.values, seen, notes)
    shown = _voi(dataset, values, seen, notes) if voi else None
    if shown is None:
        occurring = counted(levels.stored)[levels.places] > 0
        table, (least, greatest) = values, _range(values[occurring & ~padding], values)
    else:
        table, least, greatest = shown * _WHITE, 0.0, float(_WHITE)
    inverse = tags.choice(dataset, "PresentationLUTShape", _SHAPES, notes) == "INVERSE"
    if photometric == "MONOCHROME1" or inverse:
        table = least + greatest - table
    table = np.clip(np.where(padding, least, table), least, greatest)
    greys = _whole(table) if shown is not None or _fits_uint16(table) else table.astype(np.float32)
    upright = _upright(levels.stored, dataset, notes)
    return Plane(upright, _by_bits(greys, levels), least, greatest, tuple(notes))


def _photometric(dataset: pydicom.Dataset) -> str:
    """Photometric interpretation in upper case; it is required because the polarity depends on it."""
    text = " ".join(tags.pieces(dataset, "PhotometricInterpretation")[:1])
    photometric = "_".join(text.upper().split()).replace("MONOCHROME_", "MONOCHROME")
    if photometric in ("MONOCHROME1", "MONOCHROME2", "RGB") or photometric.startswith("YBR_"):
        return photometric
    if photometric == "PALETTE_COLOR":
        raise Fault("photometric interpretation (0028,0004) is PALETTE COLOR, a radiograph is grey")
    description = f"is {tags.quoted(text)}" if text else "is missing"
    raise Fault(f"photometric interpretation (0028,0004) {description}, a radiograph is MONOCHROME1 or MONOCHROME2")


def _one_plane(stored: NDArray[Any], photometric: str) -> NDArray[Any]:
    """The grey plane of an image stored as colour without colour in it; an image with colour is refused."""
    first, second, third = (stored[..., i] for i in range(3))
    plain = bool((first == second).all() and (second == third).all())
    if photometric.startswith("YBR"):  # not converted by the decoder: chroma at mid-range is no colour
        middle = 1 << (8 * stored.dtype.itemsize - 1)
        plain = plain or bool((np.abs(stored[..., 1:].astype(np.int32) - middle) <= 1).all())
    if not plain:
        raise Fault(f"photometric interpretation (0028,0004) is {photometric} with colour, a radiograph is grey")
    return np.ascontiguousarray(first)


def _levels(stored: NDArray[Any]) -> _Levels:
    """Stored values in increasing order; pixels of more than 16 bits become 16-bit indices of these values."""
    least, greatest = int(stored.min()), int(stored.max())
    if greatest - least >= _MOST:
        bits = 8 * stored.dtype.itemsize
        raise Fault(
            f"stored values of {bits} bits from {least:,} to {greatest:,}, a radiograph has at most {_MOST:,} values"
        )
    values = np.arange(least, greatest + 1)
    if stored.dtype.itemsize > 2:
        stored = (stored - stored.dtype.type(least)).astype(np.uint16)
        places, first = np.arange(values.size), 0
    else:
        places, first = values.astype(stored.dtype).view(f"u{stored.dtype.itemsize}").astype(np.int64), least
    sample = visible_contrast.sample(stored).reshape(-1).astype(np.int64) - first
    return _Levels(values.astype(np.float64), places, stored, sample)


def _upright(pixels: NDArray[Any], dataset: pydicom.Dataset, notes: list[str]) -> NDArray[Any]:
    """Orient a frontal image with rows to the patient's left and columns to the feet: PatientOrientation (0020,0020).

    Only frontal images (left or right, and head or feet) are rotated or flipped; an empty tag changes nothing.
    """
    words = [w.upper()[:1] for w in tags.pieces(dataset, "PatientOrientation")]
    if len(words) != 2 or {"L", "R"}.isdisjoint(words) or {"F", "H"}.isdisjoint(words) or words == ["L", "F"]:
        return pixels
    notes.append(f"stored with its rows to {words[0]} and its columns to {words[1]}: turned to L and F")
    if words[0] in "FH":
        pixels, words = pixels.T, words[::-1]
    pixels = pixels[:, ::-1] if words[0] == "R" else pixels
    pixels = pixels[::-1] if words[1] == "H" else pixels
    return np.ascontiguousarray(pixels)


def _by_bits(greys: Pixels, levels: _Levels) -> Pixels:
    """Grey values of the levels, indexed by bit pattern, so that signed values are looked up without a copy."""
    table = np.zeros(1 << (8 * levels.stored.dtype.itemsize), greys.dtype)
    table[levels.places] = greys
    return table


def _range(seen: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    values = seen if seen.size else values
    return float(values.min()), float(values.max())


def _whole(values: NDArray[np.float64]) -> NDArray[np.uint16]:
    return np.clip(np.rint(values), 0, _WHITE).astype(np.uint16)


def _fits_uint16(values: NDArray[np.float64]) -> bool:
    return bool(values.min() >= 0 and values.max() <= _WHITE and np.array_equal(values, np.rint(values)))


def _padding(dataset: pydicom.Dataset, levels: _Levels, notes: list[str]) -> NDArray[np.bool_]:
    """Levels that are padding: Pixel Padding Value (0028,0120), a range with Pixel Padding Range Limit (0028,0121)."""
    none = np.zeros(levels.values.size, bool)
    value = tags.whole(dataset, "PixelPaddingValue", notes)
    limit = tags.whole(dataset, "PixelPaddingRangeLimit", notes)
    if value is None:
        return none
    low, high = sorted(_signed_as(v, levels.values) for v in (value, value if limit is None else limit))
    padding = (levels.values >= low) & (levels.values <= high)
    before = levels.values[levels.sample]
    inside = padding[levels.sample]
    if inside.all():
        lost = visible_contrast.ONE if np.ptp(before) else ""
    else:
        lost = visible_contrast.lost(
            before, visible_contrast.spread(np.where(inside, before[~inside].min(), before)) / 255
        )
    if lost:
        notes.append(tags.left_out("PixelPaddingValue", f"{low} to {high}", f"the picture would show {lost} only"))
        return none
    return padding


def _signed_as(value: int, levels: NDArray[np.float64]) -> int:
    """Reinterpret a 16-bit value with the sign of the stored values if only then it occurs among them."""
    readings = (value, value - _MOST if value >= 0 else value + _MOST)
    return next((r for r in readings if levels[0] <= r <= levels[-1]), value)


def _modality(
    dataset: pydicom.Dataset, levels: NDArray[np.float64], seen: NDArray[np.int64], notes: list[str]
) -> NDArray[np.float64]:
    """Values after the modality LUT, or after the rescale if there is none."""
    table = lut_entries.read(dataset, "ModalityLUTSequence", levels[seen], notes, scaled=False)
    if table is not None:
        values = table(levels)
        lost_contrast = (
            visible_contrast.lost(levels[seen], visible_contrast.spread(values[seen]) / 255) if seen.size else ""
        )
        if not lost_contrast:
            return values
        notes.append(f"{tags.name('ModalityLUTSequence')} shows {lost_contrast} only: left out")
    slope, intercept = (tags.number(dataset, k, notes) for k in ("RescaleSlope", "RescaleIntercept"))
    if slope is None and intercept is None:
        return levels
    slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        values = levels * slope + intercept
        single = values.astype(np.float32)  # type of the result: no two levels may become equal
        if slope and np.isfinite(single).all() and np.diff(single).all():
            return values
    notes.append(f"{tags.name('RescaleSlope')} is '{slope:g}', intercept '{intercept:g}': the rescale was left out")
    return levels


def _voi(
    dataset: pydicom.Dataset, values: NDArray[np.float64], seen: NDArray[np.int64], notes: list[str]
) -> NDArray[np.float64] | None:
    """Display values from 0 to 1 by the first VOI LUT, otherwise the first window; None if the file has neither."""
    table = lut_entries.read(dataset, "VOILUTSequence", values[seen], notes, scaled=True)
    if table is not None:
        shown = np.clip(table(values) / table.white, 0.0, 1.0)
        lost_contrast = visible_contrast.lost(values[seen], shown[seen])
        if not lost_contrast:
            return shown
        notes.append(f"{tags.name('VOILUTSequence')} shows {lost_contrast} only: left out")
    center, width = (tags.number(dataset, k, notes) for k in ("WindowCenter", "WindowWidth"))
    function = tags.choice(dataset, "VOILUTFunction", _FUNCTIONS, notes) or "LINEAR"
    if center is None or width is None:
        return None
    if width <= 0 or (width < 1 and function == "LINEAR"):
        notes.append(f"window width (0028,1051) is '{width:g}': the window was left out")
        return None
    shown = windowed(values, center, width, function)
    lost_contrast = visible_contrast.lost(values[seen], shown[seen])
    if lost_contrast:
        notes.append(f"window '{center:g}/{width:g}' shows {lost_contrast} only: it was left out")
        return None
    return shown


def windowed(values: NDArray[np.float64], center: float, width: float, function: str = "LINEAR") -> NDArray[np.float64]:
    """Apply a window: display values from 0 (black) to 1 (white).

    Parameters
    ----------
    values : ndarray of float64
        Values after the modality LUT.
    center, width : float
        Window Center (0028,1050) and Window Width (0028,1051).
    function : {"LINEAR", "LINEAR_EXACT", "SIGMOID"}
        VOI LUT Function (0028,1056).

    Returns
    -------
    ndarray of float64
        Display values.

    Notes
    -----
    DICOM PS3.3, sections C.11.2.1.2 and C.11.2.1.3.

    Examples
    --------
    >>> windowed(np.array([0.0, 50.0, 100.0]), 50.0, 100.0, "LINEAR_EXACT").tolist()
    [0.0, 0.5, 1.0]
    """
    with np.errstate(over="ignore"):
        if function == "SIGMOID":
            return 1 / (1 + np.exp(-4 * (values - center) / width))
        if function == "LINEAR_EXACT":
            return np.clip((values - center) / width + 0.5, 0.0, 1.0)
        if width == 1:
            return (values > center - 0.5).astype(np.float64)
        return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)
