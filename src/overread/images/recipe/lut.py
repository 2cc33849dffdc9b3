"""Look-up tables applied to images: per pixel, with block averages, and counts of values.

Each is one pass of compiled code. NumPy would first convert every pixel to a 64-bit index, which takes longer than the
look-up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from overread.kernels import njit


def looked_up(numbers: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """Apply a look-up table to every pixel; signed values are indexed by their bit pattern.

    Parameters
    ----------
    numbers : ndarray of 8- or 16-bit integers
        Pixel values.
    table : ndarray, shape (256,) or (65536,)
        Value for every bit pattern.

    Returns
    -------
    ndarray
        Values of the table, in the shape of `numbers`.

    Examples
    --------
    >>> looked_up(np.array([[3, -1]], np.int8), np.arange(256, dtype=np.uint16)).tolist()
    [[3, 255]]
    """
    bits = np.ascontiguousarray(numbers).view(f"u{numbers.dtype.itemsize}")
    found = np.empty(bits.size, table.dtype)
    _look_up(bits.reshape(-1), table, found)
    return found.reshape(numbers.shape)


def averaged(
    numbers: NDArray[Any], table: NDArray[np.uint8], block: tuple[int, int], box: tuple[int, int, int, int]
) -> NDArray[np.uint8]:
    """Apply a look-up table and average over blocks in one pass, without storing the full image.

    Parameters
    ----------
    numbers : ndarray of 8- or 16-bit integers, shape (rows, columns)
        Pixel values.
    table : ndarray of uint8, shape (256,) or (65536,)
        Grey value for every bit pattern.
    block : tuple of int
        Rows and columns of a block, 1 to 255 each; blocks at the edge average the rest.
    box : tuple of int
        Left, top, right and bottom of the region to average, within the image.

    Returns
    -------
    ndarray of uint8
        Mean of every block, rounded as by Pillow's `Image.reduce` and equal to it in every bit.

    Examples
    --------
    >>> numbers, table = np.array([[1, 2, 3], [4, 5, 9]], np.uint8), np.arange(256, dtype=np.uint8)
    >>> averaged(numbers, table, (2, 2), (0, 0, 3, 2)).tolist()
    [[3, 6]]
    """
    left, top, right, bottom = box
    bits = np.ascontiguousarray(numbers).view(f"u{numbers.dtype.itemsize}")[top:bottom]
    found = np.empty((-(-(bottom - top) // block[0]), -(-(right - left) // block[1])), np.uint8)
    _average(bits.reshape(-1), bits.shape[1], left, right, table, *block, found)
    return found


def counted(numbers: NDArray[Any]) -> NDArray[np.int64]:
    """Count every bit pattern among 8- or 16-bit integers.

    Examples
    --------
    >>> counted(np.array([[3, 3, 0]], np.uint8))[:4].tolist()
    [1, 0, 0, 2]
    """
    bits = np.ascontiguousarray(numbers).view(f"u{numbers.dtype.itemsize}")
    counts = np.zeros(1 << (8 * bits.dtype.itemsize), np.int64)
    _count(bits.reshape(-1), counts)
    return counts


@njit(nogil=True)
def _look_up(bits: NDArray[Any], table: NDArray[Any], found: NDArray[Any]) -> None:  # pragma: no cover - compiled
    for i in range(bits.size):
        found[i] = table[bits[i]]


@njit(nogil=True)
def _average(
    bits: NDArray[Any],
    columns: int,
    left: int,
    right: int,
    table: NDArray[np.uint8],
    tall: int,
    wide: int,
    found: NDArray[np.uint8],
) -> None:  # pragma: no cover - compiled
    rows, width = bits.size // columns, right - left
    full, rest = width // wide, width % wide  # blocks of full width, columns of the last one
    sums = np.empty(found.shape[1], np.uint32)
    for block in range(found.shape[0]):
        first, last = block * tall, min(block * tall + tall, rows)
        sums[:] = 0
        for y in range(first, last):
            _add(bits[y * columns + left : y * columns + right], table, np.uint64(wide), full, sums)
        _mean(sums[:full], (last - first) * wide, found[block])
        if rest:
            _mean(sums[full:], (last - first) * rest, found[block, full:])


@njit(nogil=True)
def _add(
    row: NDArray[Any], table: NDArray[np.uint8], wide: np.uint64, full: int, sums: NDArray[np.uint32]
) -> None:  # pragma: no cover - compiled
    """Add the grey values of a row to the sums of its blocks; common widths are unrolled, twice as fast as a loop."""
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    for c in range(full):
        x = np.uint64(c) * wide
        if wide == 2:
            sums[c] += np.uint32(table[row[x]]) + np.uint32(table[row[x + one]])
        elif wide == 3:
            sums[c] += np.uint32(table[row[x]]) + np.uint32(table[row[x + one]]) + np.uint32(table[row[x + two]])
        elif wide == 4:
            pair = np.uint32(table[row[x]]) + np.uint32(table[row[x + one]])
            sums[c] += pair + np.uint32(table[row[x + two]]) + np.uint32(table[row[x + three]])
        else:
            some = np.uint32(0)
            for k in range(wide):
                some += table[row[x + k]]
            sums[c] += some
    for last in range(full * wide, row.size):
        sums[full] += table[row[last]]


@njit(nogil=True)
def _mean(sums: NDArray[np.uint32], n: int, found: NDArray[np.uint8]) -> None:  # pragma: no cover - compiled
    half, scale = np.uint32(n // 2), np.uint32((1 << 24) // n)
    for i in range(sums.size):
        found[i] = ((sums[i] + half) * scale) >> np.uint32(24)


@njit(nogil=True)
def _count(bits: NDArray[Any], counts: NDArray[np.int64]) -> None:  # pragma: no cover - compiled
    for i in range(bits.size):
        counts[bits[i]] += 1
