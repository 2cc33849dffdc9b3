"""The first page of decisions without scores: both rates of each model and their paired difference."""

from __future__ import annotations

import math

from overread.reporting.first_page.question import DECISIONS, MODELS, leading
from overread.reporting.sections import section_answers
from tests.reporting.first_page.test_leading_question import over, page_of, row

AT = {"at": "decision"}


def rates(rater, sensitivity, specificity, findings=("(mean)", "mass", "nodule")):
    """Both rates of the decisions of a model, of each finding, with intervals of 0.05 either way."""
    return [
        row(m, v, v - 0.05, v + 0.05, rater=rater, finding=f, **AT, **({"note": over(2)} if f == "(mean)" else {}))
        for f in findings
        for m, v in (("sensitivity", sensitivity), ("specificity", specificity))
    ]


def difference(metric, finding, value, rater="cad-b", against="cad-a"):
    """A paired difference with an interval of 0.03 either way."""
    place = {"analysis": "comparison", "rater": rater, "contrast": f"rater:{against}", "finding": finding}
    return row(f"{metric}_difference", value, value - 0.03, value + 0.03, **place, **AT)


def test_two_sets_of_decisions_lead_with_both_rates(evidence_folder):
    rows = [*rates("cad-a", 0.7, 0.9), *rates("cad-b", 0.6, 0.95)]
    rows += [difference("sensitivity", "mass", -0.1), difference("sensitivity", "nodule", -0.02)]
    evidence, page = page_of(evidence_folder, rows)
    assert leading(evidence) == DECISIONS
    assert page.answer == (
        "The mean sensitivity over 2 findings is 0.700 (95% interval 0.650 to 0.750) for cad-a and 0.600 (0.550 to "
        "0.650) for cad-b; the mean specificity is 0.900 (0.850 to 0.950) for cad-a and 0.950 (0.900 to 1.000) for "
        "cad-b."
    )
    assert page.more == (
        "cad-a minus cad-b, on the same cases: sensitivity from +0.020 (nodule) to +0.100 (mass), with 0 outside the "
        "interval in 1 of 2."
    )
    assert [c.text for c in page.table.rows[1]] == ["cad-b", "0.600 (0.550–0.650)", "0.950 (0.900–1.000)"]
    assert page.detail[0].rows[0][-2].text == "+0.100 (+0.070 to +0.130)"
    assert section_answers.operating(evidence).startswith("The decisions of cad-a have a mean sensitivity of 0.700")


def test_of_one_finding_the_paired_difference_has_its_interval(evidence_folder):
    rows = [*rates("cad-a", 0.7, 0.9, ["mass"]), *rates("cad-b", 0.6, 0.95, ["mass"])]
    rows += [difference("sensitivity", "mass", -0.1), difference("specificity", "mass", 0.01)]
    _, page = page_of(evidence_folder, rows)
    assert page.answer.startswith("The sensitivity for mass is 0.700 (95% interval 0.650 to 0.750) for cad-a and")
    assert page.more == (
        "cad-a minus cad-b, on the same cases: sensitivity +0.100 (95% interval +0.070 to +0.130); specificity "
        "−0.010 (95% interval −0.040 to +0.020); the interval includes 0."
    )


def test_of_many_the_lowest_and_the_highest_rates_are_named(evidence_folder):
    rows = [r for k in range(5) for r in rates(f"cad-{k}", 0.6 + 0.05 * k, 0.9 - 0.05 * k)]
    _, page = page_of(evidence_folder, rows)
    assert "sensitivity over 2 findings runs from 0.600 (95% interval 0.550 to 0.650) for cad-0 to 0.800" in page.answer
    assert "the mean specificity runs from 0.700 (0.650 to 0.750) for cad-4 to 0.900" in page.answer


def test_the_figure_has_both_rates_of_each_finding(evidence_folder):
    _, page = page_of(evidence_folder, [*rates("cad-a", 0.7, 0.9), *rates("cad-b", 0.6, 0.95)])
    assert page.figure.numbers.height == 3 * 2 * 2
    assert page.figure.numbers["estimate"].to_list()[:4] == [0.7, 0.6, 0.9, 0.95]


def test_scores_beside_decisions_lead_with_the_auc(evidence_folder):
    evidence, _ = page_of(evidence_folder, [*rates("cad-a", 0.7, 0.9), row("auc", 0.8, 0.7, 0.9)])
    assert leading(evidence) == MODELS


def test_without_a_mean_over_findings_the_rates_of_one_finding_lead_with_their_hospital(evidence_folder):
    places = [{"population": f"external:{p}"} for p in ("ash", "elm")]
    none = {"low": math.nan, "high": math.nan}
    rows = [r | places[1] for r in rates("cad-a", 0.7, 0.9, ["mass", "nodule"])]
    rows += [r | places[0] | none | {"estimate": math.nan} for r in rates("cad-a", 0.7, 0.9)]
    rows += [r | places[1] | none | {"estimate": math.nan} for r in rates("cad-a", 0.7, 0.9, ["(mean)"])]
    _, page = page_of(evidence_folder, rows)
    assert page.answer == (
        "At elm, the sensitivity for mass is 0.700 (95% interval 0.650 to 0.750) for cad-a; the specificity is 0.900 "
        "(0.850 to 0.950) for cad-a."
    )


def test_three_models_have_both_differences_from_the_first_and_lead_the_section_on_comparisons(evidence_folder):
    rows = [r for k, v in enumerate((0.7, 0.6, 0.5)) for r in rates(f"cad-{'abc'[k]}", v, 0.9, ["mass"])]
    rows += [difference("sensitivity", "mass", -0.1), difference("sensitivity", "mass", -0.2, "cad-c")]
    evidence, page = page_of(evidence_folder, rows)
    assert page.more == (
        "cad-a minus cad-b, on the same cases: sensitivity +0.100 (95% interval +0.070 to +0.130). cad-a minus cad-c, "
        "on the same cases: sensitivity +0.200 (95% interval +0.170 to +0.230). 1 more pair of models: see the "
        "sections below."
    )
    assert section_answers.comparison(evidence) == page.more
