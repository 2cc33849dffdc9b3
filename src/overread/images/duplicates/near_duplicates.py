"""Search for near-duplicates among stored images: similar views propose pairs, correlation after alignment decides.

Recall and false pairs were measured by validation/near_duplicates.py; see docs/reference/duplicates.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from overread.images.duplicates import alignment, fingerprint, neighbours
from overread.images.raster.file_content import ALIKE
from overread.images.store.pixel_store import Store

_NEIGHBOURS, _SIMILAR = 3, 0.8  # proposed per query, and the cosine that they exceed
# Correlation on the coarse grid, and partial correlation, below which a pair is not aligned on the fine one.
_COARSELY_ALIKE, _COARSELY_PARTIAL = 0.92, 0.85
_DETAILED = 2 * alignment.FINE  # pixels per side of the images that are aligned finely
_LEAST_OTHERS = 8  # images that make the mean image of a site, the two compared ones not among them
_ALIKE_ALONE = 0.995  # correlation of duplicates where there is no third image, and so no mean image
_PAIRS = 1024  # aligned at a time
_BATCH_BYTES = 8 << 20  # pixels held at a time
_BLOCK, _SAMPLE = 8192, 2048  # images whose views are held at a time; images that determine the whitening

Progress = Callable[[int, int], None]


def find(
    store: Store,
    part: NDArray[np.integer],
    row: NDArray[np.integer],
    sites: Sequence[str],
    *,
    progress: Progress | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Find pairs of near-duplicates among stored images.

    Parameters
    ----------
    store : Store
        The pixels, at least 64 x 64.
    part, row : ndarray of int, shape (n,)
        Position of each image in the store.
    sites : sequence of str, length n
        Site of each image; features common to the images of a site do not count as similarity.
    progress : callable, optional
        Called with (images read, images in all).

    Returns
    -------
    pairs : ndarray of int, shape (k, 2)
        Indices i < j.
    similarity : ndarray, shape (k,)
        Cosine similarity of the views that proposed each pair.
    correlation : ndarray, shape (k,)
        Correlation after alignment.

    Raises
    ------
    InputError
        The stored images are smaller than 64 x 64.

    Notes
    -----
    Memory: 2.8 kB per image, and the views of 8,192 images.
    """
    boxes, thumbs = _read(store, part, row, progress)
    shapes = _shapes(boxes)
    means = _Means(thumbs, np.asarray(sites))
    likely = _likely(thumbs, means, _proposed(thumbs, shapes))
    judged = np.full(len(likely.pairs), np.nan)
    for at in _batches(len(judged), 4 * _DETAILED):
        some = likely.take(at)
        first, second = (_detailed(store, part, row, boxes, some.pairs[:, side]) for side in (0, 1))
        each = np.tile(np.arange(len(first))[:, None], 2)
        _, maps = alignment.align(first, second, each, some.maps, some.views, points=alignment.FINE)
        judged[at] = alignment.partial_correlation(
            (first, second), means.of_both(some.pairs), each, maps, some.views, points=alignment.FINE
        )
        store.release()
    return _best(likely, judged, ALIKE if len(part) > 2 else _ALIKE_ALONE)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Candidate pairs (k, 2): similarity (k,) of their views, view (k, 4) of the second, transformation (k, 2, 3)."""

    pairs: NDArray[np.int64]
    similarity: NDArray[np.float64]
    views: NDArray[np.float64]
    maps: NDArray[np.float64]

    def take(self, which: slice | NDArray[np.generic]) -> _Candidates:
        return _Candidates(self.pairs[which], self.similarity[which], self.views[which], self.maps[which])


def _likely(thumbs: NDArray[np.uint8], means: _Means, proposed: _Candidates) -> _Candidates:
    """Candidates with high correlation on the coarse grid, with their transformations."""
    likely = [proposed.take(slice(0))]
    for begin in range(0, len(proposed.pairs), _PAIRS):
        some = proposed.take(slice(begin, begin + _PAIRS))
        points = alignment.COARSE
        correlation, maps = alignment.align(thumbs, thumbs, some.pairs, some.maps, some.views, points=points)
        some = replace(some, maps=maps).take(correlation >= _COARSELY_ALIKE)
        partial = alignment.partial_correlation(
            (thumbs, thumbs), means.of_both(some.pairs), some.pairs, some.maps, some.views, points=points
        )
        likely.append(some.take(partial >= _COARSELY_PARTIAL))
    return _Candidates(*(np.concatenate([getattr(c, f.name) for c in likely]) for f in fields(_Candidates)))


def _read(
    store: Store, part: NDArray[np.integer], row: NDArray[np.integer], progress: Progress | None
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    boxes = np.empty((len(part), 4), np.int64)
    thumbs = np.empty((len(part), fingerprint.SIDE, fingerprint.SIDE), np.uint8)
    for at in _batches(len(part), store.recipe.size):
        pixels = store.gather(part[at], row[at])
        boxes[at] = fingerprint.content_boxes(pixels)
        thumbs[at] = fingerprint.thumbnails(pixels, boxes[at], fingerprint.SIDE)
        store.release()
        if progress:
            progress(min(at.stop, len(part)), len(part))
    return boxes, thumbs


def _batches(n: int, size: int) -> Iterator[slice]:
    each = max(1, _BATCH_BYTES // size**2)
    return (slice(i, min(i + each, n)) for i in range(0, n, each))


def _shapes(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Height and width of each content, the longer one scaled to 48, in steps of 2: images of one shape share views."""
    sides = np.stack([boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]], axis=1)
    shapes: NDArray[np.int64] = np.rint(24 * sides / sides.max(axis=1, keepdims=True)).astype(np.int64) * 2
    return shapes


