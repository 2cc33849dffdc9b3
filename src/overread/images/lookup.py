"""A picture through a table: what every pixel shows, and how often each value occurs, in one pass of machine code.

The table is small and the picture is not: NumPy would first widen every pixel to a 64-bit index, which costs more than
the look-up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


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


def counted(numbers: NDArray[Any]) -> NDArray[np.int64]:
    """How often every pattern of bits occurs among these numbers of 8 or 16 bits: (256,) or (65536,).

    >>> counted(np.array([[3, 3, 0]], np.uint8))[:4].tolist()
    [1, 0, 0, 2]
    """
    bits = np.ascontiguousarray(numbers).view(f"u{numbers.dtype.itemsize}")
    counts = np.zeros(1 << (8 * bits.dtype.itemsize), np.int64)
    _count(bits.reshape(-1), counts)
    return counts


@njit(nogil=True, cache=True)
def _look_up(bits: NDArray[Any], table: NDArray[Any], found: NDArray[Any]) -> None:  # pragma: no cover - compiled
    for i in range(bits.size):
        found[i] = table[bits[i]]


@njit(nogil=True, cache=True)
def _count(bits: NDArray[Any], counts: NDArray[np.int64]) -> None:  # pragma: no cover - compiled
    for i in range(bits.size):
        counts[bits[i]] += 1
