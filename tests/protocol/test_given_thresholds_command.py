"""Given thresholds and model folders at the level of the files that a person gives."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import overread as ov
from overread import runs
from overread.errors import InputError
from overread.integrity import write_sealed

QUICK = {"replicates": 100, "subgroups": ()}


@pytest.fixture
def study(tmp_path):
    rng = np.random.default_rng(3)
    ids = [f"i{k:03d}" for k in range(60)]
    truth = rng.random(60) < 0.5
    score = np.round(0.3 * truth + 0.7 * rng.random(60), 3)
    pl.DataFrame({"image_id": ids, "patient_id": ids}).write_csv(tmp_path / "images.csv")
    pl.DataFrame({"image_id": ids, "mass": truth.astype(int)}).write_csv(tmp_path / "labels.csv")
    pl.DataFrame({"image_id": ids, "mass": score}).write_csv(tmp_path / "acme.csv")
    (tmp_path / "thresholds.csv").write_text("model,mass\nacme,0.55\n")
    return tmp_path, truth, score


def evaluate(folder, **more):
    tables = [folder / f"{name}.csv" for name in ("images", "labels", "acme")]
    return ov.evaluate(tables[0], tables[1], [tables[2]], **more, **QUICK)


def model_folder(folder, name: str, patients: str = ""):
    folder.mkdir()
    record = {"name": name, "training_sites": ["north"], "operating_points": {"mass": {"spec90": {"threshold": 0.5}}}}
    write_sealed(folder / "model.json", record)
    (folder / "train_patients.txt").write_text(patients)
    return folder


def test_a_file_of_thresholds_is_named_in_the_notes_and_in_the_record(study):
    folder, truth, score = study
    result = evaluate(folder, thresholds=folder / "thresholds.csv", out=folder / "out")
    row = result.estimates.filter(metric="sensitivity", at="operating_point=given", finding="mass").row(0, named=True)
    assert row["estimate"] == (score[truth] >= 0.55).mean()
    assert "threshold given in thresholds.csv, not fitted here" in row["note"]
    assert "thresholds.csv" in json.dumps(runs.read(folder / "out")["inputs"])
    page = (folder / "out" / "report" / "report.html").read_text(encoding="utf-8")
    assert "given threshold “given”" in page
    assert "Thresholds were supplied by the investigators (thresholds.csv)" in page


def test_a_model_folder_gives_its_thresholds_to_the_predictions_of_its_name(study):
    folder, truth, score = study
    result = evaluate(folder, models=model_folder(folder / "model", "acme"))
    row = result.estimates.filter(metric="sensitivity", at="operating_point=spec90", finding="mass").row(0, named=True)
    assert row["estimate"] == (score[truth] >= 0.5).mean()
    assert result.evidence.tuning_patients == ()


def test_a_model_without_predictions_is_refused(study):
    folder, *_ = study
    with pytest.raises(InputError, match=r"expected predictions by 'amce'; found predictions by acme. Did you mean"):
        evaluate(folder, models=[model_folder(folder / "model", "amce")])


def test_test_patients_whom_the_model_was_trained_on_are_refused(study):
    folder, *_ = study
    with pytest.raises(InputError, match=r"found 1 patients of its training data among the test patients \(i003\)"):
        evaluate(folder, models=[model_folder(folder / "model", "acme", "i003\nx\n")])


def test_thresholds_of_another_scale_name_both_ranges(study):
    folder, *_ = study
    (folder / "thresholds.csv").write_text("model,mass\nacme,30\n")
    with pytest.raises(InputError, match=r"scores, which are 0\.\d+ to 0\.\d+; found 30"):
        evaluate(folder, thresholds=[folder / "thresholds.csv"])
