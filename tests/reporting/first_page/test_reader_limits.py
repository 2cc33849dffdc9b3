"""Limits of answers about readers: findings that no model scores, references without a number, few cases read."""

from __future__ import annotations

import math

import polars as pl

from overread.reporting.first_page.answer_limits.study_limits import limitations
from overread.reporting.first_page.question import leading_page
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.reader_results.reader_titles import arms
from tests.reporting.first_page.test_leading_question import against_readers, in_two_arms, joined
from tests.reporting.first_page.test_study_limits import limits_of, line


def test_cases_without_a_label_are_of_the_findings_that_a_model_scores(evidence_folder):
    own = [r for r in against_readers() if r["rater"] == "r1" and r["reference"] == "panel"]
    rows = [*against_readers(), *({**r, "finding": "fracture"} for r in own)]
    lines = [
        line("read_not_labelled", n, "cases", finding=f, reference="panel") for n, f in ((2, "mass"), (9, "fracture"))
    ]
    found = limits_of(evidence_folder, rows, account=lines)
    assert found["cases read without a label"].startswith("Read, but without a label: 2 cases by the label panel. ")


def test_a_derived_reference_without_a_number_for_a_scored_finding_is_not_on_the_page(evidence_folder):
    lost = {"estimate": math.nan, "reference": "dawid-skene"}
    rows = [*against_readers(), *({**r, **lost} for r in against_readers() if r["reference"] == "majority")]
    own = [r for r in against_readers() if r["rater"] == "r1" and r["reference"] == "majority"]
    rows += [
        {**r, "reference": "dawid-skene", "finding": "fracture"} for r in own
    ]  # identified, but no model scores it
    evidence = read_evidence(evidence_folder(rows), {})
    assert arms(evidence)[0].references == ("panel", "majority")
    assert limitations(evidence)[-1].head == "1 of 2 reference standards is derived from reads of these readers."
    assert "Dawid" not in leading_page(evidence).figure.caption


def test_few_cases_present_among_those_read_are_a_limit_once(evidence_folder):
    rows = [{**r, "n_present": 11} for r in in_two_arms()]
    found = limitations(read_evidence(evidence_folder(rows), {}))
    (few,) = [x for x in found if x.short == "few cases of some findings"]
    assert (few.head, few.text) == ("Fewer than 50 cases present:", "mass (11). The intervals are wide.")
    assert (few.rank, few.link) == (10, "arms")
    found = limits_of(evidence_folder, [{**r, "n_absent": 9} for r in in_two_arms()])
    assert found["few cases without some findings"] == (
        "Fewer than 50 cases absent: mass (9). The intervals of specificity are wide."
    )
    found = limits_of(evidence_folder, [{**r, "n_present": 0} for r in in_two_arms()])
    assert found["findings with cases of one class"] == (
        "No case with the finding: mass. No sensitivity and no AUC can be estimated."
    )
    found = limitations(read_evidence(evidence_folder(against_readers()), {}))  # models and readers on the same cases
    assert [(x.text, x.link) for x in found if x.short == "few cases of some findings"] == [
        ("mass (40). The intervals are wide.", "readers")
    ]


def test_reads_that_some_readers_did_not_make_limit_the_answer_beside_models(evidence_folder):
    short = "not every reader read every case"
    reads = [joined([], cases).with_columns(rater=pl.lit(r)) for r, cases in (("r1", "abcd"), ("r2", "abc"))]
    made = pl.concat(reads).with_columns(finding=pl.lit("mass"), call=pl.lit("present"), score=pl.lit(None, pl.Float64))
    evidence = read_evidence(evidence_folder(against_readers(), joined=made), {})
    (limit,) = [x for x in limitations(evidence) if x.short == short]
    assert (limit.rank, limit.link) == (3, "readers")
    assert limit.text.startswith("Pairs of reader and case without a read: 1 of 8. Whether by design is not recorded.")
    many = [joined([], [c]).with_columns(rater=pl.lit(f"s{c}")) for c in "efghijk"]
    call = pl.lit("present").alias("call"), pl.lit(None, pl.Float64).alias("score")
    pool = pl.concat([made, *(m.with_columns(*call) for m in many)])
    (limit,) = [
        x for x in limitations(read_evidence(evidence_folder(against_readers(), joined=pool), {})) if x.short == short
    ]
    assert limit.rank == 9  # 14 reads in 99 pairs: cases were given to readers
    each_once = made.filter(pl.col("case_id").is_in(["a", "b"]) == (pl.col("rater") == "r1"))
    assert short not in limits_of(evidence_folder, against_readers(), joined=each_once)
    assert short not in limits_of(evidence_folder, against_readers(), joined=made.filter(pl.col("case_id") != "d"))
