"""The table of rates at thresholds: four digits of a threshold, and no mean over one finding."""

from __future__ import annotations

import pytest

from overread.reporting.report_data import read_evidence
from overread.reporting.sections.model_results.operating_section import operating
from tests.reporting.first_page.test_leading_question import row

AT = "operating_point=specificity>=0.90"


def shown(evidence_folder, *findings):
    rows = [row("auc", 0.8, 0.7, 0.9, finding=f) for f in (*findings, "(mean)")]
    for finding in findings:
        rows.append(row("threshold", 0.040444999999999995, float("nan"), float("nan"), finding=finding, at=AT))
        rows.append(row("sensitivity", 0.8, 0.7, 0.9, finding=finding, at=AT))
    rows.append(row("sensitivity", 0.8, 0.7, 0.9, finding="(mean)", at=AT))
    section = operating(read_evidence(evidence_folder(rows), {}))
    return next(b for b in section.blocks if hasattr(b, "rows")).rows


@pytest.mark.parametrize(
    ("findings", "headings"),
    [(("mass",), ["Mass"]), (("mass", "nodule"), ["Mass", "Nodule", "Mean over findings"])],
)
def test_a_mean_stands_below_several_findings_only(evidence_folder, findings, headings):
    assert [cells[0].text for cells in shown(evidence_folder, *findings)] == headings


def test_a_threshold_has_four_significant_digits(evidence_folder):
    assert shown(evidence_folder, "mass")[0][2].text == "0.04044"
