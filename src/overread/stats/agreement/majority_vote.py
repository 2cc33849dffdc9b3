"""Majority vote on every case, with ties and abstentions."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Floats
from overread.stats.result_text import described

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Majority:
    """Votes of each case counted by class.

    Attributes
    ----------
    winner : ndarray of float64, shape (n_cases,)
        Class with the most votes; NaN for ties and cases without a vote.
    posterior : ndarray of float64, shape (n_cases, n_classes)
        Proportion of the votes; NaN for cases without a vote.
    counts : ndarray of int64, shape (n_cases, n_classes)
        Number of votes.
    classes : ndarray of float64, shape (n_classes,)
        Class numbers in increasing order.
    tied : ndarray of bool, shape (n_cases,)
        Whether two or more classes have the most votes.
    abstentions : ndarray of int64, shape (n_cases,)
        Number of missing votes.
    note : str
        Numbers of ties and of cases without a vote, or "".

    Notes
    -----
    `majority` returns this result.
    """

    __repr__ = described

    winner: Floats  # (n_cases,) class number; NaN on a tie and where nobody voted
    posterior: Floats  # (n_cases, n_classes) share of the votes; NaN where nobody voted
    counts: Numbers  # (n_cases, n_classes)
    classes: Floats  # (n_classes,) class numbers in rising order
    tied: Bools  # (n_cases,) two or more classes lead
    abstentions: Numbers  # (n_cases,) votes that were not given
    note: codes.Text

    @property
    def n_votes(self) -> Numbers:
        """Number of votes on each case, (n_cases,)."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def share(self) -> Floats:
        """Proportion of votes for the class with the most votes, (n_cases,); NaN for cases without a vote."""
        return np.asarray(self.posterior.max(axis=1)) if self.classes.size else np.full(len(self.winner), nan)

    @property
    def strict(self) -> Bools:
        """Whether more than half of the votes are for one class, (n_cases,)."""
        return np.asarray(self.share > 0.5)


def majority(votes: ArrayLike, *, classes: ArrayLike | None = None) -> Majority:
    """Majority vote on every case; ties are not broken.

    Parameters
    ----------
    votes : array_like of float, shape (n_cases, n_readers)
        Class numbers; NaN = no vote.
    classes : array_like, optional
        All possible class numbers; by default those that occur.

    Returns
    -------
    Majority
        Winner, vote proportions and counts; the note counts ties and cases without a vote, whose winner is NaN.

    Raises
    ------
    InputError
        If a vote is not a whole class number or not among `classes`.

    Notes
    -----
    All readers have the same weight; `dawid_skene` weights them by their estimated accuracy.

    Examples
    --------
    >>> m = majority([[1, 1, 0], [0, 1, np.nan], [np.nan, np.nan, np.nan]])
    >>> m.winner.tolist(), m.note
    ([1.0, nan, nan], '1 case tied; 1 case without a vote')
    """
    table = vote_array(votes, where="majority")
    class_numbers = known_classes(table, classes, where="majority")
    counts = (
        np.stack([(table == c).sum(axis=1) for c in class_numbers], axis=1) if class_numbers.size else _none(len(table))
    )
    n_votes = counts.sum(axis=1)
    leading = counts.max(axis=1) if class_numbers.size else n_votes
    tied = (counts == leading[:, None]).sum(axis=1) > 1
    tied &= n_votes > 0
    winner = np.full(len(table), nan)
    clear = (n_votes > 0) & ~tied
    if class_numbers.size:
        winner[clear] = class_numbers[counts[clear].argmax(axis=1)]
    posterior = np.full(counts.shape, nan)
    posterior[n_votes > 0] = counts[n_votes > 0] / n_votes[n_votes > 0, None]
    note = codes.notes(
        codes.note("tied_votes", n=int(tied.sum())) if tied.any() else None,
        codes.note("cases_without_vote", n=int((n_votes == 0).sum())) if not n_votes.all() else None,
    )
    return Majority(winner, posterior, counts, class_numbers, tied, table.shape[1] - n_votes, note)


def vote_array(votes: ArrayLike, *, where: str) -> Floats:
    """Validated votes as float64 (n_cases, n_columns), whole numbers or NaN.

    Examples
    --------
    >>> vote_array([[1, None]], where="majority").tolist()
    [[1.0, nan]]
    """
    array: NDArray[Any] = np.asarray(votes)
    if array.ndim != 2:
        raise InputError(f"{where}: votes", "an array (n_cases, n_readers), NaN = no vote", f"shape {array.shape}")
    try:
        table = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: votes", "class numbers such as 0 and 1", str(error)) from error
    with np.errstate(invalid="ignore"):
        wrong = np.argwhere(~np.isnan(table) & (table != np.round(table)) | np.isinf(table))
    if len(wrong):
        shown = [f"case {i}, column {j}: {table[i, j]}" for i, j in wrong[:5]]
        do = "Convert scores to calls first."
        raise InputError(f"{where}: votes", "whole class numbers", f"{len(wrong)} other values", examples=shown, do=do)
    return table


def known_classes(table: Floats, classes: ArrayLike | None, *, where: str) -> Floats:
    """Class numbers in increasing order: those given, which must include all votes, or those that occur."""
    observed = np.unique(table[~np.isnan(table)])
    if classes is None:
        return observed
    class_numbers = np.unique(np.asarray(classes, dtype=np.float64))
    unknown = np.setdiff1d(observed, class_numbers)
    if unknown.size:
        shown = [f"{c:g}" for c in unknown[:5]]
        raise InputError(
            f"{where}: votes",
            f"votes for the classes {class_numbers.tolist()}",
            "votes for other classes",
            examples=shown,
        )
    return class_numbers


def _none(n_cases: int) -> Numbers:
    """Empty table of counts."""
    return np.zeros((n_cases, 0), dtype=np.int64)
