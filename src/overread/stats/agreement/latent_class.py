"""Truth and readers' errors estimated together from votes alone (Dawid & Skene)."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overread import codes
from overread.errors import InputError
from overread.stats.agreement.majority_vote import known_classes, vote_array
from overread.stats.arrays import Floats, check_word, group_codes

IMPOSSIBLE = -1e9  # stands for log 0: finite, so that it can be multiplied by a count of 0; exp of it is 0
INNER = 0.02  # how far an inner start is drawn from the shares of the votes towards equal ones


@dataclass(frozen=True, slots=True, eq=False)
class DawidSkene:
    """Posterior of every case and confusion of every reader, at the end of the EM iterations."""

    posterior: Floats  # (n_cases, n_classes); NaN where nobody voted
    prevalence: Floats  # (n_classes,)
    confusion: Floats  # (n_readers, n_classes, n_classes) true class, voted class; NaN where no case speaks for it
    expected_cases: Floats  # (n_readers, n_classes) votes of the reader on cases of each class, by posterior
    classes: Floats  # (n_classes,) class numbers in rising order
    readers: NDArray[Any]  # (n_readers,) labels in sorted order
    log_likelihood: float
    iterations: int
    converged: bool
    note: codes.Text

    @property
    def winner(self) -> Floats:
        """The likeliest class of each case, (n_cases,); NaN on a tie and where nobody voted."""
        if not self.classes.size:
            return np.full(len(self.posterior), nan)
        top = self.posterior.max(axis=1)
        winner = self.classes[self.posterior.argmax(axis=1)]
        return np.where((self.posterior == top[:, None]).sum(axis=1) == 1, winner, nan)

    @property
    def sensitivity(self) -> Floats:
        """Each reader's estimated chance to call a present case present, (n_readers,); two classes, present higher."""
        return self._rate(1)

    @property
    def specificity(self) -> Floats:
        """Each reader's estimated chance to call an absent case absent, (n_readers,); two classes, absent lower."""
        return self._rate(0)

    def _rate(self, k: int) -> Floats:
        if self.classes.size != 2:
            raise InputError(
                "sensitivity, specificity",
                "two classes",
                f"{self.classes.size}: {self.classes.tolist()}",
                do="Give classes=[0, 1], or read the diagonal of `confusion`.",
            )
        return np.asarray(self.confusion[:, k, k])


