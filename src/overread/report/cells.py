"""Rows of the estimates as cells of a table: the number, its interval, and the note as a footnote."""

from __future__ import annotations

from math import isnan

from overread.report.blocks import Cell, Footnotes
from overread.report.evidence import Row
from overread.report.numbers import MISSING, count, fixed, interval, number, p_value

ABSENT = "No estimate: this was not evaluated."


def estimate_cell(row: Row | None, notes: Footnotes, *, digits: int = 3, signed: bool = False) -> Cell:
    """Estimate (interval), with the row's note as a footnote; a row that is missing says so."""
    if row is None:
        return Cell(MISSING, marks=notes.mark(ABSENT), kind="num")
    text = interval(row["estimate"], row["low"], row["high"], digits, signed=signed)
    return Cell(text, marks=notes.mark(row.get("note")), kind="num")


def value_cell(row: Row | None, notes: Footnotes, *, digits: int = 3) -> Cell:
    """The estimate alone."""
    if row is None:
        return Cell(MISSING, marks=notes.mark(ABSENT), kind="num")
    return Cell(fixed(row["estimate"], digits), marks=notes.mark(row.get("note")), kind="num")


def classes_cell(row: Row | None) -> Cell:
    """How many cases have it present and absent."""
    if row is None or row.get("n_present") is None:
        return Cell(MISSING, kind="num")
    return Cell(f"{count(row['n_present'])} / {count(row['n_absent'])}", kind="num")


def p_cells(row: Row | None) -> tuple[Cell, Cell]:
    """p and the p adjusted for the family of comparisons."""
    values = (None, None) if row is None else (row.get("p"), row.get("p_adjusted"))
    return Cell(p_value(values[0]), kind="num"), Cell(p_value(values[1]), kind="num")


def known(row: Row | None) -> bool:
    """Whether there is a number."""
    return row is not None and not isnan(number(row["estimate"]))
