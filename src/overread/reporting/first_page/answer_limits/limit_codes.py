"""The codes by which limits are found: of the account, and of the notes of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from overread import codes
from overread.codes import Code
from overread.reporting.estimate_cells import codes_of
from overread.reporting.first_page.first_page_parts import bounded, constant
from overread.reporting.number_format import count, listed
from overread.reporting.report_data import ReportData, Row

FEW = 50  # present cases: below, intervals are wide


def account_codes(evidence: ReportData, *names: str) -> list[tuple[Code, Row]]:
    """The codes of the account with these names, each with its line."""
    return [
        (code, row)
        for row in evidence.account.iter_rows(named=True)
        for code in codes.decode(row["reason_code"] or "")
        if code.name in names
    ]


def noted(rows: Iterable[Row], name: str) -> list[Code]:
    """The codes with this name in the notes of rows."""
    return [code for row in rows for code in codes_of(row) if code.name == name]


def rare_findings(evidence: ReportData, present: Mapping[str, int], rows: Iterable[Row]) -> str:
    """The findings with few cases present, the rarest first, with their numbers; "" where none has.

    `rows` hold the estimates that few cases make imprecise: a finding without an interval there is named.
    """
    few = [f for n, f in sorted((n, f) for f, n in present.items() if 0 < n < FEW)]
    if not few:
        return ""
    wide = {r["finding"] for r in rows if bounded(r) and not constant(r)}
    without = [evidence.heading(f).lower() for f in few if f not in wide]
    names = [f"{evidence.heading(f).lower()} ({count(present[f])})" for f in few]
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    told = "No interval could be computed."
    if len(without) < len(few):
        none = f"; {listed(without)} {'has' if len(without) == 1 else 'have'} none" if without else ""
        told = f"The intervals are wide{none}."
    return f"{listed(names[:3])}{rest}. {told}"
