"""A child present makes its parent present where the source has a word for the parent; the change is counted."""

import polars as pl

from overread import findings, tables
from overread.cohort.finding_hierarchy import with_parents


def tables_of(rows, sites):
    labels = tables.check(pl.DataFrame(rows, schema=["case_id", "finding", "source", "state"], orient="row"), "labels")
    images = pl.DataFrame({"image_id": list(sites), "patient_id": list(sites), "site": list(sites.values())})
    return labels, tables.check(images, "images")


def states(labels):
    return {(c, f): s for c, f, _, s in labels.rows()}


def test_absent_uncertain_and_unstated_parents_of_what_is_present_become_present():
    rows = [
        ("1", "viral_pneumonia", "r", "present"),
        ("1", "pneumonia", "r", "absent"),
        ("2", "viral_pneumonia", "r", "present"),
        ("2", "pneumonia", "r", "uncertain"),
        ("3", "covid_19", "r", "present"),
        ("4", "viral_pneumonia", "r", "absent"),
        ("4", "pneumonia", "r", "absent"),
        ("5", "viral_pneumonia", "r", "uncertain"),
        ("5", "pneumonia", "r", "absent"),
    ]
    labels, images = tables_of(rows, dict.fromkeys("12345", "a"))
    made, changed = with_parents(labels, images, vocabulary=findings.load())
    found = states(made)
    assert [found[c, "pneumonia"] for c in "12345"] == ["present", "present", "present", "absent", "absent"]
    assert found["3", "viral_pneumonia"] == "present"
    assert ("1", "lung_opacity") not in found, "the source has no word for it"
    assert sorted(changed["case_id"]) == ["1", "2", "3"]


def test_a_site_that_never_states_the_parent_is_left_alone():
    rows = [("1", "nodule", "r", "present"), ("2", "lung_lesion", "r", "absent"), ("2", "nodule", "r", "absent")]
    labels, images = tables_of(rows, {"1": "a", "2": "b"})
    made, changed = with_parents(labels, images, vocabulary=findings.load())
    assert made.equals(labels)
    assert changed.is_empty()
