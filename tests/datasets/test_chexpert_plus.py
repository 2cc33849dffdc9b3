import json

import polars as pl
import pytest

from overread import datasets
from overread.errors import InputError

HEADER = (
    ",path_to_image,path_to_dcm,frontal_lateral,ap_pa,deid_patient_id,patient_report_date_order,report,"
    "section_narrative,section_findings,section_impression,age,sex,race,ethnicity,interpreter_needed,insurance_type,"
    "recent_bmi,deceased,split"
)
ROWS = """0,train/patient00001/study1/view1_frontal.jpg,train/patient00001/study1/view1_frontal.dcm,Frontal,AP,patient1,1,"NARRATIVE:
two lines",two lines,,edema,68.0,Female,White,Non-Hispanic,No,Medicare,22.5,No,train
1,train/patient00001/study1/view2_lateral.jpg,train/patient00001/study1/view2_lateral.dcm,Lateral,,patient1,1,same,,,edema,68.0,Female,White,Non-Hispanic,No,Medicare,22.5,No,train
2,valid/patient64541/study1/view1_frontal.jpg,valid/patient64541/study1/view1_frontal.dcm,Frontal,PA,patient2,1,clear,,,clear,0.0,Unknown,,,,,,,valid
"""  # noqa: E501
NAMES = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "df_chexpert_plus_240401.csv").write_text(f"{HEADER}\n{ROWS}")
    (tmp_path / "PNG" / "PNG" / "train" / "patient00001" / "study1").mkdir(parents=True)
    (tmp_path / "chexbert_labels").mkdir()
    paths = [f"{folder}/study1/view1_frontal.jpg" for folder in ("train/patient00001", "valid/patient64541")]
    lines = [{"path_to_image": path, **dict.fromkeys(NAMES), "Edema": 1.0} for path in paths]
    (tmp_path / "chexbert_labels" / "impression_fixed.json").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


@pytest.mark.slow
def test_images_have_png_paths_and_who_the_patients_are(root):
    source = datasets.load("chexpert_plus", root)
    images = source.images
    assert images["path"].to_list() == [
        "PNG/PNG/train/patient00001/study1/view1_frontal.png",
        "PNG/PNG/train/patient00001/study1/view2_lateral.png",
        "PNG/PNG/valid/patient64541/study1/view1_frontal.png",
    ]
    assert images["image_id"][0] == "patient00001/study1/view1_frontal"
    assert images.select("view", "sex", "age_years", "race", "official_split").rows() == [
        ("AP", "F", 68.0, "White", "train"),
        ("LATERAL", "F", 68.0, "White", "train"),
        ("PA", None, None, None, "tune"),
    ]
    assert images["source_note"].to_list() == [None, None, "age 0 among adults: not stated"]
    assert images["dataset"].unique().to_list() == ["chexpert_plus"]
    assert "report" not in images.columns
    assert datasets.load("chexpert_plus", root, {"reports": True}).images["report"][0] == "NARRATIVE:\ntwo lines"


def test_labels_of_a_study_by_the_part_of_the_report(root):
    source = datasets.load("chexpert_plus", root)
    labels = source.labels.with_columns(pl.col("state").cast(pl.String)).select("case_id", "finding", "source", "state")
    assert sorted(labels.rows()) == [
        ("patient00001/study1", "edema", "chexbert_impression", "present"),
        ("patient64541/study1", "edema", "chexbert_impression", "present"),
    ]
    assert source.notes == ()
    (root / "chexbert_labels" / "impression_fixed.json").unlink()
    source = datasets.load("chexpert_plus", root)
    assert source.notes == ("there is no file of labels beside the table of images",)
    assert source.labels.height == 0


def test_what_is_wrong_is_said(root):
    file = root / "df_chexpert_plus_240401.csv"
    file.write_text(f"{HEADER}\n{ROWS}".replace("No,train", "No,dev"))
    with pytest.raises(InputError, match=r"splits train, valid; found others \(dev\)"):
        datasets.load("chexpert_plus", root)
    file.write_text(f"{HEADER}\n{ROWS}".replace("race", "ancestry"))
    with pytest.raises(InputError, match=r"the columns of CheXpert Plus; found 1 missing \(race\)"):
        datasets.load("chexpert_plus", root)
    with pytest.raises(InputError, match=r"train.csv of CheXpert; found a folder that looks like CheXpert Plus"):
        datasets.load("chexpert", root)
    file.write_text(f"{HEADER}\n{ROWS}{ROWS.splitlines()[-1]}\n")
    with pytest.raises(InputError, match=r"one row per image_id"):
        datasets.load("chexpert_plus", root)
