"""A picture through a table: what every pixel shows, block by block where asked, and how often each value occurs.

One pass of machine code each. The table is small and the picture is not: NumPy would first widen every pixel to a
64-bit index, which costs more than the look-up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from overread.kernels import njit


def looked_up(numbers: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """The table's value for every number, in the numbers' shape; signed numbers stand at the place of their bits.

    Parameters
    ----------
    numbers: whole numbers of 8 or 16 bits.
    table: a value for every pattern of those bits, (256,) or (65536,).

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
    """What `looked_up` shows, averaged over blocks in the same pass: the picture itself is never written down.

    Parameters
    ----------
    numbers: whole numbers of 8 or 16 bits, (rows, columns).
    table: a grey for every pattern of those bits, (256,) or (65536,).
    block: rows and columns of a block, 1 to 255 each; the last ones average what is left of them.
    box: left, top, right and bottom of the part that is averaged, within the picture.

    Returns a mean for every block, rounded as Pillow's `Image.reduce` rounds it, and equal to it in every bit.

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
    """How often every pattern of bits occurs among these numbers of 8 or 16 bits: (256,) or (65536,).

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
    """The greys of a row onto the sums of its blocks; the usual widths are written out, twice as fast as a loop."""
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
