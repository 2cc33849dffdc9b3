"""The strata that patients were drawn within: when they may be used, and what is done where one holds one patient."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from overread import codes
from overread.codes import Text

Codes = NDArray[np.intp]


def sampling_strata(cases: pl.DataFrame, patient: Codes) -> tuple[Codes | None, Text]:
    """The sampling stratum of every case as a code (n_cases,), or None and why it is not used.

    cases: case_id, weight, stratum; patient (n_cases,) codes. Strata act only where weights differ: they tell how the
    patients of a stratified sample were drawn. Without them the variance is that of patients drawn from the whole,
    which is at least as large.
    """
    stated = cases["stratum"]
    if stated.null_count() == cases.height or cases["weight"].n_unique() < 2:
        return None, codes.NONE
    if stated.null_count():
        return None, codes.note("strata_missing", n=stated.null_count())
    stratum = stated.cast(pl.String).rank("dense").cast(pl.Int64).to_numpy().astype(np.intp) - 1
    pairs = np.unique(np.stack([patient, stratum]), axis=1)
    several = int((np.bincount(pairs[0]) > 1).sum())
    if several:
        return None, codes.note("strata_shared", n=several)
    return merge_small_strata(stratum, patient), codes.NONE


def merge_small_strata(strata: Codes, patient: Codes) -> Codes | None:
    """The strata of these cases with those of a single patient taken together; None where one stratum is left.

    A variance within strata needs two patients in each. Taking strata together can only make it larger.

    >>> merge_small_strata(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 2, 3, 4])).tolist()
    [0, 0, 2, 2, 2]
    >>> merge_small_strata(np.array([0, 0, 1]), np.array([0, 1, 2])) is None
    True
    """
    size = np.bincount(np.unique(np.stack([patient, strata]), axis=1)[1]) if strata.size else np.empty(0, np.intp)
    alone = size == 1
    if alone.any():
        others = np.flatnonzero(size > 1)
        target = others[size[others] == size[others].min()][-1] if others.size else np.flatnonzero(alone)[0]
        strata = np.where(alone[strata], target, strata)
    return strata if np.unique(strata).size > 1 else None
