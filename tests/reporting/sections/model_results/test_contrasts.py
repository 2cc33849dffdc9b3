"""Comparison of models: decisions against decisions, and against given thresholds."""

from __future__ import annotations

from overread.reporting.report_data import read_evidence
from overread.reporting.sections.model_results.contrasts import comparison
from tests.reporting.first_page.test_leading_question import row


def test_decisions_against_each_given_threshold_have_a_table_of_their_own(evidence_folder):
    rows = [row("auc", 0.9, 0.85, 0.95, rater=r) for r in ("acme", "beta")]
    for at, value in (("decision", 0.1), ("operating_point=low", 0.2), ("operating_point=high", 0.3)):
        pair = {"analysis": "comparison", "rater": "acme", "contrast": "rater:beta", "at": at, "finding": "edema"}
        rows.append(row("sensitivity_difference", value, value - 0.05, value + 0.05, **pair))
    tables = comparison(read_evidence(evidence_folder(rows), {})).blocks
    assert [(t.caption, t.rows[-1][2].text) for t in tables] == [
        (
            "Difference in sensitivity of decisions, acme minus beta, on the same cases, with CIs.",
            "+0.100 (+0.050 to +0.150)",
        ),
        (
            "Difference in sensitivity of decisions and of scores at the given threshold low, acme minus beta, on the "
            "same cases, with CIs.",
            "+0.200 (+0.150 to +0.250)",
        ),
        (
            "Difference in sensitivity of decisions and of scores at the given threshold high, acme minus beta, on the "
            "same cases, with CIs.",
            "+0.300 (+0.250 to +0.350)",
        ),
    ]
