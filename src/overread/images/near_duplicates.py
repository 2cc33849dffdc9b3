"""The search for near-duplicates among stored images: views propose pairs, alignment and correlation decide.

What the search finds and misses was measured by validation/near_duplicates.py; see docs/reference/duplicates.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from overread.images import alignment, fingerprint, neighbours
from overread.images.picture import ALIKE
from overread.images.store import Store

_NEIGHBOURS, _SIMILAR = 4, 0.6  # proposed per query, and the cosine that they exceed
_COARSELY_ALIKE = 0.88  # correlation on the coarse grid below which a pair is not aligned on the fine one
_DETAILED = 2 * alignment.FINE  # pixels per side of the images that are aligned finely
_LEAST_OTHERS = 8  # images that make a mean image, the two compared ones not among them
_BATCH_BYTES = 8 << 20  # pixels held at a time
_BLOCK, _SAMPLE = 8192, 2048  # images whose views are held at a time; images that determine the whitening

Progress = Callable[[int, int], None]


def find(
    store: Store, part: NDArray[np.integer], row: NDArray[np.integer], sites: Sequence[str],
    *, progress: Progress | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Find pairs of near-duplicates among stored images.

    Parameters
    ----------
    store : the pixels, at least 64 x 64.
    part, row : (n,), the place of each image in the store.
    sites : (n,), the site of each; what the images of a site have in common does not count as similarity.
    progress : called with (images read, images in all).

    Returns
    -------
    pairs (k, 2) with i < j; the similarity (k,) of the views that proposed them; the correlation (k,) after alignment.

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
    proposed = _proposed(thumbs, shapes)
    if not len(proposed[0]):
        return np.empty((0, 2), np.int64), np.empty(0), np.empty(0)
    pairs, similarity, own, asked = proposed
    correlation, maps = alignment.align(thumbs, thumbs, pairs, alignment.view_map(own), asked, points=alignment.COARSE)
    likely = correlation >= _COARSELY_ALIKE
    pairs, similarity, maps, asked = pairs[likely], similarity[likely], maps[likely], asked[likely]
    means = _Means(thumbs, np.asarray(sites))
    judged = np.full(len(pairs), np.nan)
    for at in _batches(len(pairs), 4 * _DETAILED):
        first, second = (_detailed(store, part, row, boxes, pairs[at, side]) for side in (0, 1))
        each = np.tile(np.arange(len(first))[:, None], 2)
        _, fine = alignment.align(first, second, each, maps[at], asked[at], points=alignment.FINE)
        shared = (means.of(pairs[at, 0], pairs[at, 1]), means.of(pairs[at, 1], pairs[at, 0]))
        judged[at] = alignment.partial_correlation((first, second), shared, each, fine, asked[at])
        store.release()
    return _best(pairs, similarity, judged)


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
    return np.rint(24 * sides / sides.max(axis=1, keepdims=True)).astype(np.int64) * 2


def _described(
    thumbs: NDArray[np.uint8], shapes: NDArray[np.int64], chosen: NDArray[np.int64], *, queries: bool
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
    """Descriptions of the views of these images (of the queries only), with the image and the number of each view."""
    parts = []
    for shape in np.unique(shapes[chosen], axis=0):
        members = chosen[(shapes[chosen] == shape).all(axis=1)]
        views = fingerprint.view_boxes(*shape.tolist())[: fingerprint.QUERIES if queries else None]
        for at in range(0, len(members), 256):
            some = members[at : at + 256]
            described = fingerprint.describe(thumbs[some], views).reshape(-1, fingerprint.LENGTH)
            numbers = np.tile(np.arange(len(views), dtype=np.int32), len(some))
            parts.append((described, np.repeat(some, len(views)).astype(np.int32), numbers))
    first, second, third = zip(*parts, strict=True)
    return np.concatenate(first), np.concatenate(second), np.concatenate(third)


def _proposed(
    thumbs: NDArray[np.uint8], shapes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Pairs (k, 2), similarity (k,), and the boxes (k, 4) of the views of the first and the second image."""
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
    own = [fingerprint.view_boxes(*shapes[i].tolist())[v] for i, v in zip(first, found.view[query, place], strict=True)]
    other = [fingerprint.view_boxes(*shapes[j].tolist())[v] for j, v in zip(second, asked[query], strict=True)]
    similarity = found.similarity[query, place].astype(np.float64)
    return np.stack([first, second], axis=1), similarity, np.array(own), np.array(other)


def _detailed(
    store: Store, part: NDArray[np.integer], row: NDArray[np.integer], boxes: NDArray[np.int64],
    which: NDArray[np.int64],
) -> NDArray[np.uint8]:  # fmt: skip
    return fingerprint.thumbnails(store.gather(part[which], row[which]), boxes[which], _DETAILED)


class _Means:
    """Mean images of sites, without the two images that are compared; of all images where a site has too few."""

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

    def of(self, own: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.float32]:
        """The mean images (k, side, side) for the images `own` compared with `other`; 0 where there are too few."""
        group = np.where(self._counts[self._site[own]] - 2 >= _LEAST_OTHERS, self._site[own], len(self._counts) - 1)
        both = (self._site[other] == group) | (group == len(self._counts) - 1)
        sums = self._sums[group] - _standardised(self._thumbs[own])
        sums -= np.where(both[:, None, None], _standardised(self._thumbs[other]), 0)
        left = self._counts[group] - 1 - both
        return np.where(left[:, None, None] >= _LEAST_OTHERS, sums / np.maximum(left, 1)[:, None, None], 0).astype(
            np.float32
        )


def _standardised(thumbs: NDArray[np.uint8]) -> NDArray[np.float64]:
    greys = thumbs.astype(np.float64)
    greys -= greys.mean(axis=(1, 2), keepdims=True)
    return np.asarray(greys / np.maximum(greys.std(axis=(1, 2), keepdims=True), 1))


def _best(
    pairs: NDArray[np.int64], similarity: NDArray[np.float64], judged: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The pairs that are alike, each once, with the best of its correlations."""
    alike = np.flatnonzero(judged >= ALIKE)
    ordered = np.sort(pairs[alike], axis=1)
    by = alike[np.lexsort((-judged[alike], ordered[:, 1], ordered[:, 0]))]
    unique, first = np.unique(np.sort(pairs[by], axis=1), axis=0, return_index=True)
    return unique.reshape(-1, 2), similarity[by][first], judged[by][first]
