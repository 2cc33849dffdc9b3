"""How cases were drawn (weights, patients, strata) and the linearised variance that follows from it.

Every estimate that is a smooth function of sums has an influence value per case. Summed per patient (the unit of
independence) these give the variance, whatever the statistic: the ratio estimator of a proportion, the sandwich of a
logistic fit and the delta method of F1 are all this one sum.
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
    """Weight (n_cases,) and patient (n_cases,) of each case, stratum of each patient; None where there are none."""

    n_cases: int
    n_patients: int  # n_cases where every case is its own patient
    weights: Floats | None
    patient: Codes | None  # (n_cases,) codes 0 … n_patients-1
    stratum: Codes | None  # (n_patients,) codes 0 … n_strata-1
    note: codes.Text = codes.NONE  # why there is no variance, or ""
    undrawn: Floats | None = None  # (n_strata,) or (1,), see `undrawn`; None = a sample of an endless population

    @property
    def simple(self) -> bool:
        """Whether cases are independent, equally weighted and unstratified."""
        return self.weights is None and self.patient is None and self.stratum is None

    @property
    def words(self) -> codes.Text:
        """How the variance is named in an estimate's method."""
        return codes.methods(
            codes.method("linearised"),
            codes.method("clustered_by_patient") if self.patient is not None else None,
            codes.method("weighted") if self.weights is not None else None,
            codes.method("strata") if self.stratum is not None else None,
            codes.method("finite_population") if self.undrawn is not None else None,
        )

    @property
    def census(self) -> bool:
        """Whether everyone of a finite population was drawn, so that nothing is uncertain."""
        return self.undrawn is not None and not self.undrawn.any()

    def weigh(self, values: NDArray[Any]) -> Floats:
        """Values times weights, as float64 (…, n_cases)."""
        number = np.asarray(values, dtype=np.float64)
        return number if self.weights is None else number * self.weights

    def sorted_by(self, order: Codes) -> Sampling:
        """The same cases in another order."""
        weights = None if self.weights is None else self.weights[order]
        if self.patient is not None:
            return replace(self, weights=weights, patient=self.patient[order])
        return replace(self, weights=weights, stratum=None if self.stratum is None else self.stratum[order])

    def totals(self, values: NDArray[Any]) -> Floats:
        """Weighted sums per patient: values (n_cases,) or (k, n_cases) -> (n_patients,) or (k, n_patients)."""
        weighted = self.weigh(values)
        if self.patient is None:
            return weighted
        if weighted.ndim == 1:
            return np.asarray(np.bincount(self.patient, weighted, minlength=self.n_patients), dtype=np.float64)
        return np.stack([np.bincount(self.patient, row, minlength=self.n_patients) for row in weighted])

    def variance(self, totals: Floats, n_involved: int) -> float:
        """Variance of an estimate from its influence values summed per patient (n_patients,).

        n_involved counts the patients who contribute to the estimate; with m of them the factor is m / (m - 1), so that
        a rate among few patients is not called precise because many others were sampled beside it.
        """
        return float(self.variances(totals[None, :], n_involved)[0])

    def variances(self, totals: Floats, n_involved: int) -> Floats:
        """Variance (k,) of each of k estimates from their influence values summed per patient (k, n_patients)."""
        if n_involved < 2 or self.note:
            return np.full(len(totals), nan)
        deviation, scale = self._deviation(totals)
        return self._small(n_involved) * np.einsum("kp,kp->k", deviation * scale, deviation)

    def covariance(self, totals: Floats, n_involved: int) -> Floats:
        """Covariance (k, k) of k estimates from their influence values summed per patient (k, n_patients)."""
        if n_involved < 2 or self.note:
            return np.full((len(totals), len(totals)), nan)
        deviation, scale = self._deviation(totals)
        return self._small(n_involved) * np.einsum("ip,jp->ij", deviation * scale, deviation)

    def _deviation(self, totals: Floats) -> tuple[Floats, Floats | float]:
        """Totals less their stratum's mean, and n_h / (n_h - 1) per patient; without strata the mean is 0 already."""
        if self.stratum is None:
            return totals, 1.0 if self.undrawn is None else float(self.undrawn[0])
        size = np.bincount(self.stratum)
        mean = np.array([np.bincount(self.stratum, row) for row in totals]) / size
        scale = size / np.maximum(size - 1, 1) * (1.0 if self.undrawn is None else self.undrawn)
        return totals - mean[:, self.stratum], scale[self.stratum]

    def _small(self, n_involved: int) -> float:
        small = n_involved / (n_involved - 1)  # one stratum gives what no strata give
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
    """How cases were drawn.

    Parameters: cluster (n_cases,), the patient of each case (whole numbers are quickest, any sortable values do);
    weights (n_cases,), inverse inclusion probabilities; strata (n_cases,), what the patients were drawn within;
    finite: the estimate is about the population that was drawn from, no larger one, see `undrawn`.
    Raises InputError for other lengths, missing values, weights that are not above 0 and a patient in two strata.
    Binder (1983) doi:10.2307/1402588.

    >>> sampling(3, where="rate", cluster=["a", "b", "a"]).totals(np.array([1.0, 2.0, 3.0]))
    array([4., 2.])
    """
    patient, n_patients = (None, n_cases) if cluster is None else group_codes(cluster, n_cases, where=where)
    given = None if weights is None else weight_array(weights, n_cases, where=where)
    if strata is None or not n_cases:
        left = undrawn(given, np.zeros(n_cases, np.intp), where=where) if finite else None
        return Sampling(n_cases, n_patients, given, patient, None, undrawn=left)
    stratum, n_strata = group_codes(strata, n_cases, where=where, name="strata")
    left = undrawn(given, stratum, where=where) if finite else None
    if patient is not None:
        first = np.empty(n_patients, dtype=np.intp)
        first[patient] = stratum
        split = int(np.unique(patient[first[patient] != stratum]).size)
        if split:
            raise InputError(f"{where}: strata", "every patient in one stratum", f"{split} patients in several strata")
        stratum = first
    alone = int(((np.bincount(stratum, minlength=n_strata) == 1) & (True if left is None else left > 0)).sum())
    note = codes.note("single_patient_strata", n=alone) if alone else codes.NONE
    return Sampling(n_cases, n_patients, given, patient, stratum, note, left)


