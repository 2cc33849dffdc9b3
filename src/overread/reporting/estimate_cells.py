"""Rows of the estimates as cells of a table: the number, its interval, and the note as a footnote."""

from __future__ import annotations

from math import isnan
from typing import TypeGuard

from overread import codes
from overread.codes import Code
from overread.reporting.blocks import Cell, MeanOver
from overread.reporting.number_format import MISSING, count, fixed, interval, number, p_value
from overread.reporting.report_data import Row

ABSENT = "not evaluated"


def estimate_cell(row: Row | None, *, digits: int = 3, signed: bool = False) -> Cell:
    """Estimate (interval), with the row's notes as footnotes; a row that is missing says so."""
    if row is None:
        return Cell(MISSING, "num", notes=(ABSENT,))
    text = interval(row["estimate"], row["low"], row["high"], digits, signed=signed)
    return Cell(text, "num", notes=notes_of(row), mean=mean_of(row))


MEAN_OVER = "mean_over_findings"  # the note that lists the findings of a mean


def mean_of(row: Row) -> MeanOver | None:
    """The findings of a mean over findings, and of how many it could have been; None of another row or without number.

    >>> mean_of({"estimate": 0.8, "note_codes": 'mean_over_findings(n=2, of=3, findings=["edema", "mass"])'})
    MeanOver(findings=('edema', 'mass'), of=3)
    """
    code = code_of(row, MEAN_OVER) if known(row) else None
    if code is None:
        return None
    values = dict(code.parameters)
    findings, of = values.get("findings"), values.get("of")
    names = tuple(map(str, findings)) if isinstance(findings, tuple) else ()
    return MeanOver(names, of if isinstance(of, int) else len(names))


def notes_of(row: Row) -> tuple[str, ...]:
    """The notes of a row, one for each of its codes.

    >>> notes_of({"note_codes": "mean_over_sites(n=2) variance_undefined"})
    ('unweighted mean of 2 sites', 'no CI: variance undefined')
    """
    return tuple(codes.render("notes", code) for code in codes_of(row))


def codes_of(row: Row) -> tuple[Code, ...]:
    """The codes of a row's note."""
    return codes.decode(row.get("note_codes") or "")


def code_of(row: Row | None, name: str) -> Code | None:
    """The code of this name in a row's note, None where it has none."""
    return None if row is None else next((code for code in codes_of(row) if code.name == name), None)


def error_cell(row: Row | None) -> Cell:
    """A calibration error; the error expected under perfect calibration stands below it."""
    if row is None:
        return Cell(MISSING, "num", notes=(ABSENT,))
    expected = code_of(row, EXPECTED)
    below = f"expected {fixed(expected['value'])}" if expected else ""
    return Cell(
        interval(row["estimate"], row["low"], row["high"]),
        "num",
        note=below,
        notes=notes_but(row, EXPECTED),
        mean=mean_of(row),
    )


EXPECTED = "expected_under_calibration"


def notes_but(row: Row, *names: str) -> tuple[str, ...]:
    """The notes of a row without those whose codes have these names."""
    return tuple(codes.render("notes", code) for code in codes_of(row) if code.name not in names)


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
