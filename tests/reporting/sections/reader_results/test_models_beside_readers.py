"""Models beside graded reads, and beside one reader: what is compared is told, and nothing of what there is not."""

from __future__ import annotations

import pytest

from overread import codes
from overread.reporting.blocks import Paragraph, Points, Table, within
from overread.reporting.first_page.answer_limits import reader_limits
from overread.reporting.first_page.question import READER_STUDY, leading, leading_page
from overread.reporting.report_data import read_evidence
from overread.reporting.sections import section_answers
from overread.reporting.sections.reader_results.reader_section import readers
from tests.reporting.first_page.test_leading_question import NONE, READS, against_readers, row

TEST = "test=obuchowski-rockette"
MASS = {**READS, "level": "unaided", "finding": "mass", "reference": "panel"}


def graded_rows(**cutoff):
    """The AUC of a model and of the mean of two readers, and the difference."""
    people = {**MASS, "arm": "unaided"}
    rows = [row("auc", 0.922, 0.877, 0.968, at=TEST, **MASS)]
    rows.append(row("auc", 0.909, 0.863, 0.940, at=TEST, rater="(readers)", n_readers=2, **people))
    more = {"contrast": "rater:(readers)", "p": 0.56}
    rows.append(row("auc_difference", 0.014, -0.033, 0.061, at=TEST, n_readers=2, **MASS, **more))
    rows += [row("auc", 0.9, 0.8, 0.95, rater=r, **people) for r in ("A", "B")]
    rows += [row(m, 0.9, 0.8, 0.95, rater="A", **people, **cutoff) for m in ("sensitivity", "specificity") if cutoff]
    return rows


def said(section):
    """The remarks and paragraphs of a section."""
    text = []
    for block in within(section.blocks):
        text += block.items if isinstance(block, Points) else [block.text] if isinstance(block, Paragraph) else []
    return " ".join(text)


def section_of(evidence_folder, rows):
    """The section on readers, with a model that has an AUC of its own."""
    alone = row("auc", 0.9, 0.85, 0.95, finding="mass")
    return readers(read_evidence(evidence_folder([alone, *rows]), {}))


def test_graded_reads_are_said_to_be_compared_by_the_auc_and_to_need_a_cutoff(evidence_folder):
    section = section_of(evidence_folder, graded_rows())
    text = said(section)
    assert "that of the model is compared with the mean of the readers" in text
    assert "The rates of the readers alone need a cutoff of the grades (rating_cutoffs)." in text
    assert "weight" not in text
    assert "calls of a reader" not in text
    tables = [b for b in section.blocks if isinstance(b, Table)]
    assert [t.caption for t in tables] == ["Mass: AUCs of graded reads; readers and cases are random."]
    assert not any("pooled readers" in t.caption for t in within(section.blocks) if isinstance(t, Table))


def test_a_known_cutoff_is_not_asked_for(evidence_folder):
    text = said(section_of(evidence_folder, graded_rows(at="rating_cutoff=3")))
    assert "needs calls, present or absent." in text
    assert "rating_cutoffs" not in text


@pytest.mark.parametrize(
    ("note", "words", "term"),
    [
        (codes.note("reads_pooled", n=800), "each read has the same weight", "each with the same weight"),
        (codes.NONE, "weighted by the sampling weights of their cases", "weighted by the sampling weights"),
    ],
)
def test_pooled_reads_are_weighted_only_with_sampling_weights(evidence_folder, note, words, term):
    rows = [r | {"note_codes": codes.encode(note)} if r["rater"] == "(readers)" else r for r in against_readers()]
    rows += [r | {"rater": "r2"} for r in against_readers() if r["rater"] == "r1"]
    evidence = read_evidence(evidence_folder(rows), {})
    assert words in said(readers(evidence))
    assert "not a curve" in said(readers(evidence))
    assert term in dict(leading_page(evidence).terms)["Pooled readers"]


def test_of_one_reader_no_pooling_is_told(evidence_folder):
    evidence = read_evidence(evidence_folder(against_readers()), {})
    section = readers(evidence)
    assert "Pooled readers:" not in said(section)
    assert "Pooled readers" not in dict(leading_page(evidence).terms)
    tables = [b for b in within(section.blocks) if isinstance(b, Table)]
    names = {row[0].text for t in tables for row in t.rows}
    assert {"The reader", "r1"} <= names
    assert "Pooled readers" not in names


ONE = codes.note("no_second_reader")


