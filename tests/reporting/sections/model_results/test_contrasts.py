"""Comparison of models: decisions against decisions, and against given thresholds."""

from __future__ import annotations

from overread import codes
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.model_results.contrasts import comparison
from overread.reporting.sections.model_results.group_difference_tables import contrast_table
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


def compared(metric, rater, other, value, **more):
    """A difference between two models with an interval of 0.02 either way."""
    place = {"rater": rater, "contrast": f"rater:{other}", "finding": "mass"} | more
    return row(metric, value, value - 0.02, value + 0.03, **place)


def test_differences_between_models_have_the_sign_of_the_first_page(evidence_folder):
    rows = [row("auc", v, v - 0.05, v + 0.05, rater=r, finding="mass") for r, v in (("m0", 0.7), ("m1", 0.8))]
    rows.append(compared("auc_difference", "m0", "m1", -0.1, analysis="comparison"))
    evidence = read_evidence(evidence_folder(rows), {})
    shown = comparison(evidence).blocks[1]
    assert shown.caption == "Difference in AUC, m1 minus m0, on the same cases, with CIs."
    assert shown.rows[0][2].text == "+0.100 (+0.070 to +0.120)"


def test_contrasts_of_groups_subtract_the_later_model_or_the_one_that_all_are_compared_with(evidence_folder):
    rows = [row("auc", v, v - 0.05, v + 0.05, rater=r) for r, v in (("m0", 0.7), ("m1", 0.8))]
    groups = {"analysis": "subgroups", "subgroup": "sex", "level": "F − M", "finding": "(mean)"}

    def models(settings=None, **more):
        contrast = compared("auc_difference_contrast", "m0", "m1", -0.1, **{**groups, **more})
        evidence = read_evidence(evidence_folder([*rows, contrast], settings=settings or {}), {})
        return [c.text for c in contrast_table(evidence, evidence.estimates, "internal").rows[-1][1:3]]

    assert models() == ["m1 − m0", "+0.100 (+0.070 to +0.120)"]
    assert models({"baseline_model": "m1"}) == ["m0 − m1", "−0.100 (−0.120 to −0.070)"]
    of_many = codes.note("contrasts_with_first", model="m1", n=9)
    assert models(note=of_many) == ["m0 − m1", "−0.100 (−0.120 to −0.070)"]
