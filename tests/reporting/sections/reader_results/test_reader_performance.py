"""Readers without a model on the page: calls of three readers, by a label and by what their reads make."""

from __future__ import annotations

import json

import polars as pl
import pytest

from overread import codes, integrity, reporting
from overread.reporting import checklists
from overread.reporting.blocks import Cell, Figure, Paragraph, Points, Table, within
from overread.reporting.checklists.filled_checklists import NONE
from overread.reporting.report_data import read_evidence
from overread.reporting.sections import study_notes, summary
from overread.reporting.sections.reader_results.reader_section import readers
from overread.reporting.sections.reader_results.reader_titles import most_reads
from tests.reporting.sections.reader_results import reader_rows


@pytest.fixture
def folder(tmp_path, write_folder):
    """The folder of an evaluation of given rows, without a model."""

    def made(rows, **config):
        written = write_folder(tmp_path / "evaluation", rows)
        run = json.loads((written / "run.json").read_text(encoding="utf-8"))
        run["config"] |= {"roles": {}, "uncertain_calls": "absent"} | config
        integrity.write_sealed(written / "run.json", run)
        return written

    return made


@pytest.fixture
def calls(folder):
    """Evidence of the calls of three readers."""
    return read_evidence(folder(reader_rows.call_rows()), {})


def words(section):
    """Everything that a section says."""
    said = [section.title, section.answer]
    for block in within(section.blocks):
        if isinstance(block, Paragraph):
            said.append(block.text)
        elif isinstance(block, Points):
            said += block.items
        elif isinstance(block, Table):
            cells = [c for row in (*block.head, *block.rows) for c in row]
            said += [block.caption, block.remark, *(c.text for c in cells), *(n for _, n in block.footnotes)]
        elif isinstance(block, Figure):
            said.append(block.caption)
    return " ".join(said)


def tables_of(section):
    return [b for b in within(section.blocks) if isinstance(b, Table)]


def test_no_word_is_about_a_model(calls):
    section = readers(calls)
    assert section.title == "Readers"
    assert "model" not in words(section).lower().replace("dawid–skene model", "").replace("dawid-skene model", "")


def test_stated_references_come_first_and_derived_ones_say_so(calls):
    first = tables_of(readers(calls))[0]
    assert [r[0].text for r in first.rows[1:]] == [
        "Label adjudicated",
        "Majority of the other readers (derived)",
        "Majority of the readers (derived)",
        "Dawid–Skene (derived)",
    ]


def test_calls_have_no_column_for_an_auc(calls):
    for table in tables_of(readers(calls)):
        assert "AUC" not in [c.text for c in table.head[-1]]


def test_the_answer_is_by_the_stated_reference(calls):
    assert readers(calls).answer == (
        "By the label adjudicated, the readers together have a sensitivity of 0.800 (0.750–0.850) and specificity of "
        "0.900 (0.850–0.950)."
    )


def test_each_reader_is_in_the_forest_with_most_reads_first(calls):
    figure = next(b for b in readers(calls).blocks if isinstance(b, Figure))
    rows = figure.numbers.filter(figure.numbers["panel"].str.starts_with("Sensitivity"))
    assert rows["row"].to_list() == ["Pooled readers", "R1", "R2", "R10"]


def test_notes_on_the_reference_stand_once_for_each_finding(calls):
    section = readers(calls)
    assert words(section).count("converged after 138 iterations") == 1
    assert "no CI: fewer than 10 reads of the class" in words(section)


def test_a_reference_made_from_the_reads_is_said_to_overestimate(calls):
    said = words(readers(calls))
    assert "The majority of the readers (derived) and Dawid–Skene (derived) were made from the reads" in said
    assert "favour" not in said


def test_the_study_in_a_sentence_names_readers_reads_and_references(calls):
    assert summary.study_paragraph(calls) == (
        "3 readers; at most 240 reads of 114 cases per estimate; 1 finding (pneumothorax). Reference standard: the "
        "label adjudicated, the majority of the other readers (derived), the majority of the readers (derived) and "
        "Dawid–Skene (derived)."
    )


def test_reads_and_cases_of_different_estimates_are_not_joined():
    """705 reads are of 117 cases, and another estimate is of 120; a reader without reads in the arm is not counted."""
    of_reads = codes.encode(codes.note("reads_pooled", n=705))
    rows = [("(readers)", "majority", 117, of_reads), ("(readers)", "", 120, ""), ("R1", "majority", 100, "")]
    rows += [("R2", "majority", 90, ""), ("R3", "majority", None, "")]
    frame = pl.DataFrame(rows, schema=["rater", "reference", "n_cases", "note_codes"], orient="row")
    frame = frame.with_columns(arm=pl.lit("unaided"), at=pl.lit(""), contrast=pl.lit(""))
    assert most_reads(frame) == "2 readers; at most 705 reads (of 117 cases) and at most 120 cases per estimate"
    assert most_reads(frame.filter(n_cases=117)) == "0 readers; at most 705 reads of 117 cases per estimate"