def one_reader(*, models=("acme",), note=ONE):
    """Models against the calls of one reader by the panel's label, without an interval."""
    more = {**NONE, "note": note, "n_readers": 1}
    at = {"at": "specificity=readers"}
    rows = [row("auc", 0.8, 0.7, 0.9, finding="mass", rater=m) for m in models]
    for k, m in enumerate(models):
        own = {**MASS, **at, **more, "rater": m}
        rows.append(row("sensitivity_at_specificity", 0.7069 + k / 10, **own))
        rows.append(row("sensitivity_difference", -0.0862 + k / 10, contrast="rater:(readers)", **own))
    people = {**MASS, "arm": "unaided", **more}
    rows += [row(m, v, rater="(readers)", **people) for m, v in (("sensitivity", 0.7931), ("specificity", 0.804))]
    return [*rows, row("sensitivity", 0.7931, rater="R0", **people), row("specificity", 0.804, rater="R0", **people)]


def test_the_estimate_against_one_reader_is_told_without_an_interval(evidence_folder):
    evidence = read_evidence(evidence_folder(one_reader()), {})
    page = leading_page(evidence)
    answer = (
        "By the label panel, the sensitivity of acme for mass at the specificity of the reader is 0.71 and that of the "
        "reader 0.79, a difference of −0.09. It has no interval, because there is one reader."
    )
    assert page.question == "At the specificity of the reader, is the sensitivity of the model as high?"
    assert page.answer == section_answers.readers(evidence) == answer
    assert "whole interval" not in page.more
    assert [c.text for c in page.table.rows[1]][2:] == ["0.80", "0.79", "0.71"]
    assert page.figure.caption.startswith("No difference has an interval.")
    assert reader_limits.few_readers(evidence)[0].text == (
        "The results are those of this reader: there is no interval for readers in general."
    )


def test_several_models_against_one_reader_have_the_range(evidence_folder):
    few = codes.note("few_patients_smaller_class", n=6, least=10)
    evidence = read_evidence(evidence_folder(one_reader(models=("acme", "beta"), note=few)), {})
    assert leading_page(evidence).answer == (
        "By the label panel, the sensitivity of the models at the specificity of the reader, minus that of the reader, "
        "runs from −0.09 (acme for mass) to +0.01 (beta for mass) in 2 comparisons. None has an interval, because the "
        "smaller class has 6 patients (10 are required)."
    )


def test_grades_lead_with_the_difference_from_the_mean_of_the_readers(evidence_folder):
    alone = row("auc", 0.9, 0.85, 0.95, finding="mass")
    evidence = read_evidence(evidence_folder([alone, *graded_rows()]), {})
    page = leading_page(evidence)
    answer = (
        "By the label panel, the AUC of acme for mass is 0.922 and the mean AUC of the readers 0.909, a difference of "
        "+0.014 (95% interval −0.033 to +0.061); the interval includes 0."
    )
    assert leading(evidence) == READER_STUDY
    assert page.question == "Does acme tell radiographs with a finding from those without as well as the readers?"
    assert page.answer == section_answers.readers(evidence) == answer
    cells = [[c.text for c in r] for r in page.table.rows]
    assert cells == [
        ["Mass"],
        ["acme", "40 / 160", "0.922 (0.877–0.968)", "+0.014 (−0.033 to +0.061)", "0.56"],
        ["Mean of the readers", "40 / 160", "0.909 (0.863–0.940)", "", ""],
    ]
    assert page.figure.numbers["row"].unique(maintain_order=True).to_list() == ["acme", "Mean of the readers", "A", "B"]


def test_several_graded_comparisons_have_the_range_and_are_said_to_be_unadjusted(evidence_folder):
    alone = [row("auc", 0.9, 0.85, 0.95, finding="mass", rater=m) for m in ("acme", "beta")]
    other = [
        {**r, "rater": "beta", "estimate": 0.07, "low": 0.02, "high": 0.12} for r in graded_rows() if r["contrast"]
    ]
    page = leading_page(read_evidence(evidence_folder([*alone, *graded_rows(), *other]), {}))
    assert page.answer == (
        "By the label panel, the AUC of the models minus the mean of the readers runs from +0.014 (95% interval −0.033 "
        "to +0.061) for acme for mass to +0.070 (+0.020 to +0.120) for beta for mass; the whole interval lies below 0 "
        "in none and above 0 in 1 of 2 comparisons."
    )
    assert "not adjusted" in page.more


def test_grades_of_one_reader_are_compared_without_an_interval(evidence_folder):
    alone = row("auc", 0.9, 0.85, 0.95, finding="mass")
    mean, less = graded_rows()[1], {**graded_rows()[2], **NONE, "note_codes": codes.encode(ONE)}
    rows = [alone, graded_rows()[0], {**mean, **NONE}, less, graded_rows()[3]]
    page = leading_page(read_evidence(evidence_folder(rows), {}))
    assert page.answer == (
        "By the label panel, the AUC of acme for mass is 0.922 and that of the reader 0.909, a difference of +0.014. "
        "It has no interval, because there is one reader."
    )
    assert [r[0].text for r in page.table.rows] == ["Mass", "acme", "The reader"]
    assert "readers like these" not in page.more
