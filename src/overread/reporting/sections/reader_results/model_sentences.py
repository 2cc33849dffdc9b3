"""Models beside readers in a sentence, where a comparison has no interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from overread.codes import Code
from overread.reporting.estimate_cells import code_of, known
from overread.reporting.number_format import fixed, number, plural
from overread.reporting.report_data import Row
from overread.reporting.sections.reader_results.reader_titles import READERS, ReadRows, in_sentence, output_title

AT_SPECIFICITY, AGAINST = "specificity=readers", f"rater:{READERS}"


def people_word(reads: ReadRows) -> str:
    """What the readers together are called: one is not called "readers"."""
    return "reader" if len(reads.people) == 1 else "readers"


def together_word(reads: ReadRows) -> str:
    """The readers together, in a sentence: the reads of one reader are not pooled."""
    return "the reader" if people_word(reads) == "reader" else "the pooled readers"


def together_row(reads: ReadRows) -> str:
    """The readers together, at the head of a row."""
    return "The reader" if people_word(reads) == "reader" else "Pooled readers"


def without_intervals(reads: ReadRows) -> str:
    """The differences in sensitivity at the readers' specificity under the first reference that has any, and why there
    is no interval; "" without a difference.
    """
    for reference in reads.references:
        rows = [
            row for f in reads.findings for o in reads.ranked(f) if known(row := _difference(reads, f, reference, o))
        ]
        if rows:
            return _told(reads, reference, [row for row in rows if row is not None])
    return ""


def _difference(reads: ReadRows, finding: str, reference: str, rater: str) -> Row | None:
    return reads.rows(finding, reference).get(("sensitivity_difference", AT_SPECIFICITY, rater, AGAINST))


def _told(reads: ReadRows, reference: str, rows: Sequence[Row]) -> str:
    who, by = people_word(reads), f"By {in_sentence(reference)}"
    why = _reason(rows)
    if len(rows) > 1:
        low, high = (f(rows, key=lambda row: number(row["estimate"])) for f in (min, max))
        ends = [f"{fixed(r['estimate'], 2, signed=True)} ({_of(reads, r)})" for r in (low, high)]
        return (
            f"{by}, the sensitivity of the models at the specificity of the {who}, minus that of the {who}, runs from "
            f"{' to '.join(ends)} in {plural(len(rows), 'comparison')}. None has an interval{why}."
        )
    row = rows[0]
    own = reads.rows(row["finding"], reference)
    mine = own.get(("sensitivity_at_specificity", AT_SPECIFICITY, row["rater"], ""))
    theirs = own.get(("sensitivity", "", READERS, ""))
    both = known(mine) and known(theirs)
    values = f"{fixed(mine['estimate'], 2)} and that of the {who} {fixed(theirs['estimate'], 2)}" if both else ""  # type: ignore[index]
    less = fixed(row["estimate"], 2, signed=True)
    start = f"{by}, the sensitivity of {_of(reads, row)} at the specificity of the {who}"
    return (
        f"{start} is {values}, a difference of {less}. It has no interval{why}."
        if both
        else (f"{start}, minus that of the {who}, is {less}. It has no interval{why}.")
    )


def _of(reads: ReadRows, row: Row) -> str:
    return f"{output_title(row['rater'])} for {reads.heading(row['finding']).lower()}"


def _reason(rows: Iterable[Row]) -> str:
    """Why there is no interval, where it is the same for all."""
    reasons = {_reason_of(row) for row in rows}
    return f", because {reasons.pop()}" if len(reasons) == 1 and "" not in reasons else ""


def _reason_of(row: Row) -> str:
    if code_of(row, "no_second_reader"):
        return "there is one reader"
    few: Code | None = code_of(row, "few_patients_smaller_class")
    if few is None:
        return ""
    return f"the smaller class has {plural(int(str(few['n'])), 'patient')} ({few['least']} are required)"