def test_reasons_are_grouped_without_the_notes_of_the_reference(folder):
    lost = {"rater": "R3", "finding": "pneumothorax", "method": None}
    rows = [
        reader_rows.row(
            "sensitivity",
            float("nan"),
            **lost,
            reference=reference,
            note=codes.notes(codes.note("no_cases_of_class", outcome="present"), note),
        )
        for reference, note in (
            ("majority", codes.note("reference_from_readers")),
            ("majority of the others", codes.note("reader_not_in_reference")),
            ("adjudicated", None),
        )
    ]
    section = study_notes.not_computed(read_evidence(folder([*reader_rows.call_rows(), *rows]), {}))
    for table in [t for t in tables_of(section) if t.caption.startswith("Not computed")]:
        assert [r[0].text for r in table.rows] == ["NE: no case had the finding present"]
        assert table.head[0][5] == Cell("Reader")


def test_parts_of_an_analysis_of_variance_are_not_said_to_lack_an_interval(folder):
    section = study_notes.not_computed(read_evidence(folder(reader_rows.arm_rows()), {}))
    assert section.blocks[0].text.startswith(
        "30 estimates in all; 0 could not be computed and 0 have no CI. 12 are of a kind without a CI (parts of an "
        "analysis of variance)."
    )


def items(evidence):
    names = {name: name for name in ("top", "limits", "methods", "readers", "arms", "account")}
    return {(r.guideline.name, r.item.topic): r for r in checklists.filled(evidence, names)}


def test_items_about_a_model_do_not_apply_without_one(calls):
    found = items(calls)
    assert found["CLAIM", "model_kind"].answered == NONE
    assert found["CLAIM", "model_kind"].text == "Not applicable: no model was evaluated."
    assert found["CLAIM", "measures"].answered != NONE


def test_items_about_a_model_apply_where_readers_were_aided(folder):
    rows = [
        r | {"arm": r["arm"].replace("cine", "aided"), "level": r["level"].replace("cine", "aided")}
        for r in reader_rows.arm_rows()
    ]
    found = items(read_evidence(folder(rows), {}))
    assert found["CLAIM", "model_kind"].answered != NONE


def test_what_the_authors_state_is_an_answer_also_without_a_model(folder):
    given = {"statements": {"model_kind": "No model was used."}}
    found = items(read_evidence(folder(reader_rows.call_rows()), given))
    assert found["CLAIM", "model_kind"].text == "No model was used."


@pytest.mark.slow
def test_the_page_does_not_list_sections_on_models_as_not_shown(folder, tmp_path):
    page = reporting.write(folder(reader_rows.call_rows()), tmp_path / "out", study={"title": "Reads"})
    text = page.read_text(encoding="utf-8")
    assert "sections on models (no model was evaluated)" in text
    assert "calibration (" not in text
    assert "external site" not in text


def graded_agreement(arms=("1", "2")):
    """Agreement on grades of three readers in two arms, without any reference standard."""
    rows = []
    for arm in arms:
        own = {"analysis": "agreement", "reference": "", "arm": arm, "n_present": None, "n_absent": None}
        rows.append(reader_rows.row("percent_agreement", 0.3, 0.2, 0.4, at="grades=equal", **own))
        rows += [
            reader_rows.row("cohen_kappa", 0.2, 0.1, 0.3, at=f"reader={second};weights=linear", rater=first, **own)
            for first, second in (("R1", "R2"), ("R1", "R3"), ("R2", "R3"))
        ]
    return rows


def test_graded_reads_without_a_reference_standard_have_their_agreement_only(folder):
    """They have no row of performance: there is no call of which to take a majority."""
    found = read_evidence(folder(graded_agreement(), baseline_arm="1"), {})
    section = readers(found)
    assert [b.text for b in section.blocks if isinstance(b, Paragraph) and b.kind == "heading"] == ["Agreement"]
    captions = [t.caption for t in tables_of(section)]
    assert "Agreement among readers on grades (arm 1)." in captions
    assert "Agreement among readers on grades (arm 2)." in captions
    assert summary.study_paragraph(found).startswith("3 readers; at most 114 cases per estimate")


def test_a_further_arm_is_not_judged_by_what_the_reads_of_the_first_made(folder):
    """Side by side the majority of the unaided reads would compare the arms, which it favours one of."""
    aided = [r | {"arm": "aided", "level": "aided"} for r in reader_rows.call_rows()]
    section = readers(read_evidence(folder([*reader_rows.call_rows(), *aided]), {}))
    together = next(t for t in tables_of(section) if t.caption.startswith("Readers together"))
    assert [(r[0].text, r[1].text) for r in together.rows[1:]] == [
        ("Label adjudicated", "unaided"),
        ("Label adjudicated", "aided"),
        ("Majority of the other readers (derived)", "unaided"),
        ("Majority of the other readers (derived)", "aided"),
        ("Majority of the readers (derived)", "unaided"),
        ("Dawid–Skene (derived)", "unaided"),
    ]
    assert section.answer.startswith("By the label adjudicated, the readers together have a sensitivity of 0.800")
    assert section.answer.endswith("in aided reading.")
    assert "Only the reads “unaided” are judged by them" in words(section)
    assert "Pneumothorax, aided: each reader" in words(section)
    assert not any("aided-pneumothorax-majority." in b.name for b in within(section.blocks) if isinstance(b, Figure)
                   and "unaided" not in b.name)  # fmt: skip
