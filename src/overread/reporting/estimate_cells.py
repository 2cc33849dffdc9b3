"""Rows of the estimates as cells of a table: the number, its interval, and the note as a footnote."""

from __future__ import annotations

from math import isnan
from typing import TypeGuard

from overread.reporting.blocks import Cell
from overread.reporting.number_format import MISSING, count, fixed, interval, number, p_value
from overread.reporting.report_data import Row

ABSENT = "no estimate: this was not evaluated"


def estimate_cell(row: Row | None, *, digits: int = 3, signed: bool = False) -> Cell:
    """Estimate (interval), with the row's notes as footnotes; a row that is missing says so."""
    if row is None:
        return Cell(MISSING, "num", notes=(ABSENT,))
    text = interval(row["estimate"], row["low"], row["high"], digits, signed=signed)
    return Cell(text, "num", notes=notes_of(row))


def notes_of(row: Row) -> tuple[str, ...]:
    """The parts of a row's note, which the evaluation joins with semicolons.

    >>> notes_of({"note": "unweighted mean of 2 sites; no interval: few cases"})
    ('unweighted mean of 2 sites', 'no interval: few cases')
    """
    return tuple(part for part in (row.get("note") or "").split("; ") if part)


def error_cell(row: Row | None) -> Cell:
    """A calibration error; what perfect probabilities would show by chance stands below it."""
    if row is None:
        return Cell(MISSING, "num", notes=(ABSENT,))
    words = "perfect probabilities would show "
    noise = next((n.removeprefix(words) for n in notes_of(row) if n.startswith(words)), "")
    rest = tuple(n for n in notes_of(row) if not n.startswith(words))
    below = f"{fixed(float(noise))} if perfect" if noise else ""
    return Cell(interval(row["estimate"], row["low"], row["high"]), "num", note=below, notes=rest)


def classes_cell(row: Row | None) -> Cell:
    """How many cases have it present and absent."""
    if row is None or row.get("n_present") is None:
        return Cell("", kind="num")
    return Cell(f"{count(row['n_present'])} / {count(row['n_absent'])}", kind="num")


def p_cells(row: Row | None) -> tuple[Cell, Cell]:
    """p and the p adjusted for the family of comparisons."""
    values = (None, None) if row is None else (row.get("p"), row.get("p_adjusted"))
    return Cell(p_value(values[0]), kind="num"), Cell(p_value(values[1]), kind="num")


def known(row: Row | None) -> TypeGuard[Row]:
    """Whether there is a number."""
    return row is not None and not isnan(number(row["estimate"]))
