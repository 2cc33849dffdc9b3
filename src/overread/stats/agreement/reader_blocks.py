"""Blocks of readers who read nearly disjoint sets of cases, from the numbers of cases that two readers share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from overread.errors import InputError
from overread.stats.arrays import Bools, Codes, Floats

WEAK = 0.25  # share of the common reads expected under random assignment below which two blocks are separate


def find_blocks(read: ArrayLike) -> Codes:
    """Block of each reader: groups of readers with hardly any common cases between them.

    Parameters
    ----------
    read : array_like of bool, shape (n_cases, n_readers)
        Whether the reader read the case.

    Returns
    -------
    ndarray of intp, shape (n_readers,)
        Number of the block, 0 for that of the first reader; -1 for a reader without a read. All readers of a design in
        which cases were assigned at random, or in which everyone read everything, are in block 0.

    Raises
    ------
    InputError
        If `read` is not an array of two dimensions.

    Notes
    -----
    The weight between two readers is their number of common cases. Readers are merged greedily while the modularity of
    the partition increases (Clauset, Newman and Moore); then blocks are merged as long as two of them share at least
    a quarter of the common cases that are expected if cases were assigned at random with the same numbers of reads
    (the product of their weights, divided by the sum of all weights). Checked against a brute-force reference
    implementation.

    References
    ----------
    * Clauset A, Newman MEJ, Moore C (2004). Finding community structure in very large networks. Physical Review E
      70:066111. doi:10.1103/PhysRevE.70.066111

    Examples
    --------
    >>> find_blocks([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]).tolist()
    [0, 0, 1, 1]
    >>> find_blocks([[1, 1, 0], [0, 1, 1], [1, 0, 1]]).tolist()
    [0, 0, 0]
    """
    table = np.asarray(read, dtype=np.float64)
    if table.ndim != 2:
        raise InputError("find_blocks: read", "an array (n_cases, n_readers)", f"shape {table.shape}")
    return blocks_of(table.T @ table)


def blocks_of(common: Floats) -> Codes:
    """Block of each reader from the numbers of common cases (n_readers, n_readers), on the diagonal of own cases."""
    reads, weights = np.diag(common) > 0, np.array(common)
    np.fill_diagonal(weights, 0.0)
    groups = [[r] for r in range(len(weights))]
    if weights.any():
        groups, weights = _merged(groups, weights, _gain)
        groups, _ = _merged(groups, weights, _strength)
    return _numbered(groups, reads)


def _gain(links: Floats) -> Floats:
    """Increase of modularity if two groups are merged, times half the sum of all weights."""
    return links - _expected(links)


def _strength(links: Floats) -> Floats:
    """Common cases of two groups as a share of those expected, minus the limit of weak links."""
    expected = _expected(links)
    return np.divide(links, expected, out=np.zeros_like(links), where=expected > 0) - WEAK


def _expected(links: Floats) -> Floats:
    """Weights of two groups if cases were assigned at random."""
    ends = links.sum(axis=1)
    return np.asarray(np.outer(ends, ends) / links.sum())


def _merged(
    groups: list[list[int]], links: Floats, score: Callable[[Floats], Floats]
) -> tuple[list[list[int]], Floats]:
    """Merge the two groups with the highest score until no score is above 0."""
    while len(groups) > 1:
        pairs = np.where(np.tri(len(groups), dtype=bool), -np.inf, score(links))
        i, j = (int(k) for k in np.unravel_index(int(pairs.argmax()), pairs.shape))
        if not pairs[i, j] > 0:
            break
        groups[i] += groups.pop(j)
        links[i] += links[j]
        links[:, i] += links[:, j]
        links = np.delete(np.delete(links, j, axis=0), j, axis=1)
    return groups, links


def _numbered(groups: list[list[int]], reads: Bools) -> Codes:
    """Number of the group of each reader, in the order of the first readers."""
    blocks = np.full(reads.size, -1, dtype=np.intp)
    with_reads = sorted((sorted(g) for g in groups if reads[g].any()), key=min)
    for number, group in enumerate(with_reads):
        blocks[group] = number
    return blocks
