"""The line below the title and the counts below the answer."""

from __future__ import annotations

import math

from overread.reporting.first_page.page_facts import facts, made_line
from overread.reporting.report_data import read_evidence
from tests.reporting.first_page.test_leading_question import row


def test_only_readers_whose_reads_are_analysed_are_counted(evidence_folder):
    """r3 has sittings only, such as practice; r4 was left out; the mean and a model are no readers."""
    read = {"analysis": "readers", "finding": "edema", "subgroup": "read", "level": "unaided", "reference": "panel"}
    rows = [
        row("sensitivity", value, value, value, rater=rater, arm=arm, **read)
        for rater, value, arm in (
            ("r1", 0.8, "unaided"),
            ("r2", 0.7, "unaided"),
            ("r4", math.nan, "unaided"),
            ("(readers)", 0.75, "unaided"),
            ("acme", 0.9, "model"),
        )
    ]
    rows.append(row("median_seconds", 40.0, math.nan, math.nan, rater="r3", arm="unaided", **read))
    evidence = read_evidence(evidence_folder(rows), {})
    assert "2 readers" in made_line(evidence)
    assert dict(facts(evidence))["readers"] == "2"


def test_readers_whose_agreement_alone_is_known_are_counted(evidence_folder):
    read = {"analysis": "agreement", "finding": "edema", "subgroup": "read", "level": "unaided", "rater": "(readers)"}
    evidence = read_evidence(evidence_folder([row("fleiss_kappa", 0.6, 0.5, 0.7, n_readers=6, **read)]), {})
    assert "6 readers" in made_line(evidence)
