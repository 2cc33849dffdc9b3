"""Uncertain labels and label sources on the page: each alternative beside the configured one, and what changes."""

from __future__ import annotations

import pytest

from overread import codes, reporting

from ...conftest import estimate

pytestmark = pytest.mark.slow

AT = {"finding": "mass", "rater": "acme", "population": "internal"}
BASE = {"reference": "expert", "policy": "uncertain=ignore"}
ABSENT = {"reference": "expert", "policy": "uncertain=absent"}
PANEL = {"reference": "panel", "policy": "uncertain=ignore"}
POINT, LESS = "operating_point=spec90", "policy:uncertain=ignore"


BOTH = codes.note("cases_with_both_labels", n=240, source="expert")


def _rows() -> list[dict]:
    return [
        estimate("standalone", "auc", 0.81, **AT, **BASE),
        estimate("policies", "auc", 0.81, **AT, **BASE),
        estimate("policies", "auc", 0.78, **AT, **ABSENT),
        estimate("policies", "auc_difference", -0.03, **AT, **ABSENT, contrast=LESS),
        estimate("policies", "sensitivity", 0.70, **AT, **BASE, at=POINT),
        estimate("policies", "sensitivity", 0.72, **AT, **ABSENT, at=POINT),
        estimate("policies", "sensitivity_difference", 0.02, **AT, **ABSENT, at=POINT, contrast=LESS),
        estimate("policies", "auc", 0.84, **AT, **PANEL, note=BOTH),
        estimate("policies", "auc_difference", 0.05, **AT, **PANEL, contrast="reference:expert"),
    ]


def test_alternatives_stand_beside_what_is_configured(evidence_folder, tmp_path, read_page):
    text = reporting.write(evidence_folder(_rows()), tmp_path / "out", study={}).read_text(encoding="utf-8")
    read = read_page(text)
    policy = read.table("AUC by handling of uncertain labels: excluded and taken as absent.")
    assert policy[0] == ["", "Excluded", "Taken as absent", "Change"]
    assert [cell.split(" ")[0] for cell in policy[2][1:]] == ["0.810", "0.780", "−0.030"]
    rates = read.table("Sensitivity by handling of uncertain labels, threshold for specificity 0.90")
    assert [cell.split(" ")[0] for cell in rates[2][1:]] == ["0.700", "0.720", "+0.020"]
    source = read.table("AUC by label source: panel.")
    assert [cell.split(" ")[0] for cell in source[2][1:]] == ["0.840", "+0.050"]
    assert BOTH in read.text
    assert "the reference standard is “expert”" in read.text
