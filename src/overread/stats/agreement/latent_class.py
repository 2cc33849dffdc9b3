"""Latent class analysis of Dawid and Skene: class of each case and error rates of each reader from votes alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overread import codes
from overread.errors import InputError
from overread.stats.agreement.expectation_maximisation import (
    LIKELY,
    PseudoCounts,
    Solution,
    patterns_of,
    search,
)
from overread.stats.agreement.identification import find_reasons
from overread.stats.agreement.majority_vote import known_classes, vote_array
from overread.stats.arrays import Bools, Floats, check_word, group_codes
from overread.stats.result_text import described


@dataclass(frozen=True, slots=True)
class RatePrior:
    """Beta priors of two classes: parameters (a, b) of each sensitivity, each specificity, and the prevalence.

    Attributes
    ----------
    sensitivity, specificity : (float, float)
        Parameters of at least 1 of the prior of every reader; (1, 1) is uniform, (9, 2) has its mode at 8/9 and the
        weight of nine cases.
    prevalence : (float, float)
        Parameters of the prior of the prevalence.

    Raises
    ------
    InputError
        If a parameter is below 1 or not finite: the posterior may then have no maximum inside.

    Notes
    -----
    `dawid_skene` takes it as `prior`.

    Examples
    --------
    >>> RatePrior(sensitivity=(4, 2)).specificity
    (1.0, 1.0)
    """

    sensitivity: tuple[float, float] = (1.0, 1.0)
    specificity: tuple[float, float] = (1.0, 1.0)
    prevalence: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        for name in ("sensitivity", "specificity", "prevalence"):
            given = np.asarray(getattr(self, name), dtype=np.float64)
            if given.shape != (2,) or not np.isfinite(given).all() or (given < 1).any():
                raise InputError(f"RatePrior: {name}", "two finite numbers of at least 1", f"{getattr(self, name)}")

    def pseudo_counts(self) -> PseudoCounts:
        """Counts that the prior adds in each M step.

        Returns
        -------
        PseudoCounts
            Of true classes and of votes by true class, absent first.
        """
        (se, miss), (sp, alarm), (present, absent) = self.sensitivity, self.specificity, self.prevalence
        votes = np.array([[sp, alarm], [miss, se]], dtype=np.float64) - 1
        return PseudoCounts(np.array([absent, present], dtype=np.float64) - 1, votes)


@dataclass(frozen=True, slots=True, eq=False)
class DawidSkene:
    """Result of the latent class analysis of Dawid and Skene.

    Attributes
    ----------
    posterior : ndarray of float64, shape (n_cases, n_classes)
        Posterior probability of each class; NaN for a case without a vote.
    prevalence : ndarray of float64, shape (n_classes,)
        Estimated prevalence of each class.
    confusion : ndarray of float64, shape (n_readers, n_classes, n_classes)
        Probability of each vote (last axis) for each true class; NaN where no case is informative.
    expected_cases : ndarray of float64, shape (n_readers, n_classes)
        Expected number of votes of each reader on cases of each class.
    classes : ndarray of float64, shape (n_classes,)
        Class numbers in increasing order.
    readers : ndarray, shape (n_readers,)
        Reader labels in sorted order.
    log_likelihood : float
        Maximised log likelihood.
    iterations : int
        Number of EM iterations.
    converged : bool
        Whether the posterior changed by less than the tolerance, and no other start gave a clearly larger likelihood
        (by 3 log units, a likelihood ratio of 20).
    reasons : str
        Why the votes do not identify the model, or "". The estimates are then not to be used.
    note : str
        Notes on identification and convergence, or "".

    Notes
    -----
    `dawid_skene` returns this result.
    """

    __repr__ = described

    posterior: Floats  # (n_cases, n_classes); NaN where nobody voted
    prevalence: Floats  # (n_classes,)
    confusion: Floats  # (n_readers, n_classes, n_classes) true class, voted class; NaN where no case speaks for it
    expected_cases: Floats  # (n_readers, n_classes) votes of the reader on cases of each class, by posterior
    classes: Floats  # (n_classes,) class numbers in rising order
    readers: NDArray[Any]  # (n_readers,) labels in sorted order
    log_likelihood: float
    iterations: int
    converged: bool
    reasons: codes.Text
    note: codes.Text

    @property
    def identified(self) -> bool:
        """Whether the votes identify the model: there is no reason against it."""
        return not self.reasons

    @property
    def winner(self) -> Floats:
        """Most probable class of each case, (n_cases,); NaN for ties and cases without a vote."""
        if not self.classes.size:
            return np.full(len(self.posterior), nan)
        top = self.posterior.max(axis=1)
        winner = self.classes[self.posterior.argmax(axis=1)]
        return np.where((self.posterior == top[:, None]).sum(axis=1) == 1, winner, nan)

    @property
    def sensitivity(self) -> Floats:
        """Estimated sensitivity of each reader, (n_readers,), for two classes of which the higher is "present"."""
        return self._rate(1)

    @property
    def specificity(self) -> Floats:
        """Estimated specificity of each reader, (n_readers,), for two classes of which the lower is "absent"."""
        return self._rate(0)

    def _rate(self, k: int) -> Floats:
        """Diagonal element k of the confusion matrices of two classes."""
        if self.classes.size != 2:
            raise InputError(
                "sensitivity, specificity",
                "two classes",
                f"{self.classes.size}: {self.classes.tolist()}",
                do="Pass classes=[0, 1], or use the diagonal of `confusion`.",
            )
        return np.asarray(self.confusion[:, k, k])


def dawid_skene(
    votes: ArrayLike,
    *,
    reader: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    start: str = "shares",
    prior: RatePrior | None = None,
    tolerance: float = 1e-13,
    max_iterations: int = 20_000,
) -> DawidSkene:
    """Class probabilities of every case and confusion matrix of every reader from votes alone (Dawid and Skene).

    Parameters
    ----------
    votes : array_like of float, shape (n_cases, n_columns)
        Class numbers; NaN = no vote.
    reader : array_like, shape (n_columns,), optional
        Reader of each column, if a reader voted more than once on a case. By default each column is a reader.
    classes : array_like, optional
        All possible class numbers; by default those that occur.
    start : {"shares", "best"}, default "shares"
        Initial posterior: vote proportions of each case, as in the paper, or the better of the solutions from these and
        from proportions shrunk slightly towards equality.
    prior : RatePrior, optional
        Beta priors of two classes; the result is then the posterior mode (MAP). By default there is none.
    tolerance : float, default 1e-13
        The iterations end when no posterior probability changes by this amount.
    max_iterations : int, default 20000
        Largest number of EM iterations.

    Returns
    -------
    DawidSkene
        Posterior, prevalence and confusion matrices, without smoothing. The note reports missing convergence, a model
        that is not identified (fewer than three readers for every case), and classes that may have switched.

    Raises
    ------
    InputError
        If a vote is not a whole class number, or an option is invalid.

    Notes
    -----
    From vote proportions, a rate of 0 or 1 never changes, and with few reads per reader the EM algorithm may end far
    below the largest likelihood; with `start` "best" the note reports different solutions. Readers are assumed to err
    independently given the class; cases that are difficult for all readers violate this and bias posterior and
    confusion. Checked against an independent EM implementation, crowd-kit 1.4.2 and the published class proportions of
    the paper's data.

    References
    ----------
    * Dawid AP, Skene AM (1979). Maximum likelihood estimation of observer error-rates using the EM algorithm. Applied
      Statistics 28:20-28. doi:10.2307/2346806

    Examples
    --------
    >>> d = dawid_skene([[1, 1, 1], [1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]])
    >>> d.posterior[:, 1].round(3).tolist(), d.sensitivity.round(3).tolist(), d.converged
    ([1.0, 1.0, 0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.667], True)
    """
    where = "dawid_skene"
    table = vote_array(votes, where=where)
    class_numbers = known_classes(table, classes, where=where)
    check_word(start, ("shares", "best"), where=where, name="start")
    if not (tolerance > 0 and max_iterations >= 1):
        raise InputError(where, "a tolerance above 0 and at least 1 iteration", f"{tolerance} and {max_iterations}")
    if prior is not None and class_numbers.size != 2:
        found = f"{class_numbers.size}: {class_numbers.tolist()}"
        raise InputError(f"{where}: prior", "two classes", found, do="Pass classes=[0, 1].")
    labels = np.arange(table.shape[1]) if reader is None else np.asarray(reader)
    reader_of_column, n_readers = group_codes(labels, table.shape[1], where=where, name="reader")
    tally = _tally(table, reader_of_column, n_readers, class_numbers)
    has_vote = tally.sum(axis=(1, 2)) > 0
    if not has_vote.any() or not class_numbers.size:
        return _nothing(len(table), class_numbers, np.unique(labels))
    return _solved(tally, has_vote, class_numbers, np.unique(labels), (start, prior, tolerance, max_iterations))


def _solved(
    tally: Floats,
    has_vote: Bools,
    class_numbers: Floats,
    readers: NDArray[Any],
    options: tuple[str, RatePrior | None, float, int],
) -> DawidSkene:
    """Search the solution, examine whether it is identified, and return it by case."""
    start, prior, tolerance, max_iterations = options
    informative = tally[has_vote]
    votes = patterns_of(informative, None if prior is None else prior.pseudo_counts())
    found = search(votes, start, tolerance, max_iterations)
    fit = found.first if start == "shares" else found.best
    trapped = found.best.objective - fit.objective > LIKELY
    posterior = np.full((len(tally), class_numbers.size), nan)
    by_case = fit.posterior if votes.weight is None else fit.posterior[votes.case]
    posterior[has_vote] = by_case
    expected = np.einsum("ik,irv->rk", by_case, informative)
    reasons = find_reasons(votes, found, readers)
    notes = codes.notes(
        _notes(fit, informative, expected, class_numbers, int((~has_vote).sum()), tolerance),
        _starts(found.first, found.best),
        codes.note("map_estimate") if prior is not None else None,
    )
    return DawidSkene(
        posterior,
        fit.prevalence,
        np.where(expected[:, :, None] > 0, fit.confusion, nan),
        expected,
        class_numbers,
        readers,
        fit.log_likelihood,
        fit.iterations,
        fit.converged and not trapped,
        reasons,
        codes.notes(notes, reasons),
    )


def _starts(first: Solution, best: Solution) -> codes.Text | None:
    """Log likelihoods from vote proportions and from the best start, if they differ."""
    if best is first:
        return None
    return codes.note("start_dependent", likelihood=best.log_likelihood, other=first.log_likelihood)


def _tally(table: Floats, codes: NDArray[np.intp], n_readers: int, class_numbers: Floats) -> Floats:
    """Number of votes of each reader for each class on each case, (n_cases, n_readers, q)."""
    tally = np.zeros((len(table), n_readers, class_numbers.size))
    for column, reader in enumerate(codes):
        tally[:, reader] += table[:, column, None] == class_numbers
    return tally


def _notes(
    fit: Solution, tally: Floats, expected: Floats, class_numbers: Floats, unread: int, tolerance: float
) -> codes.Text:
    """Notes on identification, convergence and readers with little data."""
    notes = []
    if unread:
        notes.append(codes.note("cases_without_vote", n=unread))
    if not fit.converged:
        notes.append(codes.note("em_not_converged", iterations=fit.iterations, tolerance=tolerance))
    if class_numbers.size == 1:
        notes.append(codes.note("single_class"))
        return codes.notes(*notes)
    readers = (tally.sum(axis=2) > 0).sum(axis=1)
    if readers.max() < 3:
        notes.append(codes.note("not_identified"))
    silent = int((expected.sum(axis=1) == 0).sum())
    if silent:
        notes.append(codes.note("readers_without_vote", n=silent))
    thin = int(((expected < 1).any(axis=1) & (expected.sum(axis=1) > 0)).sum())
    if thin:
        notes.append(codes.note("thin_readers", n=thin))
    pooled = np.einsum("rk,rkv->kv", expected, fit.confusion)
    switched = tuple(
        f"{class_numbers[k]:g}" for k in range(class_numbers.size) if pooled[k].any() and pooled[k].argmax() != k
    )
    # Of two classes a sensitivity below one half is no sign of it (subtle findings), but one below the false positive
    # rate is: see the readers whose labels are switched among the reasons.
    if switched and class_numbers.size > 2:
        notes.append(codes.note("labels_switched", classes=switched))
    empty = tuple(f"{class_numbers[k]:g}" for k in range(class_numbers.size) if fit.prevalence[k] < 1e-6)
    if empty:
        notes.append(codes.note("empty_classes", classes=empty))
    return codes.notes(*notes)


def _nothing(n_cases: int, class_numbers: Floats, readers: NDArray[Any]) -> DawidSkene:
    """Result without votes."""
    q = class_numbers.size
    return DawidSkene(
        np.full((n_cases, q), nan),
        np.full(q, nan),
        np.full((readers.size, q, q), nan),
        np.zeros((readers.size, q)),
        class_numbers,
        readers,
        nan,
        0,
        False,
        codes.note("no_votes"),
        codes.note("no_votes"),
    )
