"""The first page of reads without a stated reference standard: it leads with agreement, never with rates."""

from __future__ import annotations

import math

import polars as pl
import pytest

from overread import codes
from overread.reporting.blocks import Section
from overread.reporting.first_page.answer_limits.study_limits import limitations
from overread.reporting.first_page.contents import parts
from overread.reporting.first_page.question import AGREEMENT, ARMS, READERS_ALONE, leading, leading_page
from overread.reporting.report_data import read_evidence
from tests.reporting.first_page.test_leading_question import READS, in_two_arms, page_of, row
from tests.reporting.first_page.test_study_limits import line

NUMBERS = {"mass": 261, "pneumothorax": 165}  # uncertain calls
READ = {**READS, "level": "unaided", "arm": "unaided", "rater": "(readers)"}


def agreement(finding, percent, kappa, *, metric="fleiss_kappa", at="", equal_at=""):
    """Percent agreement and a kappa of a finding, each with an interval of 0.02 either way; a kappa may be None."""
    more = {**READ, "analysis": "agreement", "finding": finding, "n_readers": 4, "reference": ""}
    rows = [row("percent_agreement", percent, percent - 0.02, percent + 0.02, at=equal_at, **more)]
    value = math.nan if kappa is None else kappa
    return [*rows, row(metric, value, value - 0.02, value + 0.02, at=at, **more)]


def derived(reference="majority"):
    """The rates of the pooled readers under a reference."""
    more = {**READ, "finding": "mass", "reference": reference}
    return [row(m, v, v - 0.1, v + 0.1, **more) for m, v in (("sensitivity", 0.7), ("specificity", 0.8))]


def test_reads_without_a_stated_reference_lead_with_the_range_of_agreement_over_findings(evidence_folder):
    rows = [*agreement("no_finding", 0.7, 0.3), *agreement("mass", 0.9, 0.5), *agreement("nodule", 0.8, 0.6)]
    evidence, page = page_of(evidence_folder, [*rows, *derived()])
    assert leading(evidence) == AGREEMENT
    assert page.question == "How far do the readers agree?"
    assert page.answer == (
        "Among 4 readers, Fleiss κ runs from 0.500 (95% interval 0.480 to 0.520) for mass to 0.600 (0.580 to 0.620) "
        "for nodule, and percent agreement from 80.0% (nodule) to 90.0% (mass)."
    )
    assert "sensitivity" not in page.answer.lower()
    assert [r[0].text for r in page.table.rows] == ["Mass", "Nodule", "No finding"]
    assert page.table.rows[0][2].text == "90.0 (88.0–92.0)"
    assert "derived from the same reads" in page.more
    section = parts([Section(n, n, ("x",)) for n in ("methods", "readers")], AGREEMENT)
    assert section[0].title == "Readers"


def test_a_stated_reference_leads_with_the_rates(evidence_folder):
    evidence, _ = page_of(evidence_folder, [*agreement("mass", 0.9, 0.5), *derived("panel")])
    assert leading(evidence) == READERS_ALONE


def test_of_one_finding_percent_and_kappa_are_given(evidence_folder):
    _, page = page_of(evidence_folder, agreement("mass", 0.9, 0.5))
    assert page.answer == (
        "Percent agreement among 4 readers for mass is 90.0% (95% interval 88.0% to 92.0%), and Fleiss κ 0.500 "
        "(0.480 to 0.520)."
    )
    assert dict(page.facts) == {"readers": "4", "cases": "200", "patients": "150", "finding": "1"}


def test_cases_of_the_answer_are_those_with_two_reads(evidence_folder):
    """Measures with the categories of all reads also count cases with one read."""
    rows = [r if r["metric"] == "percent_agreement" else r | {"n_cases": 260} for r in agreement("mass", 0.9, 0.5)]
    _, page = page_of(evidence_folder, rows)
    assert dict(page.facts)["cases"] == "200"


def test_without_fleiss_kappa_another_measure_leads(evidence_folder):
    rows = [*agreement("mass", 0.9, None), *agreement("mass", 0.9, 0.8, metric="gwet_ac1")[1:]]
    _, page = page_of(evidence_folder, rows)
    assert page.answer.endswith("and Gwet AC1 0.800 (0.780 to 0.820).")


def test_grades_lead_with_the_weighted_kappa(evidence_folder):
    rows = [*agreement("mass", 0.9, 0.5), *agreement("mass", 0.6, 0.7, at="weights=quadratic", equal_at="grades=equal")]
    _, page = page_of(evidence_folder, rows)
    assert page.answer == (
        "The proportion of equal grades among 4 readers for mass is 60.0% (95% interval 58.0% to 62.0%), and "
        "quadratically weighted Fleiss κ 0.700 (0.680 to 0.720)."
    )


