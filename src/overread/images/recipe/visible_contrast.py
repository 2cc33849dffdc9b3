"""Check that a rendered image has visible contrast."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ONE = "one grey value"
FEW = "fewer than 16 grey values"
NARROW = "99 % of the pixels within 2 % of the grey range"
_LEVELS = 16
_SHARE, _SPAN = 0.99, 6  # 2 % of 255 levels: six levels that follow each other
_SAMPLE = 64  # rows and columns of the sample that stands for a large picture


def flatness(greys: NDArray[np.uint8]) -> str:
    """Classify lack of contrast of an 8-bit image: `ONE`, `FEW`, `NARROW`, or "" for sufficient contrast.

    Parameters
    ----------
    greys : ndarray of uint8, any shape
        The image.

    Returns
    -------
    str
        The first of `ONE` (a single grey value), `FEW` and `NARROW` that applies, otherwise "".

    Notes
    -----
    `NARROW` is the share of pixels in the most frequent six successive grey levels. A collimated radiograph of which
    nine tenths are black border passes; a black image with a line of text does not.

    Examples
    --------
    >>> flatness(np.zeros((9, 9), np.uint8)), flatness(np.arange(256, dtype=np.uint8))
    ('one grey value', '')
    """
    counts = np.bincount(greys.reshape(-1), minlength=256)
    levels = int(np.count_nonzero(counts))
    if levels <= 1:
        return ONE
    if levels < _LEVELS:
        return FEW
    sums = np.concatenate(([0], np.cumsum(counts)))
    fullest = int((sums[_SPAN:] - sums[:-_SPAN]).max())
    return NARROW if fullest >= _SHARE * greys.size else ""


def sample(pixels: NDArray[Any]) -> NDArray[Any]:
    """Every k-th row and column of an image, such that at least 64 of each remain if it has as many.

    Examples
    --------
    >>> sample(np.zeros((1000, 300))).shape
    (67, 75)
    """
    steps = (max(1, n // _SAMPLE) for n in pixels.shape[:2])
    return pixels[tuple(slice(None, None, step) for step in steps)]


def spread(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Map values from minimum to maximum to 0 to 255.

    Examples
    --------
    >>> spread(np.array([10.0, 15.0, 20.0])).tolist()
    [0, 128, 255]
    """
    low, high = float(values.min()), float(values.max())
    scale = 255 / (high - low) if high > low else 0.0
    return np.rint((values - low) * scale).astype(np.uint8)


def lost(before: NDArray[Any], after: NDArray[Any]) -> str:
    """Contrast that a step of the grey-scale transformation removes.

    Returns `ONE`, `FEW` or `NARROW` if the result (`after`, 0 to 1) lacks contrast that the input (`before`) had;
    otherwise "".
    """
    if not after.size:
        return ""
    ranks = {ONE: 2, FEW: 1, NARROW: 1, "": 0}
    shown = flatness(np.rint(np.clip(after, 0, 1) * 255).astype(np.uint8))
    return shown if ranks[shown] > ranks[flatness(spread(before))] else ""


def few(pixels: NDArray[Any], table: NDArray[Any] | None = None) -> bool:
    """Whether a decoded image has fewer than 16 grey values: a mask, a drawing, or a poor export.

    A small sample is examined first; if it has few values, a larger one, then the whole image.
    """
    some = sample(pixels)
    for part in (some[::4, ::4], some, pixels):
        values = np.unique(part)
        if table is not None:
            values = np.unique(table[values.view(f"u{values.dtype.itemsize}")])
        if values.size >= _LEVELS:
            return False
    return True
