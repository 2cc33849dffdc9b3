"""Whether a finished picture shows anything: the check of what came out of every reader and grey scale."""

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
    """What is wrong with a picture of 0 to 255: `ONE`, `FEW`, `NARROW`, or "" for a picture with contrast.

    Parameters
    ----------
    greys : ndarray of uint8, any shape
        The picture as it is shown.

    Returns
    -------
    str
        The first of `ONE`, `FEW` and `NARROW` that applies, otherwise "".

    Notes
    -----
    `NARROW` is the share of pixels in the fullest six successive levels. A collimated radiograph with a black border of
    nine tenths passes; a picture that is black but for a line of text does not.

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
    """Every k-th row and column of a picture, such that at least 64 of each remain where it has as many.

    >>> sample(np.zeros((1000, 300))).shape
    (67, 75)
    """
    steps = (max(1, n // _SAMPLE) for n in pixels.shape[:2])
    return pixels[tuple(slice(None, None, step) for step in steps)]


def spread(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Values from the least to the greatest as 0 to 255.

    >>> spread(np.array([10.0, 15.0, 20.0])).tolist()
    [0, 128, 255]
    """
    low, high = float(values.min()), float(values.max())
    scale = 255 / (high - low) if high > low else 0.0
    return np.rint((values - low) * scale).astype(np.uint8)


def lost(before: NDArray[Any], after: NDArray[Any]) -> str:
    """What a step of the grey scale (`after`, 0 to 1) makes of a picture that had more contrast (`before`).

    Returns `ONE`, `FEW` or `NARROW`; "" where the step keeps the contrast, or where there was none to lose.
    """
    if not after.size:
        return ""
    ranks = {ONE: 2, FEW: 1, NARROW: 1, "": 0}
    shown = flatness(np.rint(np.clip(after, 0, 1) * 255).astype(np.uint8))
    return shown if ranks[shown] > ranks[flatness(spread(before))] else ""


def few(pixels: NDArray[Any], table: NDArray[Any] | None = None) -> bool:
    """Whether a picture as it was read has fewer than 16 different greys: a mask, a drawing, a poor export.

    A small sample decides; where it has few, a larger one; then the whole picture.
    """
    some = sample(pixels)
    for part in (some[::4, ::4], some, pixels):
        values = np.unique(part)
        if table is not None:
            values = np.unique(table[values.view(f"u{values.dtype.itemsize}")])
        if values.size >= _LEVELS:
            return False
    return True
