"""Nearest images of each image by an inverted file of whitened descriptors, built block by block.

References
----------
Jégou, Douze, Schmid: Product quantization for nearest neighbor search. IEEE TPAMI 2011. doi:10.1109/TPAMI.2010.57 (the
inverted file without the quantisation).
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from overread import threads
from overread.kernels import njit

Array = NDArray[np.float32]
_Part = tuple[Array, NDArray[np.int32], NDArray[np.integer]]  # descriptions, the image of each, and row numbers

_PRIOR = 200  # the average variance counts as much as that many views: a few images do not determine a covariance
_CELL = 4096  # views per cell of the inverted file, on average
_PROBED = 0.05  # share of the cells that are searched for each query, but at least _LEAST_PROBED
_LEAST_PROBED = 12
_ROUNDS = 6
_ROWS = 256  # of a matrix product that one thread computes
_SAMPLE = 64  # views per cell that place its centre


@dataclass(frozen=True, slots=True)
class Whitening:
    """Whitening of descriptors: their mean, and the matrix that equalises their variance in all directions.

    Features common to all images, such as the shape of a thorax or the disc of a fundus photograph, then do not count
    as similarity.
    """

    mean: Array
    matrix: Array

    @classmethod
    def of(cls, total: int, sums: NDArray[np.float64], products: NDArray[np.float64]) -> Whitening:
        """The whitening of `total` descriptions with these sums (d,) and sums of products (d, d)."""
        mean = sums / max(total, 1)
        covariance = products / max(total, 1) - np.outer(mean, mean)
        average = max(np.trace(covariance) / len(mean), 1e-6)
        shrunk = (total * covariance + _PRIOR * average * np.eye(len(mean))) / (total + _PRIOR)
        values, vectors = np.linalg.eigh(shrunk)
        matrix = vectors / np.sqrt(np.maximum(values, 1e-3 * average))
        return cls(mean.astype(np.float32), matrix.astype(np.float32))

    def __call__(self, descriptions: Array) -> Array:
        """Whitened descriptors (m, d) of length 1; 0 for a descriptor without detail."""
        white = (descriptions - self.mean) @ self.matrix
        length = np.linalg.norm(white, axis=1, keepdims=True)
        some = (length > 0) & descriptions.any(axis=1, keepdims=True)
        return np.where(some, white / np.where(some, length, 1), np.float32(0)).astype(np.float32)


@dataclass(slots=True)
class Nearest:
    """Nearest images of each query found so far: similarity, image and view, each (q, k); -1 where there is none."""

    similarity: Array
    image: NDArray[np.int32]
    view: NDArray[np.int32]

    @classmethod
    def of(cls, queries: int, k: int, least: float) -> Nearest:
        """None found yet; images whose similarity is at most `least` will not be."""
        shape = (queries, k)
        return cls(np.full(shape, least, np.float32), np.full(shape, -1, np.int32), np.full(shape, -1, np.int32))


def search(
    queries: Array,
    owners: NDArray[np.int32],
    blocks: Iterable[tuple[Array, NDArray[np.int32], NDArray[np.int32]]],
    *,
    k: int,
    least: float,
) -> Nearest:
    """Find the k nearest images of each query by their most similar views.

    Parameters
    ----------
    queries : ndarray, shape (q, d)
        Whitened descriptors.
    owners : ndarray of int32, shape (q,)
        Image of each query; an image is not its own neighbour.
    blocks : iterable of tuple
        Blocks of whitened descriptors (m, d) of views, with the image (m,) and the view number (m,) of each.
    k : int
        Neighbours per query.
    least : float
        Cosine similarity that a neighbour must exceed.

    Returns
    -------
    Nearest
        Similarity, image and view of the neighbours.

    Notes
    -----
    In a block of up to 24,576 views every view is compared. In a larger block, views are grouped by the nearest centre
    (spherical k-means on the first block), and a query is compared with the views of its nearest groups.
    """
    nearest = Nearest.of(len(queries), k, least)
    centres: Array | None = None
    for views, images, numbers in blocks:
        if centres is None:
            centres = _centres(views)
        cell = _nearest_centre(views, centres)
        order = np.argsort(cell, kind="stable")
        bounds = np.searchsorted(cell[order], np.arange(len(centres) + 1))
        probed = _probed(queries, centres)
        asked = np.argsort(probed.ravel(), kind="stable")
        asking = np.searchsorted(probed.ravel()[asked], np.arange(len(centres) + 1))
        for c in range(len(centres)):
            inside = order[bounds[c] : bounds[c + 1]]
            who = asked[asking[c] : asking[c + 1]] // probed.shape[1]
            _compare(nearest, (queries, owners, who), (views[inside], images[inside], numbers[inside]))
    return nearest


def _compare(found: Nearest, asked: _Part, held: _Part) -> None:
    queries, owners, who = asked
    views, images, numbers = held
    for at in range(0, len(who), 1024):
        part = who[at : at + 1024]
        for begin in range(0, len(views), 8192):
            piece = slice(begin, begin + 8192)
            similarity = _products(queries[part], views[piece])
            _kept(
                similarity, part, owners[part], images[piece], numbers[piece], found.similarity, found.image, found.view
            )


def _products(rows: Array, columns: Array) -> Array:
    """rows @ columns.T with several threads, each with its own matrix and a single-threaded BLAS.

    A multi-threaded BLAS divides sums by the number of threads; the last bits, and with them pairs near the threshold,
    would depend on it.
    """
    out = np.empty((len(rows), len(columns)), np.float32)
    pieces = [slice(i, i + _ROWS) for i in range(0, len(rows), _ROWS)]
    count = min(threads.number(), len(pieces))
    if count < 2:
        for piece in pieces:
            np.matmul(rows[piece], columns.T, out=out[piece])
        return out
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda piece: np.matmul(rows[piece], columns.T, out=out[piece]), pieces))
    return out


@njit(parallel=True)
def _kept(
    similarity: Array,
    who: NDArray[np.integer],
    owners: NDArray[np.int32],
    images: NDArray[np.int32],
    numbers: NDArray[np.integer],
    best: Array,
    image: NDArray[np.int32],
    view: NDArray[np.int32],
) -> None:
    k = best.shape[1]
    for r in prange(len(who)):
        q = who[r]
        worst = best[q].argmin()
        for c in range(len(images)):
            s = similarity[r, c]
            if s > best[q, worst] and images[c] != owners[r]:
                place = worst
                for m in range(k):
                    if image[q, m] == images[c]:
                        place = m
                if s > best[q, place]:
                    best[q, place], image[q, place], view[q, place] = s, images[c], numbers[c]
                    worst = best[q].argmin()


def _centres(views: Array) -> Array:
    """Cluster centres by spherical k-means, started from evenly spaced views so that the result is reproducible."""
    cells = max(1, len(views) // _CELL)
    if cells <= 6:
        return views[:1]
    sample = views[np.linspace(0, len(views) - 1, min(len(views), cells * _SAMPLE)).astype(int)]
    centres: Array = sample[np.random.default_rng(0).permutation(len(sample))[:cells]]
    for _ in range(_ROUNDS):
        cell = _nearest_centre(sample, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, cell, sample)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > 0, sums / np.where(length > 0, length, 1), centres)
    return centres


def _nearest_centre(views: Array, centres: Array) -> NDArray[np.int64]:
    if len(centres) == 1:
        return np.zeros(len(views), np.int64)
    parts = [(views[i : i + 8192] @ centres.T).argmax(axis=1) for i in range(0, len(views), 8192)]
    return np.concatenate(parts)


def _probed(queries: Array, centres: Array) -> NDArray[np.int64]:
    n = min(len(centres), max(_LEAST_PROBED, round(_PROBED * len(centres))))
    parts = [
        np.argpartition(-(queries[i : i + 8192] @ centres.T), n - 1, axis=1)[:, :n]
        for i in range(0, len(queries), 8192)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, n), np.int64)
