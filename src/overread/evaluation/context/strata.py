"""Sampling strata of patients: when they may be used, and how strata of one patient are merged."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from overread import codes
from overread.codes import Text

Codes = NDArray[np.intp]


def sampling_strata(cases: pl.DataFrame, patient: Codes) -> tuple[Codes | None, Text]:
    """Return the sampling stratum of every case as a code (n_cases,), or None and the reason why strata are not used.

    `cases` has the columns case_id, weight and stratum; `patient` holds codes (n_cases,). Strata are used only if
    weights differ, because they then describe how the patients of a stratified sample were drawn. Without strata the
    variance is that of a simple random sample of patients, which is at least as large.
    """
    strata = cases["stratum"]
    if strata.null_count() == cases.height or cases["weight"].n_unique() < 2:
        return None, codes.NONE
    if strata.null_count():
        return None, codes.note("strata_missing", n=strata.null_count())
    stratum = strata.cast(pl.String).rank("dense").cast(pl.Int64).to_numpy().astype(np.intp) - 1
    pairs = np.unique(np.stack([patient, stratum]), axis=1)
    several = int((np.bincount(pairs[0]) > 1).sum())
    if several:
        return None, codes.note("strata_shared", n=several)
    return merge_small_strata(stratum, patient), codes.NONE


def merge_small_strata(strata: Codes, patient: Codes) -> Codes | None:
    """Merge the strata of a single patient; None if one stratum is left.

    A variance within strata needs two patients in each stratum. Merging strata can only increase it.

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