def _described(
    thumbs: NDArray[np.uint8], shapes: NDArray[np.int64], chosen: NDArray[np.int64], *, queries: bool
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
    """Descriptions of the views of these images (of the queries only), with the image and the number of each view."""
    parts = []
    for shape in np.unique(shapes[chosen], axis=0):
        members = chosen[(shapes[chosen] == shape).all(axis=1)]
        views = (fingerprint.query_boxes if queries else fingerprint.view_boxes)(*shape.tolist())
        for at in range(0, len(members), 256):
            some = members[at : at + 256]
            described = fingerprint.describe(thumbs[some], views).reshape(-1, fingerprint.LENGTH)
            numbers = np.tile(np.arange(len(views), dtype=np.int32), len(some))
            parts.append((described, np.repeat(some, len(views)).astype(np.int32), numbers))
    first, second, third = zip(*parts, strict=True)
    return np.concatenate(first), np.concatenate(second), np.concatenate(third)


def _proposed(thumbs: NDArray[np.uint8], shapes: NDArray[np.int64]) -> _Candidates:
    """Nearest images of each image: a view of the first (as a transformation) similar to a view of the second."""
    n = len(thumbs)
    some = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64))
    sample = _described(thumbs, shapes, some, queries=False)[0].astype(np.float64)
    whitening = neighbours.Whitening.of(len(sample), sample.sum(axis=0), sample.T @ sample)
    described, owners, asked = _described(thumbs, shapes, np.arange(n), queries=True)
    numbered = (np.arange(i, min(i + _BLOCK, n)) for i in range(0, n, _BLOCK))
    blocks = (
        (whitening(values), images, numbers)
        for values, images, numbers in (_described(thumbs, shapes, chosen, queries=False) for chosen in numbered)
    )
    found = neighbours.search(whitening(described), owners, blocks, k=_NEIGHBOURS, least=_SIMILAR)
    query, place = np.nonzero(found.image >= 0)
    first, second = found.image[query, place].astype(np.int64), owners[query].astype(np.int64)
    similarity = found.similarity[query, place].astype(np.float64)
    order = np.lexsort((-similarity, second, first))  # of two views of one image that propose the same pair, the better
    new = np.diff(first[order], prepend=-1).astype(bool) | np.diff(second[order], prepend=-1).astype(bool)
    chosen = order[new]
    query, place, first, second = query[chosen], place[chosen], first[chosen], second[chosen]
    own = _boxes(shapes[first], found.view[query, place])
    return _Candidates(
        np.stack([first, second], axis=1),
        similarity[chosen],
        _boxes(shapes[second], asked[query]),
        alignment.view_map(own),
    )


