"""P values adjusted for multiple tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from overread.errors import InputError
from overread.stats.arrays import Floats


def holm(p: ArrayLike) -> Floats:
    """Holm's adjustment of p values, which controls the family-wise error rate under any dependence.

    Parameters
    ----------
    p : array_like of float, shape (n,)
        P values; NaN = not tested.

    Returns
    -------
    ndarray of float64, shape (n,)
        Adjusted p values, at most 1, in the given order. NaN stays NaN and does not count as a test.

    Raises
    ------
    InputError
        If a p value is outside [0, 1].

    Notes
    -----
    Step-down procedure; a hypothesis is rejected at level alpha if its adjusted p value is at most alpha. Holm S
    (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6:65-70,
    https://www.jstor.org/stable/4615733 (no DOI). Checked against R 4.2.2, `p.adjust`.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    values, tested = _p_values(p)
    order, m = np.argsort(values[tested], kind="stable"), int(tested.sum())
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.maximum.accumulate((m - np.arange(m)) * values[tested][order]), 1.0)
    return _with_untested(adjusted, tested)


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Benjamini-Hochberg adjustment of p values, which controls the false discovery rate.

    Parameters
    ----------
    p : array_like of float, shape (n,)
        P values; NaN = not tested.

    Returns
    -------
    ndarray of float64, shape (n,)
        Adjusted p values, at most 1, in the given order. NaN stays NaN and does not count as a test.

    Raises
    ------
    InputError
        If a p value is outside [0, 1].

    Notes
    -----
    Tests are assumed to be independent or positively dependent. Checked against R 4.2.2, `p.adjust`.

    References
    ----------
    * Benjamini Y, Hochberg Y (1995). Controlling the false discovery rate: a practical and powerful approach to
      multiple testing. Journal of the Royal Statistical Society Series B 57:289-300.
      doi:10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    array([0.03, 0.04, 0.04])
    """
    values, tested = _p_values(p)
    order, m = np.argsort(-values[tested], kind="stable"), int(tested.sum())
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.minimum.accumulate(m / (m - np.arange(m)) * values[tested][order]), 1.0)
    return _with_untested(adjusted, tested)


def fixed_sequence(p: ArrayLike) -> Floats:
    """Fixed-sequence adjustment of p values: hypotheses are tested in a prespecified order until one is not rejected.

    Parameters
    ----------
    p : array_like of float, shape (n,)
        P values in the prespecified order; NaN = not tested.

    Returns
    -------
    ndarray of float64, shape (n,)
        Largest p value so far. All values after a NaN are NaN, because nothing can be claimed then.

    Raises
    ------
    InputError
        If a p value is outside [0, 1].

    Notes
    -----
    Controls the family-wise error rate if the order was fixed before the data were analysed. Maurer W, Hothorn LA,
    Lehmacher W (1995), in Biometrie in der chemisch-pharmazeutischen Industrie 6:3-18. Checked against the closed test
    procedure.

    References
    ----------
    * Dmitrienko A, D'Agostino R (2013). Traditional multiplicity adjustment methods in clinical trials. Statistics in
      Medicine 32:5172-5218. doi:10.1002/sim.5990

    Examples
    --------
    >>> fixed_sequence([0.01, 0.2, 0.03])
    array([0.01, 0.2 , 0.2 ])
    """
    values, _ = _p_values(p)
    return np.maximum.accumulate(values)  # NaN propagates


def _p_values(p: ArrayLike) -> tuple[Floats, np.ndarray]:
    """Validated p values and mask of those tested."""
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1:
        raise InputError("p", "an array of one dimension", f"shape {values.shape}")
    tested = ~np.isnan(values)
    outside = tested & ~((values >= 0) & (values <= 1))
    if outside.any():
        raise InputError("p", "p values between 0 and 1", f"{int(outside.sum())} outside", examples=values[outside][:5])
    return values, tested


def _with_untested(adjusted: Floats, tested: np.ndarray) -> Floats:
    """Adjusted p values at their positions, NaN elsewhere."""
    full = np.full(tested.shape, np.nan)
    full[tested] = adjusted
    return full
