"""The section on hypothesis H1."""

from __future__ import annotations

from overread.reporting.blocks import Table
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.model_results.hypothesis_section import h1
from tests.reporting.first_page.test_leading_question import row


def test_the_difference_against_the_margin_stands_beside_the_difference(evidence_folder, recwarn):
    pair = {"analysis": "H1", "rater": "pooled", "contrast": "rater:north", "population": "external:hill"}
    rows = [row("auc", 0.9, 0.88, 0.92, rater=r) for r in ("pooled", "north")]
    for at, p in (("", 0.004), ("margin=0.01", 0.03)):
        rows.append(row("auc_difference", 0.03, 0.01, 0.05, at=at, p=p, p_adjusted=p, **pair))
    blocks = h1(read_evidence(evidence_folder(rows), {})).blocks
    [table] = [b for b in blocks if isinstance(b, Table)]
    [cells] = [[cell.text for cell in own] for own in table.rows]
    assert cells == ["hill", "pooled − north", "150", "+0.030 (+0.010 to +0.050)", "0.004", "0.030"]
    assert not [str(w.message) for w in recwarn]  # Polars warns where a filter is ambiguous
