"""Answers of checklists that once came from a configuration or a template instead of the study."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from overread import codes
from overread.reporting.checklists import RULES
from overread.reporting.report_data import read_evidence

from .conftest import estimate

ROW = estimate("standalone", "auc", 0.8, finding="edema", rater="acme", population="internal", reference="panel")


def line(name, count, **parameters):
    """A line of the account."""
    reason = codes.note(name, **parameters)
    return {"stage": "join", "unit": "labels", "reason": reason, "reason_code": codes.encode(reason), "count": count}


@pytest.fixture
def read(evidence_folder):
    """Reads an evaluation of one AUC, of further rows and of the lines of its account."""

    def made(*account, rows=()):
        return read_evidence(evidence_folder([ROW, *rows], account=list(account) or [line("no_split", 1)]), {})

    return made


def configured(evidence, **config):
    return replace(evidence, run={**evidence.run, "config": {**evidence.config, **config}})


def test_uncertain_labels_are_answered_from_the_account_not_the_configuration(read):
    evidence = configured(read(), uncertain="ignore")
    assert RULES["uncertain_labels"](evidence).text == "No label of an evaluated case was uncertain."
    evidence = configured(read(line("uncertain_recoded", 7, state="absent")), uncertain="ignore")
    assert RULES["uncertain_labels"](evidence).text == "Uncertain labels (7) were taken as absent."


def test_uncertain_labels_of_another_source_are_answered_too(read):
    other = line("other_uncertain_excluded", 35, source="chexpert")
    told = "Uncertain labels of “chexpert” (35) were excluded where it was the reference standard."
    rule = RULES["uncertain_labels"]
    assert rule(read(other)).text == f"No label of the reference standard was uncertain. {told}"
    assert rule(read(line("uncertain_excluded", 7), other)).text == f"Uncertain labels (7) were excluded. {told}"


def test_uncertain_calls_are_answered_like_uncertain_labels(read):
    hedged = line("uncertain_calls_recoded", 426, finding="mass", state="absent")
    assert RULES["uncertain_labels"](read(hedged)).text == (
        "No label of an evaluated case was uncertain. 426 uncertain calls are taken as absent (mass 426)."
    )


def test_scores_of_several_images_are_answered_only_where_a_case_had_several(read):
    evidence = configured(read(line("case_score_combined", 0, how="mean")), case_score="mean")
    assert RULES["predictions"](evidence) is None
    evidence = read(line("case_score_combined", 4, how="max"))
    assert (
        RULES["predictions"](evidence).text
        == "Scores of several images of a case were combined by their max (4 cases)."
    )


def test_the_software_of_the_evaluation_is_not_the_software_that_made_the_scores(read):
    evidence = replace(read(), run={"versions": {"overread": "0.1.0"}})
    assert RULES["devices_software"](evidence) is None
    trained = replace(evidence, models={"acme": {}}, trainings={"acme": {"versions": {"torch": "2.13.0"}}})
    assert RULES["devices_software"](trained).text == "Software: torch 2.13.0."
    assert RULES["devices_software"](replace(trained, models={})) is None


def test_a_split_by_date_or_as_supplied_is_not_called_one_by_patient(read):
    images = pl.DataFrame({"split": ["train", "test"], "patient_id": ["a", "b"]})
    evidence = replace(read(), images=images, cohort=True)
    for config, words in (({"split_by": "time"}, "Split by date: "), ({"split_file": "x.csv"}, "Split as supplied: ")):
        assert RULES["partitions"](replace(evidence, cohort_run={"config": config})).text.startswith(words)


def test_a_model_folder_is_said_to_hold_what_its_record_states(read):
    evidence = replace(read(), models={"acme": {"recipe": {"size": 128}}})
    assert RULES["model_access"](evidence).text == "“acme”: a folder each, with weights and pixel recipe."


def test_another_label_source_is_not_another_handling_of_uncertain_labels(read):
    other = estimate("policies", "auc", 0.8, finding="edema", rater="acme", population="internal", reference="report")
    assert RULES["robustness"](read(rows=[other])).text == "Tried: other reference standards."
    again = {**other, "policy": "uncertain=absent"}
    assert RULES["robustness"](read(rows=[other, again])).text == "Tried: other handling of uncertain labels."


def test_how_a_file_was_read_is_no_missing_data(read):
    kept = line("label_without_image", 7)
    of_file = line("reason_of_file", 500, file="bc1.csv", reason="repeated", kind="labels_repeated")
    evidence = read(kept, of_file, line("reader_is_file", 500, reader="bc1"))
    told = RULES["missing_data"](evidence).text
    assert "labels of cases that the images table lacks" in told
    assert "bc1" not in told


def test_reads_that_are_missing_are_in_the_answer_on_missing_data(read):
    lost = codes.note("reads_missing", n=227, total=1500)
    less = estimate(
        "readers", "sensitivity_difference", -0.1, finding="edema", rater="(readers)", arm="aided", note=lost
    )
    answer = RULES["missing_data"](read(rows=[less])).text
    assert "In the comparison of arms 227 of 1,500 reads are missing; none was imputed. A case without" in answer
    assert "reads are missing" not in RULES["missing_data"](read()).text