def undrawn(weights: Floats | None, stratum: Codes, *, where: str) -> Floats:
    """The share of each stratum that was not drawn, 1 - n_h / N_h, (n_strata,): the finite-population correction.

    N_h is the sum of the weights in the stratum. The variance within a stratum drawn without replacement is this much
    of what it is for an endless population; a stratum taken whole adds none. Cochran 1977, Sampling Techniques, 2.8,
    5.6 (theorem 5.3). Raises InputError without weights, or where they sum to less than the cases.

    >>> undrawn(np.array([1.0, 1.0, 4.0, 4.0]), np.array([0, 0, 1, 1]), where="auc").tolist()
    [0.0, 0.75]
    """
    if weights is None:
        raise InputError(f"{where}: finite", "weights, which sum to the population", "none")
    total, drawn = np.bincount(stratum, weights), np.bincount(stratum)
    left = 1 - drawn / np.where(drawn > 0, total, 1.0)
    if (left < -1e-9).any():
        found = f"{int((left < -1e-9).sum())} strata whose weights sum to less"
        raise InputError(
            f"{where}: finite",
            "weights that sum to the cases of a stratum at least",
            found,
            do="Give the inverse of each one's probability of inclusion.",
        )
    return np.where(left < 1e-12, 0.0, left)


def involved(totals: Floats) -> int:
    """Number of patients who contribute: those whose total (n_patients,) is not 0."""
    return int(np.count_nonzero(totals))


def everyone(n_cases: int) -> Bools:
    """True for every case (n_cases,)."""
    return np.ones(n_cases, dtype=bool)
