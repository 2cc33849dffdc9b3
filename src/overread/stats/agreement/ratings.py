"""Ratings of cases by readers as category codes and counts, with a note on ratings that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from overread import codes
from overread.codes import Text
from overread.errors import InputError
from overread.stats.arrays import Bools, Codes, Floats, check_word
from overread.stats.sampling_design import Sampling, sampling

WEIGHTS = ("linear", "quadratic", "ordinal")
CATEGORIES_AT_MOST = 2_000  # more distinct values are measurements, and their table would not fit into memory


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """Usable cases: codes (n_cases, n_readers), -1 = not read, and the number of each category (q,)."""

    codes: Codes
    values: Floats
    sample: Sampling
    complete_pair: bool
    note: Text

    @property
    def n_categories(self) -> int:
        """Number of possible categories."""
        return self.values.size

    @property
    def counts(self) -> Floats:
        """Number of readers who chose each category for each case, (n_cases, q)."""
        counts = np.zeros((len(self.codes), self.n_categories))
        for column in self.codes.T:
            read = np.flatnonzero(column >= 0)
            counts[read, column[read]] += 1
        return counts


def rated(
    ratings: ArrayLike,
    *,
    where: str,
    cluster: ArrayLike | None = None,
    categories: ArrayLike | None = None,
    numeric: bool = False,
    least: int = 1,
    every: bool = False,
) -> Ratings:
    """Encode ratings (n_cases, n_readers), NaN or None = not read; omit cases with fewer than `least` reads.

    Categories are those that occur, sorted, or those given. Text is allowed if only equality matters (numeric=False).
    Readers without a read are omitted (not with `every`); the note counts omitted cases and readers.

    Examples
    --------
    >>> usable = rated([[0, 2, np.nan], [2, np.nan, np.nan]], where="kappa", least=2)
    >>> usable.codes.tolist(), usable.values.tolist(), usable.note
    ([[0, 1]], [0.0, 2.0], '1 case with fewer than two reads excluded; 1 reader without a read excluded')
    """
    codes, values = _coded(_table(ratings, where), categories, where, numeric)
    rows, columns, sample, note = selected(codes >= 0, where=where, cluster=cluster, least=least)
    return Ratings(codes[rows] if every else codes[rows][:, columns], values, sample, complete_pair(codes >= 0), note)


def selected(
    read: Bools, *, where: str, cluster: ArrayLike | None, least: int
) -> tuple[Bools, Bools, Sampling, codes.Text]:
    """Masks of cases with `least` reads and of readers with any read, the sampling of these cases, and a note.

    Examples
    --------
    >>> rows, columns, sample, note = selected(np.array([[True, False]]), where="icc", cluster=None, least=1)
    >>> columns.tolist(), note
    ([True, False], '1 reader without a read excluded')
    """
    if cluster is not None:
        sampling(len(read), where=where, cluster=cluster)  # validate before cases are omitted
    rows, columns = np.asarray(read.sum(axis=1) >= least), np.asarray(read.any(axis=0))
    reason = "without a read" if least == 1 else "with fewer than two reads"
    note = codes.notes(
        codes.note("cases_left_out", n=int((~rows).sum()), why=reason) if not rows.all() else None,
        codes.note("readers_without_read", n=int((~columns).sum())) if not columns.all() else None,
    )
    patients = None if cluster is None else np.asarray(cluster)[rows]
    return rows, columns, sampling(int(rows.sum()), where=where, cluster=patients), note


def left_out_because(note: codes.Text, why: str) -> codes.Text:
    """The note of `selected` with another reason why cases were left out."""
    return codes.notes(
        *(
            codes.note("cases_left_out", n=code["n"], why=why)
            if code.name == "cases_left_out"
            else codes.render("notes", code)
            for code in note.codes
        )
    )


def complete_pair(read: Bools) -> bool:
    """Whether exactly two readers read every case that was read.

    Examples
    --------
    >>> complete_pair(np.array([[True, True, False], [False, False, False]])), complete_pair(np.array([[True, False]]))
    (True, False)
    """
    table = read[read.any(axis=1)][:, read.any(axis=0)]
    return table.shape[1] == 2 and bool(table.all())


def measured(ratings: ArrayLike, *, where: str) -> Floats:
    """Validated measurements as float64 (n_cases, n_readers), NaN = not read."""
    return _finite(_table(ratings, where), where)


def agreement_weights(values: Floats, weights: str | None, *, where: str) -> Floats:
    """Agreement weights of two categories, (q, q): 1 on the diagonal, 0 for the most distant categories.

    None gives 1 for equal categories, otherwise 0; "linear" and "quadratic" use the distance of the numbers; "ordinal"
    uses the number of pairs of categories between them (Gwet).

    Examples
    --------
    >>> agreement_weights(np.array([1.0, 2.0, 3.0]), "linear", where="kappa").tolist()
    [[1.0, 0.5, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 1.0]]
    """
    if weights is None or values.size < 2:
        return np.eye(values.size)
    check_word(weights, WEIGHTS, where=where, name="weights")
    if weights == "ordinal":
        steps = np.abs(np.subtract.outer(np.arange(values.size), np.arange(values.size))).astype(np.float64)
        return 1 - steps * (steps + 1) / (values.size * (values.size - 1))
    distance = np.abs(np.subtract.outer(values, values)) / np.ptp(values)
    return np.asarray(1 - (distance if weights == "linear" else distance**2))


def _table(ratings: ArrayLike, where: str) -> NDArray[Any]:
    """Ratings as a two-dimensional array."""
    array = np.asarray(ratings)
    if array.ndim != 2:
        raise InputError(f"{where}: ratings", "an array (n_cases, n_readers), NaN = not read", f"shape {array.shape}")
    return array


def _coded(ratings: NDArray[Any], categories: ArrayLike | None, where: str, numeric: bool) -> tuple[Codes, Floats]:
    """Category codes and category numbers."""
    if numeric or _is_numeric(ratings):
        value = _finite(ratings, where)
        read = ~np.isnan(value)
        category_numbers = np.unique(value[read] if categories is None else np.asarray(categories, dtype=np.float64))
        codes = np.full(value.shape, -1, dtype=np.intp)
        codes[read] = np.searchsorted(category_numbers, value[read]) if category_numbers.size else 0
        unknown = (
            read & (category_numbers[np.clip(codes, 0, category_numbers.size - 1)] != value)
            if category_numbers.size
            else read
        )
        values = category_numbers
    else:
        listed = ratings.tolist()
        observed = {v for row in listed for v in row if v is not None and v == v}
        labels = sorted(observed if categories is None else set(np.asarray(categories).tolist()), key=str)
        code_of_label = {label: i for i, label in enumerate(labels)}
        codes = np.array([[code_of_label.get(v, -1) for v in row] for row in listed], dtype=np.intp).reshape(
            ratings.shape
        )
        unknown = np.array([[v in observed and v not in code_of_label for v in row] for row in listed], bool).reshape(
            ratings.shape
        )
        values = np.arange(len(labels), dtype=np.float64)
    if unknown.any():
        unknown_positions = np.argwhere(unknown)[:5]
        shown = [f"case {i}, reader {j}: {ratings[i, j]}" for i, j in unknown_positions]
        raise InputError(
            f"{where}: ratings", "the categories given", f"{int(unknown.sum())} other values", examples=shown
        )
    if values.size > CATEGORIES_AT_MOST:
        do = 'For measurements use level="interval" of krippendorff_alpha, icc or bland_altman.'
        raise InputError(f"{where}: ratings", f"at most {CATEGORIES_AT_MOST} categories", f"{values.size}", do=do)
    return codes, values


def _is_numeric(ratings: NDArray[Any]) -> bool:
    """Whether all ratings can be converted to float."""
    try:
        ratings.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _finite(ratings: NDArray[Any], where: str) -> Floats:
    """Ratings as float64; infinite numbers and text are refused."""
    try:
        value = ratings.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: ratings", "numbers, for distances between them count", str(error)) from error
    infinite = np.argwhere(np.isinf(value))
    if len(infinite):
        shown = [f"case {i}, reader {j}: {value[i, j]}" for i, j in infinite[:5]]
        raise InputError(
            f"{where}: ratings", "finite numbers, NaN = not read", f"{len(infinite)} infinite", examples=shown
        )
    return value