def _boxes(shapes: NDArray[np.int64], numbers: NDArray[np.int32]) -> NDArray[np.float64]:
    """The views (k, 4) with these numbers, of images with these shapes (k, 2)."""
    views = [fingerprint.view_boxes(*shape)[v] for shape, v in zip(shapes.tolist(), numbers, strict=True)]
    return np.array(views, float).reshape(-1, 4)


def _detailed(
    store: Store,
    part: NDArray[np.integer],
    row: NDArray[np.integer],
    boxes: NDArray[np.int64],
    which: NDArray[np.int64],
) -> NDArray[np.uint8]:
    return fingerprint.thumbnails(store.gather(part[which], row[which]), boxes[which], _DETAILED)


class _Means:
    """Mean images of sites, without the two images that are compared; of all images where a site has too few others."""

    def __init__(self, thumbs: NDArray[np.uint8], sites: NDArray[np.str_]) -> None:
        names, self._site = np.unique(sites, return_inverse=True)
        self._thumbs = thumbs
        self._sums = np.zeros((len(names) + 1, *thumbs.shape[1:]))  # the last is of all images
        self._counts = np.append(np.bincount(self._site, minlength=len(names)), len(thumbs))
        for number in range(len(names)):
            members = np.flatnonzero(self._site == number)
            for at in range(0, len(members), 4096):
                self._sums[number] += _standardised(thumbs[members[at : at + 4096]]).sum(axis=0)
        self._sums[-1] = self._sums[:-1].sum(axis=0)

    def of_both(self, pairs: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean images for the first and the second image of each pair (k, 2)."""
        return self._of(pairs[:, 0], pairs[:, 1]), self._of(pairs[:, 1], pairs[:, 0])

    def _of(self, own: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.float32]:
        """The mean images (k, side, side) for the images `own` compared with `other`; 0 where there is no other."""
        group = np.where(self._counts[self._site[own]] - 2 >= _LEAST_OTHERS, self._site[own], len(self._counts) - 1)
        both = (self._site[other] == group) | (group == len(self._counts) - 1)
        sums = self._sums[group] - _standardised(self._thumbs[own])
        sums -= np.where(both[:, None, None], _standardised(self._thumbs[other]), 0)
        left = self._counts[group] - 1 - both
        return np.where(left[:, None, None] > 0, sums / np.maximum(left, 1)[:, None, None], 0).astype(np.float32)


def _standardised(thumbs: NDArray[np.uint8]) -> NDArray[np.float64]:
    greys = thumbs.astype(np.float64)
    greys -= greys.mean(axis=(1, 2), keepdims=True)
    return np.asarray(greys / np.maximum(greys.std(axis=(1, 2), keepdims=True), 1))


def _best(
    likely: _Candidates, judged: NDArray[np.float64], least: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Pairs with at least this correlation, each once, with its highest correlation."""
    alike = np.flatnonzero(judged >= least)
    ordered = np.sort(likely.pairs[alike], axis=1)
    by = alike[np.lexsort((-judged[alike], ordered[:, 1], ordered[:, 0]))]
    unique, first = np.unique(np.sort(likely.pairs[by], axis=1), axis=0, return_index=True)
    return unique.reshape(-1, 2), likely.similarity[by][first], judged[by][first]
