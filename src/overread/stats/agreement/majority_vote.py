"""The majority of votes on every case, with its ties and abstentions."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overread import codes
from overread.errors import InputError
from overread.stats.arrays import Bools, Floats

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Majority:
    """The votes of each case counted by class."""

    winner: Floats  # (n_cases,) class number; NaN on a tie and where nobody voted
    posterior: Floats  # (n_cases, n_classes) share of the votes; NaN where nobody voted
    counts: Numbers  # (n_cases, n_classes)
    classes: Floats  # (n_classes,) class numbers in rising order
    tied: Bools  # (n_cases,) two or more classes lead
    abstentions: Numbers  # (n_cases,) votes that were not given
    note: codes.Text

    @property
    def n_votes(self) -> Numbers:
        """Votes given on each case, (n_cases,)."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def share(self) -> Floats:
        """Share of the leading class (or classes) of each case, (n_cases,); NaN where nobody voted."""
        return np.asarray(self.posterior.max(axis=1)) if self.classes.size else np.full(len(self.winner), nan)

    @property
    def strict(self) -> Bools:
        """Whether more than half of the votes given are for one class, (n_cases,)."""
        return np.asarray(self.share > 0.5)


def majority(votes: ArrayLike, *, classes: ArrayLike | None = None) -> Majority:
    """The class that most votes of a case are for; a tie is a tie, not broken.

    Parameters: votes (n_cases, n_readers), whole class numbers, NaN = no vote; classes: all possible class numbers,
    those seen where not given.
    Returns a Majority: winner, posterior (share of votes), counts, tied, abstentions; the note counts cases that are
    tied and cases without a vote, both NaN in `winner`. Raises InputError for votes that are no class number.
    Every reader weighs the same, however good: see `dawid_skene`.

    >>> m = majority([[1, 1, 0], [0, 1, np.nan], [np.nan, np.nan, np.nan]])
    >>> m.winner.tolist(), m.note
    ([1.0, nan, nan], '1 case tied; 1 case without a vote')
    """
    table = vote_array(votes, where="majority")
    known = known_classes(table, classes, where="majority")
    counts = np.stack([(table == c).sum(axis=1) for c in known], axis=1) if known.size else _none(len(table))
    given = counts.sum(axis=1)
    leading = counts.max(axis=1) if known.size else given
    tied = (counts == leading[:, None]).sum(axis=1) > 1
    tied &= given > 0
    winner = np.full(len(table), nan)
    clear = (given > 0) & ~tied
    if known.size:
        winner[clear] = known[counts[clear].argmax(axis=1)]
    posterior = np.full(counts.shape, nan)
    posterior[given > 0] = counts[given > 0] / given[given > 0, None]
    note = codes.notes(
        codes.note("tied_votes", n=int(tied.sum())) if tied.any() else None,
        codes.note("cases_without_vote", n=int((given == 0).sum())) if not given.all() else None,
    )
    return Majority(winner, posterior, counts, known, tied, table.shape[1] - given, note)


def vote_array(votes: ArrayLike, *, where: str) -> Floats:
    """Votes as float64 (n_cases, n_columns), whole numbers or NaN; anything else is refused by position.

    >>> vote_array([[1, None]], where="majority").tolist()
    [[1.0, nan]]
    """
    given: NDArray[Any] = np.asarray(votes)
    if given.ndim != 2:
        raise InputError(f"{where}: votes", "an array (n_cases, n_readers), NaN = no vote", f"shape {given.shape}")
    try:
        table = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: votes", "class numbers such as 0 and 1", str(error)) from error
    with np.errstate(invalid="ignore"):
        wrong = np.argwhere(~np.isnan(table) & (table != np.round(table)) | np.isinf(table))
    if len(wrong):
        shown = [f"case {i}, column {j}: {table[i, j]}" for i, j in wrong[:5]]
        do = "A score is no vote: call it first."
        raise InputError(f"{where}: votes", "whole class numbers", f"{len(wrong)} others", examples=shown, do=do)
    return table


def known_classes(table: Floats, classes: ArrayLike | None, *, where: str) -> Floats:
    """The class numbers in rising order: those given, which must hold all votes, or those seen."""
    seen = np.unique(table[~np.isnan(table)])
    if classes is None:
        return seen
    known = np.unique(np.asarray(classes, dtype=np.float64))
    strange = np.setdiff1d(seen, known)
    if strange.size:
        shown = [f"{c:g}" for c in strange[:5]]
        raise InputError(
            f"{where}: votes", f"votes for the classes {known.tolist()}", "votes for others", examples=shown
        )
    return known


def _none(n_cases: int) -> Numbers:
    return np.zeros((n_cases, 0), dtype=np.int64)