def test_prespecified_findings_go_before_the_others(evidence_folder):
    rows = [*agreement("mass", 0.9, 0.5), *agreement("nodule", 0.8, 0.6)]
    evidence = read_evidence(evidence_folder(rows), {})
    object.__setattr__(evidence, "run", {"config": {"findings": ["nodule"]}})
    page = leading_page(evidence)
    assert "for nodule is 80.0%" in page.answer
    assert "mass" not in page.answer
    assert [r[0].text for r in page.table.rows] == ["Nodule", "Mass"]


def test_blocks_of_readers_have_a_table(evidence_folder):
    rows = agreement("mass", 0.9, 0.5)
    rows += agreement("mass", 0.95, 0.8, at="block=1", equal_at="block=1")
    rows += agreement("mass", 0.85, 0.4, at="block=2", equal_at="block=2")
    _, page = page_of(evidence_folder, rows)
    assert "Fleiss κ runs from 0.400 to 0.800" in page.more
    assert [r[0].text for r in page.detail[0].rows] == ["Block 1: 4 readers", "Mass", "Block 2: 4 readers", "Mass"]


def test_a_kappa_of_one_block_alone_is_no_range_and_the_reason_of_the_other_is_given(evidence_folder):
    rows = agreement("mass", 1.0, 1.0)
    rows += agreement("mass", 1.0, None, at="block=1", equal_at="block=1")
    rows[-1] |= {"note_codes": codes.encode(codes.note("single_category"))}
    rows += agreement("mass", 1.0, 1.0, at="block=2", equal_at="block=2")
    _, page = page_of(evidence_folder, rows)
    assert (
        "agreement within each of 2 blocks of several readers is in the table, where Fleiss κ is 1.000 in block 2; it "
        "could not be computed in block 1 (only one category was used)."
    ) in page.more


def test_cases_are_those_with_two_or_more_reads(evidence_folder):
    share, kappa = agreement("mass", 0.9, 0.5)
    _, page = page_of(evidence_folder, [share, {**kappa, "n_cases": 230}])
    assert page.table.rows[0][1].text == "200"
    assert page.table.note == "With 95% interval. Cases: with two or more reads."


def test_what_uncertain_calls_count_as_is_said(evidence_folder):
    unsure = [line("uncertain_calls_recoded", n, "reads", finding=f, state="absent") for f, n in NUMBERS.items()]
    _, page = page_of(evidence_folder, agreement("mass", 0.9, 0.5), account=unsure)
    assert "426 uncertain calls are taken as absent (mass 261 and pneumothorax 165)." in page.more


def test_the_figure_has_kappa_with_its_interval(evidence_folder):
    _, page = page_of(evidence_folder, [*agreement("mass", 0.9, 0.5), *agreement("nodule", 0.8, 0.6)])
    numbers = page.figure.numbers.filter(pl.col("row") == "Mass")
    assert numbers["estimate"].to_list() == [pytest.approx(0.5)]
    assert numbers["low"].to_list() == [pytest.approx(0.48)]


def test_a_reference_standard_that_does_not_exist_is_not_missed(evidence_folder):
    evidence, _ = page_of(evidence_folder, agreement("mass", 0.9, 0.5))
    assert "reference labels not described" not in [each.short for each in limitations(evidence)]


def in_aided_reading(rows):
    """The same rows of the arm "aided"."""
    return [{**r, "level": "aided", "arm": "aided"} for r in rows]


def test_of_several_arms_the_agreement_says_which(evidence_folder):
    rows = [*agreement("mass", 0.8, 0.5), *in_aided_reading(agreement("mass", 0.9, 0.6))]
    _, page = page_of(evidence_folder, rows)
    assert page.answer == (
        "Percent agreement among 4 readers in unaided reading for mass is 80.0% (95% interval 78.0% to 82.0%), and "
        "Fleiss κ 0.500 (0.480 to 0.520); in aided reading 90.0% (95% interval 88.0% to 92.0%), and Fleiss κ 0.600 "
        "(0.580 to 0.620)."
    )


def test_a_comparison_of_arms_under_an_allowed_reference_leads_before_agreement(evidence_folder):
    compared = [{**r, "reference": "majority of the others"} for r in in_two_arms()]
    rows = [*agreement("mass", 0.8, 0.5), *in_aided_reading(agreement("mass", 0.9, 0.6)), *compared]
    evidence, page = page_of(evidence_folder, rows)
    assert leading(evidence) == ARMS
    assert page.more.endswith(
        "No reference standard was supplied. Percent agreement of the readers: 80.0% (95% interval 78.0% to 82.0%) in "
        "unaided reading and 90.0% (95% interval 88.0% to 92.0%) in aided reading."
    )
    lost = [{**r, "estimate": math.nan} if r["contrast"] else r for r in rows]
    assert leading(page_of(evidence_folder, lost)[0]) == AGREEMENT


def test_cases_that_were_taken_as_patients_are_not_counted_as_patients(evidence_folder):
    own = [line("case_is_own_patient", 200)]
    _, page = page_of(evidence_folder, agreement("mass", 0.9, 0.5), account=own)
    assert dict(page.facts) == {"readers": "4", "cases": "200", "finding": "1"}
