"""Several claims, one error rate: adjusted p values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from overread.errors import InputError
from overread.stats.arrays import Floats


def holm(p: ArrayLike) -> Floats:
    """p values adjusted so that the chance of any false claim stays below alpha, whatever their dependence.

    Parameters: p (n,), NaN = not tested: stays NaN and does not count. Returns (n,), at most 1, in the order given.
    Raises InputError outside [0, 1]. Holm (1979), Scand J Stat 6:65-70 (no DOI; jstor.org/stable/4615733).
    Checked against R 4.2.2 p.adjust.

    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    values, tested = _p_values(p)
    order, m = np.argsort(values[tested], kind="stable"), int(tested.sum())
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.maximum.accumulate((m - np.arange(m)) * values[tested][order]), 1.0)
    return _placed(adjusted, tested)


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """p values adjusted so that the expected share of false claims among the claims stays below alpha.

    Parameters: p (n,), NaN = not tested: stays NaN and does not count. Returns (n,), at most 1, in the order given.
    Raises InputError outside [0, 1]. Assumes independent or positively dependent tests.
    Benjamini & Hochberg (1995) doi:10.1111/j.2517-6161.1995.tb02031.x. Checked against R 4.2.2 p.adjust.

    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    array([0.03, 0.04, 0.04])
    """
    values, tested = _p_values(p)
    order, m = np.argsort(-values[tested], kind="stable"), int(tested.sum())
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.minimum.accumulate(m / (m - np.arange(m)) * values[tested][order]), 1.0)
    return _placed(adjusted, tested)


def fixed_sequence(p: ArrayLike) -> Floats:
    """p values adjusted for claims tested in an order fixed beforehand, each only if all before it succeeded.

    Parameters: p (n,) in that order; after a NaN (not tested) nothing can be claimed, so all that follow are NaN.
    Returns (n,), the largest p so far: claim where it is at most alpha. Raises InputError outside [0, 1].
    Assumes that the order was fixed before the data were seen.
    Maurer, Hothorn & Lehmacher (1995) in Biometrie in der chemisch-pharmazeutischen Industrie 6:3-18; Dmitrienko &
    D'Agostino (2013) doi:10.1002/sim.5990. Checked against the closed test by hand in the tests.

    >>> fixed_sequence([0.01, 0.2, 0.03])
    array([0.01, 0.2 , 0.2 ])
    """
    values, _ = _p_values(p)
    return np.maximum.accumulate(values)  # NaN once met stays


def _p_values(p: ArrayLike) -> tuple[Floats, np.ndarray]:
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1:
        raise InputError("p", "an array of one dimension", f"shape {values.shape}")
    tested = ~np.isnan(values)
    outside = tested & ~((values >= 0) & (values <= 1))
    if outside.any():
        raise InputError("p", "p values between 0 and 1", f"{int(outside.sum())} outside", examples=values[outside][:5])
    return values, tested


def _placed(adjusted: Floats, tested: np.ndarray) -> Floats:
    full = np.full(tested.shape, np.nan)
    full[tested] = adjusted
    return full
