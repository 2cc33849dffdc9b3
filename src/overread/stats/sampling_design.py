"""Sampling design of the cases (weights, patients, strata) and linearised variance.

Every estimate that is a smooth function of sums has an influence value for each case. Sums of influence values by
patient, the unit of independence, give the variance. The ratio estimator of a proportion, the sandwich estimator of a
logistic regression and the delta method of F1 are special cases.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Codes, Floats, group_codes, weight_array


@dataclass(frozen=True, slots=True, eq=False)
class Sampling:
    """Weight and patient of each case (n_cases,) and stratum of each patient; None if not used."""

    n_cases: int
    n_patients: int  # n_cases where every case is its own patient
    weights: Floats | None
    patient: Codes | None  # (n_cases,) codes 0 … n_patients-1
    stratum: Codes | None  # (n_patients,) codes 0 … n_strata-1
    note: codes.Text = codes.NONE  # reason why there is no variance, or ""
    undrawn: Floats | None = None  # (n_strata,) or (1,), see `undrawn`; None = sample of an infinite population

    @property
    def simple(self) -> bool:
        """Whether cases are independent, equally weighted and unstratified."""
        return self.weights is None and self.patient is None and self.stratum is None

    @property
    def words(self) -> codes.Text:
        """Name of the variance estimator, for the method of an estimate."""
        return codes.methods(
            codes.method("linearised"),
            codes.method("clustered_by_patient") if self.patient is not None else None,
            codes.method("weighted") if self.weights is not None else None,
            codes.method("strata") if self.stratum is not None else None,
            codes.method("finite_population") if self.undrawn is not None else None,
        )

    @property
    def census(self) -> bool:
        """Whether the whole finite population was sampled, so that there is no sampling error."""
        return self.undrawn is not None and not self.undrawn.any()

    def weigh(self, values: NDArray[Any]) -> Floats:
        """Values times weights, as float64 (..., n_cases)."""
        number = np.asarray(values, dtype=np.float64)
        return number if self.weights is None else number * self.weights

    def sorted_by(self, order: Codes) -> Sampling:
        """The same cases in another order."""
        weights = None if self.weights is None else self.weights[order]
        if self.patient is not None:
            return replace(self, weights=weights, patient=self.patient[order])
        return replace(self, weights=weights, stratum=None if self.stratum is None else self.stratum[order])

    def totals(self, values: NDArray[Any]) -> Floats:
        """Weighted sums by patient: (n_cases,) or (k, n_cases) -> (n_patients,) or (k, n_patients)."""
        weighted = self.weigh(values)
        if self.patient is None:
            return weighted
        if weighted.ndim == 1:
            return np.asarray(np.bincount(self.patient, weighted, minlength=self.n_patients), dtype=np.float64)
        return np.stack([np.bincount(self.patient, row, minlength=self.n_patients) for row in weighted])

    def variance(self, totals: Floats, n_involved: int) -> float:
        """Variance of an estimate from its influence values summed by patient (n_patients,).

        With m = `n_involved` patients who contribute to the estimate, the factor is m / (m - 1), so that a rate among
        few patients does not gain precision from other patients in the sample.
        """
        return float(self.variances(totals[None, :], n_involved)[0])

    def variances(self, totals: Floats, n_involved: int) -> Floats:
        """Variances (k,) of k estimates from their influence values summed by patient (k, n_patients)."""
        if n_involved < 2 or self.note:
            return np.full(len(totals), nan)
        deviation, scale = self._deviation(totals)
        variances: Floats = self._small(n_involved) * np.einsum("kp,kp->k", deviation * scale, deviation)
        return variances

    def covariance(self, totals: Floats, n_involved: int) -> Floats:
        """Covariance matrix (k, k) of k estimates from their influence values summed by patient (k, n_patients)."""
        if n_involved < 2 or self.note:
            return np.full((len(totals), len(totals)), nan)
        deviation, scale = self._deviation(totals)
        covariance: Floats = self._small(n_involved) * np.einsum("ip,jp->ij", deviation * scale, deviation)
        return covariance

    def _deviation(self, totals: Floats) -> tuple[Floats, Floats | float]:
        """Totals minus the mean of their stratum, and n_h / (n_h - 1) of each patient; without strata the mean is 0."""
        if self.stratum is None:
            return totals, 1.0 if self.undrawn is None else float(self.undrawn[0])
        size = np.bincount(self.stratum)
        mean = np.array([np.bincount(self.stratum, row) for row in totals]) / size
        scale = size / np.maximum(size - 1, 1) * (1.0 if self.undrawn is None else self.undrawn)
        return totals - mean[:, self.stratum], scale[self.stratum]

    def _small(self, n_involved: int) -> float:
        """Small-sample factor."""
        small = n_involved / (n_involved - 1)  # one stratum gives the same result as no strata
        return small if self.stratum is None else small * (self.n_patients - 1) / self.n_patients


def sampling(
    n_cases: int,
    *,
    where: str,
    cluster: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    finite: bool = False,
) -> Sampling:
    """Validated sampling design.

    Binder DA (1983), International Statistical Review 51:279-292, doi:10.2307/1402588.

    Parameters
    ----------
    n_cases : int
        Number of cases.
    where : str
        Name of the calling function, used in error messages.
    cluster : array_like, shape (n_cases,), optional
        Patient identifier of each case. By default every case is treated as an independent patient.
    weights : array_like of float, shape (n_cases,), optional
        Inverse inclusion probabilities. By default every case has weight 1.
    strata : array_like, shape (n_cases,), optional
        Sampling stratum of each case; all cases of a patient must be in one stratum.
    finite : bool, default False
        Whether to apply the finite-population correction 1 - n_h/N_h to the variance of each stratum h, where N_h is
        the sum of the weights of the stratum.

    Returns
    -------
    Sampling
        The design.

    Raises
    ------
    InputError
        If an array has another length or missing values, a weight is not above 0, or a patient is in several strata.

    Examples
    --------
    >>> sampling(3, where="rate", cluster=["a", "b", "a"]).totals(np.array([1.0, 2.0, 3.0]))
    array([4., 2.])
    """
    patient, n_patients = (None, n_cases) if cluster is None else group_codes(cluster, n_cases, where=where)
    weight = None if weights is None else weight_array(weights, n_cases, where=where)
    if strata is None or not n_cases:
        share_undrawn = undrawn(weight, np.zeros(n_cases, np.intp), where=where) if finite else None
        return Sampling(n_cases, n_patients, weight, patient, None, undrawn=share_undrawn)
    stratum, n_strata = group_codes(strata, n_cases, where=where, name="strata")
    share_undrawn = undrawn(weight, stratum, where=where) if finite else None
    if patient is not None:
        first = np.empty(n_patients, dtype=np.intp)
        first[patient] = stratum
        split = int(np.unique(patient[first[patient] != stratum]).size)
        if split:
            raise InputError(
                f"{where}: strata",
                "every patient in one stratum",
                f"{split} patients in several strata",
                do="Assign all cases of a patient to one stratum.",
            )
        stratum = first
    alone = int(
        ((np.bincount(stratum, minlength=n_strata) == 1) & (True if share_undrawn is None else share_undrawn > 0)).sum()
    )
    note = codes.note("single_patient_strata", n=alone) if alone else codes.NONE
    return Sampling(n_cases, n_patients, weight, patient, stratum, note, share_undrawn)


def undrawn(weights: Floats | None, stratum: Codes, *, where: str) -> Floats:
    """Finite-population correction of each stratum: the proportion that was not sampled, 1 - n_h / N_h, (n_strata,).

    N_h is the sum of the weights in the stratum. The variance within a stratum sampled without replacement is
    multiplied by this factor; a completely sampled stratum contributes no variance. Cochran WG (1977), Sampling
    Techniques, 3rd edition, sections 2.8 and 5.6 (theorem 5.3).

    Examples
    --------
    >>> undrawn(np.array([1.0, 1.0, 4.0, 4.0]), np.array([0, 0, 1, 1]), where="auc").tolist()
    [0.0, 0.75]
    """
    if weights is None:
        raise InputError(f"{where}: finite", "weights, which sum to the population", "none")
    total, n_sampled = np.bincount(stratum, weights), np.bincount(stratum)
    share = 1 - n_sampled / np.where(n_sampled > 0, total, 1.0)
    if (share < -1e-9).any():
        found = f"{int((share < -1e-9).sum())} strata whose weights sum to less"
        raise InputError(
            f"{where}: finite",
            "weights that sum to the cases of a stratum at least",
            found,
            do="Use the inverse of the inclusion probability as weight.",
        )
    return np.where(share < 1e-12, 0.0, share)


def involved(totals: Floats) -> int:
    """Number of patients who contribute: those whose total (n_patients,) is not 0."""
    return int(np.count_nonzero(totals))


def everyone(n_cases: int) -> Bools:
    """True for every case, (n_cases,)."""
    return np.ones(n_cases, dtype=bool)
