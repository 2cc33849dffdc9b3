"""Ratings of cases by readers as category codes and counts, with an account of what could not be used."""

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
CATEGORIES_AT_MOST = 2_000  # more are measurements, and a table of categories would not fit


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """Cases with enough reads: codes (n_cases, n_readers), -1 = not read; values (q,) the number of each category."""

    codes: Codes
    values: Floats
    sample: Sampling
    complete_pair: bool
    note: Text

    @property
    def n_categories(self) -> int:
        """How many categories there are, used or given."""
        return self.values.size

    @property
    def counts(self) -> Floats:
        """How many readers put the case into the category, (n_cases, q)."""
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
) -> Ratings:
    """Ratings (n_cases, n_readers), NaN or None = not read, as codes; cases with fewer than `least` reads left out.

    Categories are those seen, in order, or the `categories` given. Text is taken where only equality matters
    (numeric=False). Readers without a read are left out, and the note counts them as it counts the cases.

    >>> made = rated([[0, 2, np.nan], [2, np.nan, np.nan]], where="kappa", least=2)
    >>> made.codes.tolist(), made.values.tolist(), made.note
    ([[0, 1]], [0.0, 2.0], '1 case with fewer than two reads excluded; 1 reader without a read excluded')
    """
    codes, values = _coded(_table(ratings, where), categories, where, numeric)
    rows, columns, sample, note = selected(codes >= 0, where=where, cluster=cluster, least=least)
    return Ratings(codes[rows][:, columns], values, sample, complete_pair(codes >= 0), note)


def selected(
    read: Bools, *, where: str, cluster: ArrayLike | None, least: int
) -> tuple[Bools, Bools, Sampling, codes.Text]:
    """Which cases have `least` reads, which readers any, the sampling of those cases, and a note on what was left out.

    >>> rows, columns, sample, note = selected(np.array([[True, False]]), where="icc", cluster=None, least=1)
    >>> columns.tolist(), note
    ([True, False], '1 reader without a read excluded')
    """
    if cluster is not None:
        sampling(len(read), where=where, cluster=cluster)  # before cases go: a wrong length is said as it was given
    rows, columns = np.asarray(read.sum(axis=1) >= least), np.asarray(read.any(axis=0))
    few = "without a read" if least == 1 else "with fewer than two reads"
    note = codes.notes(
        codes.note("cases_left_out", n=int((~rows).sum()), why=few) if not rows.all() else None,
        codes.note("readers_without_read", n=int((~columns).sum())) if not columns.all() else None,
    )
    kept = None if cluster is None else np.asarray(cluster)[rows]
    return rows, columns, sampling(int(rows.sum()), where=where, cluster=kept), note


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
    """Whether two readers, and no more, read every case that anyone read.

    >>> complete_pair(np.array([[True, True, False], [False, False, False]])), complete_pair(np.array([[True, False]]))
    (True, False)
    """
    table = read[read.any(axis=1)][:, read.any(axis=0)]
    return table.shape[1] == 2 and bool(table.all())


def measured(ratings: ArrayLike, *, where: str) -> Floats:
    """Measurements float64 (n_cases, n_readers), NaN = not read; infinite ones and text are refused."""
    return _finite(_table(ratings, where), where)


def agreement_weights(values: Floats, weights: str | None, *, where: str) -> Floats:
    """How much two categories agree, (q, q), 1 on the diagonal and 0 for the two that lie farthest apart.

    None: 1 for the same category, else 0. "linear" and "quadratic": by the distance of the numbers. "ordinal": by how
    many pairs of categories lie between (Gwet).

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
    given = np.asarray(ratings)
    if given.ndim != 2:
        raise InputError(f"{where}: ratings", "an array (n_cases, n_readers), NaN = not read", f"shape {given.shape}")
    return given


def _coded(given: NDArray[Any], categories: ArrayLike | None, where: str, numeric: bool) -> tuple[Codes, Floats]:
    if numeric or _is_numeric(given):
        value = _finite(given, where)
        read = ~np.isnan(value)
        known = np.unique(value[read] if categories is None else np.asarray(categories, dtype=np.float64))
        codes = np.full(value.shape, -1, dtype=np.intp)
        codes[read] = np.searchsorted(known, value[read]) if known.size else 0
        strange = read & (known[np.clip(codes, 0, known.size - 1)] != value) if known.size else read
        values = known
    else:
        listed = given.tolist()
        seen = {v for row in listed for v in row if v is not None and v == v}
        labels = sorted(seen if categories is None else set(np.asarray(categories).tolist()), key=str)
        place = {label: i for i, label in enumerate(labels)}
        codes = np.array([[place.get(v, -1) for v in row] for row in listed], dtype=np.intp).reshape(given.shape)
        strange = np.array([[v in seen and v not in place for v in row] for row in listed], bool).reshape(given.shape)
        values = np.arange(len(labels), dtype=np.float64)
    if strange.any():
        at = np.argwhere(strange)[:5]
        shown = [f"case {i}, reader {j}: {given[i, j]}" for i, j in at]
        raise InputError(f"{where}: ratings", "the categories given", f"{int(strange.sum())} others", examples=shown)
    if values.size > CATEGORIES_AT_MOST:
        do = 'For measurements use level="interval" of krippendorff_alpha, icc or bland_altman.'
        raise InputError(f"{where}: ratings", f"at most {CATEGORIES_AT_MOST} categories", f"{values.size}", do=do)
    return codes, values


def _is_numeric(given: NDArray[Any]) -> bool:
    try:
        given.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _finite(given: NDArray[Any], where: str) -> Floats:
    try:
        value = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: ratings", "numbers, for distances between them count", str(error)) from error
    infinite = np.argwhere(np.isinf(value))
    if len(infinite):
        shown = [f"case {i}, reader {j}: {value[i, j]}" for i, j in infinite[:5]]
        raise InputError(
            f"{where}: ratings", "finite numbers, NaN = not read", f"{len(infinite)} infinite", examples=shown
        )
    return value
