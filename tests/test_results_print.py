"""Results with tables print their counts, not the tables."""

from pathlib import Path

import polars as pl

import overread as ov
from overread.cohort.building import Cohort
from overread.cohort.reader_samples import Sample
from overread.findings import load
from overread.images.deidentification.folder_run import Result
from overread.protocol import PredictionResult
from overread.tables import Source

IMAGES = pl.DataFrame(
    {
        "image_id": ["1", "2", "3"],
        "case_id": ["1", "2", "3"],
        "patient_id": ["1", "1", "2"],
        "site": ["a", "a", "b"],
        "split": ["train", "tune", "test"],
    }
)
NONE = IMAGES.clear()


def test_tables_of_a_source_and_cohort_are_counted():
    assert repr(Source(IMAGES, IMAGES, IMAGES, name="nih", notes=("a note",))) == (
        "Source nih: 3 images, 3 labels, 3 regions\n  a note"
    )
    lines = repr(Cohort(Path("c"), load("chest"), IMAGES, IMAGES, NONE, NONE, NONE)).splitlines()
    assert lines[0] == "Cohort in c: 3 images of 2 patients; 3 labels"
    assert [line.split() for line in lines[1:]] == [["a", "train", "1"], ["a", "tune", "1"], ["b", "test", "1"]]
    assert repr(Sample(IMAGES, IMAGES, ("n",), "f" * 64)) == "Sample of 3 cases in 3 strata, hash ffffffffffff\n  n"


def test_a_prediction_and_a_deidentification_are_counted():
    scores = IMAGES.with_columns(finding=pl.lit("edema"))
    assert repr(PredictionResult(scores, IMAGES[:2], NONE, IMAGES, Path("p"))) == (
        "Predictions in p: 3 images, 1 findings; 2 unreadable; 3 overlays"
    )
    assert repr(PredictionResult(scores, NONE, NONE, NONE, None)) == "Predictions: 3 images, 1 findings"
    assert repr(Result(1200, 2, 3, 4, 5, Path("o"), Path("q"))) == (
        "De-identified files in o: 1,200 clean, 2 quarantined, 3 not DICOM, 4 copies, 5 with text blacked out"
    )


def test_a_plan_prints_its_numbers_and_sentences():
    text = repr(ov.plan())
    assert "  AUC: width of its interval (AUC 0.85, width 0.1): 93 present, 837 absent, 930 cases" in text
    assert text.splitlines()[0] == "Plan"
    assert all(sentence in text for sentence in ov.plan().sentences)
    assert "shape:" not in text
