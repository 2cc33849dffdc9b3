"""A model is opened with the vocabulary that it was trained under, and predicts for findings of the same meaning."""

from pathlib import Path

import pytest
from model_files import record, write_model

from overread import findings
from overread.errors import InputError
from overread.training.networks.model_folder import open_model
from overread.training.scoring.cohort_scores import check_vocabulary

OWN = findings.stated({"extra": {"aortic_enlargement": {"title": "Aortic enlargement"}}}, "p [findings]")


def own_model(folder: Path, **changes) -> Path:
    """A model whose second output is a finding that the packaged vocabulary lacks."""
    told = record()
    tables = {
        key: {"aortic_enlargement" if f == "edema" else f: value for f, value in told[key].items()}
        for key in ("recalibration", "operating_points")
    }
    names = ["cardiomegaly", "aortic_enlargement", "nodule"]
    return write_model(folder, findings=names, **tables, **{"vocabulary": findings.record_of(OWN), **changes})


def test_a_model_is_opened_with_the_vocabulary_that_it_records(tmp_path: Path):
    model = open_model(own_model(tmp_path / "m"))
    assert model.vocabulary == OWN
    assert model.outputs == ("cardiomegaly", "aortic_enlargement")
    assert open_model(write_model(tmp_path / "none")).vocabulary is findings.load("chest")
    chest = findings.record_of(findings.load("chest"), full=True)
    assert open_model(write_model(tmp_path / "chest", vocabulary=chest)).vocabulary == findings.load("chest")


def test_a_finding_outside_the_recorded_vocabulary_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"expected findings of the vocabulary; found 1 unknown.*'?aortic_enlargement"):
        own_model(tmp_path / "m", vocabulary=findings.record_of(findings.load("chest")))


def test_a_record_of_a_vocabulary_that_was_altered_is_refused(tmp_path: Path):
    altered = findings.record_of(OWN) | {"hash": "0" * 64}
    with pytest.raises(InputError, match="expected the vocabulary 'chest, extended' as it was recorded"):
        own_model(tmp_path / "m", vocabulary=altered)


def test_a_cohort_in_whose_vocabulary_an_output_is_missing_or_has_another_meaning_is_refused(tmp_path: Path):
    model = open_model(own_model(tmp_path / "m"))
    other = findings.stated({"extra": {"aortic_enlargement": {"title": "Wide aorta"}}}, "p [findings]")
    aorta = {"title": "Aortic enlargement", "synonyms": ["Aorta"]}
    more = findings.stated({"extra": {"aortic_enlargement": aorta, "goitre": {"title": "Goitre"}}}, "p [findings]")
    check_vocabulary(model, more, where="cohort")
    for vocabulary in (findings.load("chest"), other):
        with pytest.raises(InputError, match=r"cohort: expected the outputs of the model 'pooled'.*aortic_enlargement"):
            check_vocabulary(model, vocabulary, where="cohort")
