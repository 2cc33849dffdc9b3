"""Uncertain calls of readers as a limit of the answer."""

from __future__ import annotations

import polars as pl
import pytest

from overread.reporting.first_page.answer_limits.call_limits import uncertain_calls
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.reader_results.arm_section import comparison_of_arms
from tests.reporting.first_page.test_leading_question import READS, against_readers, joined, row
from tests.reporting.first_page.test_study_limits import line

ABSENT, PRESENT = "uncertain=ignore;uncertain_call=absent", "uncertain=ignore;uncertain_call=present"
HEDGED = [line("uncertain_calls_recoded", 9, "reads", finding="mass", state="absent")]


def limit(evidence_folder, rows, n=100):
    """The limit of rows, with so many reads with a call."""
    cases = joined(["c0"], [f"c{k}" for k in range(n)])
    cases = cases.with_columns(call=pl.when(pl.col("arm") != "model").then(pl.lit("absent")))
    settings = {"uncertain_calls": "absent"}
    (found,) = uncertain_calls(
        read_evidence(evidence_folder(rows, settings=settings, joined=cases, account=HEDGED), {})
    )
    return found


@pytest.mark.parametrize(
    ("value", "rank", "text"),
    [
        (
            -0.02,
            4,
            "Another handling changes the sign in none, and whether the interval includes 0 in 1, of 1 difference "
            "between a model and the readers. acme for mass, difference in sensitivity: −0.20 (95% interval −0.25 to "
            "−0.15); if taken as present, −0.02 (−0.07 to +0.03).",
        ),
        (
            0.1,
            4,
            "Another handling changes the sign in 1, and whether the interval includes 0 in 1, of 1 difference "
            "between a model and the readers. acme for mass, difference in sensitivity: −0.20 (95% interval −0.25 to "
            "−0.15); if taken as present, +0.10 (+0.05 to +0.15).",
        ),
        (
            -0.3,
            12,
            "Another handling changes neither the sign nor whether the interval includes 0 (1 difference between a "
            "model and the readers).",
        ),
    ],
)
def test_another_handling_that_moves_the_result_beside_models_is_told(evidence_folder, value, rank, text):
    rows = [{**r, "policy": ABSENT} for r in against_readers()]
    less = next(r for r in rows if r["metric"] == "sensitivity_difference" and r["reference"] == "panel")
    rows.append({**less, "policy": PRESENT, "estimate": value, "low": value - 0.05, "high": value + 0.05})
    found = limit(evidence_folder, rows)
    assert found.head == "9 of 100 calls of readers are uncertain and taken as absent."
    assert (found.rank, found.text) == (rank, text)


def arms_of_calls(aided):
    """Sensitivity in two arms, and that of the pooled reads where uncertain calls are taken as present."""
    rows = []
    for arm, value, other in (("unaided", 0.6, 0.7), ("cine", 0.65, aided)):
        own = {**READS, "level": arm, "arm": arm, "finding": "mass", "reference": "panel", "policy": ABSENT}
        rows += [row("sensitivity", value, 0.5, 0.8, rater=r, **own) for r in ("(readers)", "r1", "r2")]
        rows.append(row("sensitivity", other, 0.5, 0.8, rater="(readers)", **(own | {"policy": PRESENT})))
    test = {"at": "test=u-statistic", "contrast": "arm:unaided", "rater": "(readers)"}
    return [*rows, row("sensitivity_difference", 0.05, 0.01, 0.09, p=0.02, n_readers=2, **{**own, **test})]


def test_another_handling_is_told_of_the_pooled_reads_where_arms_are_compared(evidence_folder):
    found = limit(evidence_folder, arms_of_calls(0.8))
    assert (found.rank, found.text) == (
        9,
        "Sensitivity for mass, cine minus unaided: +0.050 of the pooled reads, +0.100 if taken as present. The "
        "difference was not tested with another handling.",
    )
    found = limit(evidence_folder, arms_of_calls(0.68))
    assert found.rank == 4
    assert "−0.020 if taken as present, with the other sign." in found.text


def test_the_sentence_for_a_paper_says_what_uncertain_calls_count_as(evidence_folder):
    def manuscript(**more):
        section = comparison_of_arms(read_evidence(evidence_folder(arms_of_calls(0.8), **more), {}))
        return str(section.blocks)

    assert "; uncertain calls taken as absent; reference standard: the label panel)" in manuscript(account=HEDGED)
    assert "uncertain calls" not in manuscript()
