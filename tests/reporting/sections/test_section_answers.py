"""Answers of sections: what counts as an exclusion, and which difference is named."""

from __future__ import annotations

from overread.reporting.checklists.data_answers import missing
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.section_answers import account, references
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


def test_the_largest_difference_is_one_of_those_that_are_counted(evidence_folder):
    between = {"analysis": "H2", "finding": "mass", "reference": "panel", "contrast": "reference:majority"}
    wide = row("auc_difference", 0.09, 0.0, 0.2, **between, rater="wide")
    clear = row("auc_difference", 0.02, 0.01, 0.03, **between)
    evidence = read_evidence(evidence_folder([wide, clear]), {})
    assert references(evidence) == (
        "The AUC differs between reference standards, with an interval without 0, in 1 of 2 comparisons; the largest "
        "of these, for mass and acme, the label panel minus the majority of the readers (derived): +0.020 (95% "
        "interval +0.010 to +0.030)."
    )
    lone = wide | {"low": float("nan"), "high": float("nan"), "estimate": 0.0, "rater": "same"}
    assert "in 1 of 2 comparisons (1 more without an interval); the largest of these" in references(
        read_evidence(evidence_folder([wide, clear, lone]), {})
    )
    none = read_evidence(evidence_folder([wide]), {})
    assert "in none of 1 comparison; the largest, for mass and wide" in references(none)
