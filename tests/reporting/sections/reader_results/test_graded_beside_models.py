"""Graded reads beside a model: nothing is said of calls, sampling weights or pooled reads that there are not."""

from __future__ import annotations

import pytest

from overread import codes
from overread.reporting.blocks import Paragraph, Points, Table, within
from overread.reporting.first_page.question import leading_page
from overread.reporting.report_data import read_evidence
from overread.reporting.sections.reader_results.reader_section import readers
from tests.reporting.first_page.test_leading_question import READS, against_readers, row

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
    assert "Pooled readers:" not in said(readers(evidence))
    assert dict(leading_page(evidence).terms)["Pooled readers"] == "The reader."
