"""What follows from the evidence is derived once, and again for evidence that was changed."""

from __future__ import annotations

from dataclasses import replace

from overread.reporting.report_data import once, read_evidence
from tests.reporting.first_page.test_leading_question import row


def test_a_derived_value_is_kept_with_its_evidence(evidence_folder):
    calls = []

    @once
    def title(evidence):
        calls.append(evidence)
        return f"{evidence.study['title']}, {evidence.estimates.height} row"

    evidence = read_evidence(evidence_folder([row("auc", 0.8, 0.7, 0.9)]), {"title": "first"})
    assert [title(evidence), title(evidence)] == ["first, 1 row"] * 2
    assert len(calls) == 1
    assert title(replace(evidence, study={"title": "second"})) == "second, 1 row"
    assert title(evidence) == "first, 1 row"