def dawid_skene(
    votes: ArrayLike,
    *,
    reader: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    start: str = "shares",
    tolerance: float = 1e-13,
    max_iterations: int = 20_000,
) -> DawidSkene:
    """The probability of each class for every case, and each reader's confusion matrix, from votes alone.

    Parameters: votes (n_cases, n_columns), whole class numbers, NaN = no vote; reader (n_columns,), whose votes a
    column holds, where a reader voted more than once on a case (each column another reader where not given); classes:
    all possible class numbers, those seen where not given; the iterations end when no posterior moves by `tolerance`;
    start "shares" (of the votes of a case, as in the paper) or "best": also from shares drawn a little towards each
    other, and the more likely of the two solutions. From the shares alone a rate of 0 or 1 can never move, and with few
    reads of a reader EM may end far below the best likelihood; the note says where the starts end apart.

    Returns a DawidSkene. No smoothing; `converged` False and a note where `max_iterations` were not enough. What a
    reader's votes cannot tell is NaN in `confusion`; the note says so, and where the model is not identified (fewer
    than three readers on every case) or a class seems to have changed places.
    Assumes that readers err independently given the class; cases that are hard for all of them break that, and bias
    posterior and confusion. Dawid & Skene (1979) doi:10.2307/2346806.
    Checked against an own EM, crowd-kit 1.4.2 and the published class shares of the paper's data.

    >>> d = dawid_skene([[1, 1, 1], [1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]])
    >>> d.posterior[:, 1].round(3).tolist(), d.sensitivity.round(3).tolist(), d.converged
    ([1.0, 1.0, 0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.667], True)
    """
    where = "dawid_skene"
    table = vote_array(votes, where=where)
    known = known_classes(table, classes, where=where)
    check_word(start, ("shares", "best"), where=where, name="start")
    if not (tolerance > 0 and max_iterations >= 1):
        raise InputError(where, "a tolerance above 0 and at least 1 iteration", f"{tolerance} and {max_iterations}")
    labels = np.arange(table.shape[1]) if reader is None else np.asarray(reader)
    reader_of_column, n_readers = group_codes(labels, table.shape[1], where=where, name="reader")
    tally = _tally(table, reader_of_column, n_readers, known)
    voted = tally.sum(axis=(1, 2)) > 0
    used = tally[voted]
    if not used.size or not known.size:
        return _nothing(len(table), known, np.unique(labels))
    fit, apart = _best(used, start, tolerance, max_iterations)
    posterior = np.full((len(table), known.size), nan)
    posterior[voted] = fit.posterior
    expected = np.einsum("ik,irv->rk", fit.posterior, used)
    confusion = np.where(expected[:, :, None] > 0, fit.confusion, nan)
    note = codes.notes(_notes(fit, used, expected, known, int((~voted).sum()), tolerance), apart)
    return DawidSkene(
        posterior,
        fit.prevalence,
        confusion,
        expected,
        known,
        np.unique(labels),
        fit.log_likelihood,
        fit.iterations,
        fit.converged,
        note,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    posterior: Floats  # (n_cases, q)
    prevalence: Floats  # (q,)
    confusion: Floats  # (n_readers, q, q), 0 where no case speaks for the row
    log_likelihood: float
    iterations: int
    converged: bool


def _tally(table: Floats, codes: NDArray[np.intp], n_readers: int, known: Floats) -> Floats:
    """How often each reader voted for each class on each case, (n_cases, n_readers, q)."""
    tally = np.zeros((len(table), n_readers, known.size))
    for column, reader in enumerate(codes):
        tally[:, reader] += table[:, column, None] == known
    return tally


def _best(tally: Floats, start: str, tolerance: float, max_iterations: int) -> tuple[_Fit, codes.Text]:
    """The fit from the shares, or the more likely of that and the one from inner shares; and what is to be said."""
    shares = tally.sum(axis=1) / tally.sum(axis=(1, 2))[:, None]
    first = _iterate(tally, shares, tolerance, max_iterations)
    if start == "shares":
        return first, codes.NONE
    inner = _iterate(tally, (1 - INNER) * shares + INNER / shares.shape[1], tolerance, max_iterations)
    gain = inner.log_likelihood - first.log_likelihood
    if abs(gain) < 1e-6 * max(1.0, abs(first.log_likelihood)):
        return first, codes.NONE
    best, other = (inner, first) if gain > 0 else (first, inner)
    return best, codes.note("start_dependent", likelihood=best.log_likelihood, other=other.log_likelihood)


def _iterate(tally: Floats, shares: Floats, tolerance: float, max_iterations: int) -> _Fit:
    n, n_readers, q = tally.shape
    flat = tally.reshape(n, n_readers * q)
    across = np.ascontiguousarray(flat.T)  # classes come first in what follows: sums over few rows are quick
    posterior = np.ascontiguousarray(shares.T)
    converged, iterations = False, 0
    while True:
        prevalence = posterior.mean(axis=1)
        votes = (posterior @ flat).reshape(q, n_readers, q)  # true class, reader, voted class
        rows = votes.sum(axis=2, keepdims=True)
        confusion = np.divide(votes, rows, out=np.zeros_like(votes), where=rows > 0)
        likelihood = _log(confusion.reshape(q, n_readers * q)) @ across + _log(prevalence)[:, None]
        top = likelihood.max(axis=0)
        np.exp(likelihood - top, out=likelihood)
        total = likelihood.sum(axis=0)
        if converged or iterations == max_iterations:
            break
        before, posterior = posterior, likelihood / total
        iterations += 1
        converged = bool(np.abs(posterior - before).max() < tolerance)
    log_likelihood = float((np.log(total) + top).sum())
    return _Fit(posterior.T, prevalence, confusion.transpose(1, 0, 2), log_likelihood, iterations, converged)


def _log(probability: Floats) -> Floats:
    return np.log(probability, out=np.full_like(probability, IMPOSSIBLE), where=probability > 0)


def _notes(fit: _Fit, tally: Floats, expected: Floats, known: Floats, unread: int, tolerance: float) -> codes.Text:
    notes = []
    if unread:
        notes.append(codes.note("cases_without_vote", n=unread))
    if not fit.converged:
        notes.append(codes.note("em_not_converged", iterations=fit.iterations, tolerance=tolerance))
    if known.size == 1:
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
    moved = tuple(f"{known[k]:g}" for k in range(known.size) if pooled[k].any() and pooled[k].argmax() != k)
    if moved:
        notes.append(codes.note("labels_switched", classes=moved))
    gone = tuple(f"{known[k]:g}" for k in range(known.size) if fit.prevalence[k] < 1e-6)
    if gone:
        notes.append(codes.note("empty_classes", classes=gone))
    return codes.notes(*notes)


def _nothing(n_cases: int, known: Floats, readers: NDArray[Any]) -> DawidSkene:
    q = known.size
    return DawidSkene(
        np.full((n_cases, q), nan),
        np.full(q, nan),
        np.full((readers.size, q, q), nan),
        np.zeros((readers.size, q)),
        known,
        readers,
        nan,
        0,
        False,
        codes.note("no_votes"),
    )
