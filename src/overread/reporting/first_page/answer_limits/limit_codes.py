"""The codes by which limits are found: of the account, and of the notes of rows."""

from __future__ import annotations

from collections.abc import Iterable

from overread import codes
from overread.codes import Code
from overread.reporting.estimate_cells import codes_of
from overread.reporting.report_data import ReportData, Row


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
