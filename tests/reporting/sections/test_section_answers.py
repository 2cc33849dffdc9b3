"""Answers of sections: what counts as an exclusion."""

from __future__ import annotations

from overread.reporting.checklists.data_answers import missing
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.section_answers import account
from tests.reporting.first_page.test_leading_question import row
from tests.reporting.first_page.test_study_limits import line


def test_graded_reads_without_a_call_are_no_exclusion(evidence_folder):
    lines = [line("scores_without_call", 900, "reads"), line("case_without_read", 7, "cases")]
    evidence = read_evidence(evidence_folder([row("auc", 0.8, 0.7, 0.9)], account=lines), {})
    object.__setattr__(evidence, "run", {"config": {}})
    assert account(evidence).startswith("1 reason for exclusions and changes; the largest: 7 cases, ")
    assert "graded reads" not in missing(evidence).text
    assert "7 cases" in missing(evidence).text
    alone = read_evidence(evidence_folder([row("auc", 0.8, 0.7, 0.9)], account=lines[:1]), {})
    assert account(alone) == "Nothing was excluded."
