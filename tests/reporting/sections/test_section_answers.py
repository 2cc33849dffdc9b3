"""Answers of sections: what counts as an exclusion, and which difference is named."""

from __future__ import annotations

import polars as pl

from overread import codes
from overread.reporting.blocks import Paragraph
from overread.reporting.checklists.data_answers import missing
from overread.reporting.methods.methods_section import compose_methods
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.model_results.operating_section import operating
from overread.reporting.sections.section_answers import account, decision, drop, matrix, references
from tests.reporting.first_page.test_leading_question import joined, row
from tests.reporting.first_page.test_study_limits import line

ELM = "external:elm"


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


def test_net_benefit_is_told_against_treating_nobody_and_everybody(evidence_folder):
    more = {"analysis": "decision", "at": "threshold=0.10"}
    rows = [row("auc", 0.8, 0.7, 0.9, finding=f) for f in ("mass", "edema", "nodule")]
    rows += [row("net_benefit", 0.03, 0.01, 0.05, finding=f, **more) for f in ("mass", "edema")]
    rows.append(row("net_benefit", -0.03, -0.05, -0.01, finding="nodule", **more))
    versus = {**more, "contrast": "rater:(everyone)"}
    rows.append(row("net_benefit_difference", 0.02, 0.01, 0.03, finding="mass", **versus))
    rows.append(row("net_benefit_difference", 0.02, -0.01, 0.05, finding="edema", **versus))
    rows.append(row("net_benefit_difference", 0.02, 0.01, 0.03, finding="nodule", **versus))
    assert decision(read_evidence(evidence_folder(rows), {})) == (
        "At a threshold probability of 0.10, the net benefit of acme lies, with the whole interval, above that of "
        "treating nobody for 2 and above that of treating everybody as well for 1 of 3 findings; it lies below that of "
        "treating nobody for 1."
    )


def test_a_mean_over_one_finding_is_called_the_auc_for_it_and_others_are_told_apart(evidence_folder):
    one, two = (codes.note("mean_over_findings", n=n, findings=("edema", "mass")[:n]) for n in (1, 2))
    rows = [row("auc", 0.8, 0.7, 0.9, finding=f, population=p) for f in ("edema", "mass") for p in ("internal", ELM)]
    less = {"analysis": "drop", "contrast": f"population:{ELM}"}
    rows.append(row("auc_drop", 0.043, -0.037, 0.123, note=one, **less))
    sites = {"analysis": "matrix", "subgroup": "site"}
    for value, note, site in ((0.76, two, "elm"), (0.9, one, "ash")):
        rows.append(row("auc", value, value - 0.1, value + 0.1, note=note, level=site, **sites))
    evidence = read_evidence(evidence_folder(rows), {})
    assert drop(evidence) == (
        "Internal minus external AUC for edema of acme: +0.043 (95% interval −0.037 to +0.123) at elm."
    )
    assert matrix(evidence).startswith("The AUC (at each hospital over the findings evaluable there) runs from 0.760 (")


def test_predictive_values_of_a_weighted_sample_are_not_at_the_prevalence_of_the_test_set(evidence_folder):
    rows = [row(m, 0.4, 0.3, 0.5, finding="mass", at="operating_point=locked") for m in ("ppv", "threshold")]
    frame = joined(["a", "b"], [])
    for weights, where in (((1.0, 9.0), "sampled population"), ((1.0, 1.0), "test set")):
        weighted = frame.with_columns(weight=pl.Series(weights))
        evidence = read_evidence(evidence_folder(rows, joined=weighted), {})
        assert f"at the prevalence of the {where}" in operating(evidence).blocks[0].text
        methods = " ".join(b.text for b in compose_methods(evidence)[0].blocks if isinstance(b, Paragraph))
        assert f"apply at the prevalence of the {where}" in methods
