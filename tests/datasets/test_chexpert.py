import json

import polars as pl
import pytest

from overread import datasets
from overread.errors import InputError

HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,"
    "Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
SMALL = "CheXpert-v1.0-small"
TRAIN = f"""{SMALL}/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0
{SMALL}/train/patient00002/study2/view1_frontal.jpg,Male,87,Frontal,PA,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,
{SMALL}/train/patient00002/study2/view2_lateral.jpg,Male,87,Lateral,,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,
{SMALL}/train/patient00003/study1/view1_frontal.jpg,Unknown,0,Frontal,LL,,,,,,,,,,,,,,
"""
VALID = (
    f"{SMALL}/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP" + ",0.0" * 2 + ",1.0" + ",0.0" * 11 + "\n"
)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / SMALL
    (folder / "train" / "patient00001" / "study1").mkdir(parents=True)
    (folder / "valid" / "patient64541").mkdir(parents=True)
    (folder / "train.csv").write_text(f"{HEADER}\n{TRAIN}")
    (folder / "valid.csv").write_text(f"{HEADER}\n{VALID}")
    return tmp_path


@pytest.mark.parametrize("below", ["", SMALL])
def test_studies_are_cases_and_both_folders_serve_as_root(root, below):
    source = datasets.load("chexpert", root / below)
    images = source.images
    start = "" if below else f"{SMALL}/"
    assert images["path"].to_list() == [
        f"{start}train/patient00001/study1/view1_frontal.jpg",
        f"{start}train/patient00002/study2/view1_frontal.jpg",
        f"{start}train/patient00002/study2/view2_lateral.jpg",
        f"{start}train/patient00003/study1/view1_frontal.jpg",
        f"{start}valid/patient64541/study1/view1_frontal.jpg",
    ]
    assert images["view"].to_list() == ["AP", "PA", "LATERAL", "UNKNOWN", "AP"]
    assert images["sex"].to_list() == ["F", "M", "M", None, "M"]
    assert images["age_years"].to_list() == [68, 87, 87, None, 73]
    assert images["official_split"].to_list() == ["train"] * 4 + ["tune"]
    assert images["source_note"][3] == ("a frontal image whose AP/PA is 'LL': UNKNOWN; age 0 among adults: not stated")
    assert images["case_id"].to_list()[1] == "patient00002/study2"


def test_uncertain_stays_uncertain_and_empty_is_no_row(root):
    labels = datasets.load("chexpert", root).labels.with_columns(pl.col("state").cast(pl.String))
    assert labels.filter(case_id="patient00001/study1").select("finding", "state").rows() == [
        ("no_finding", "present"),
        ("pneumothorax", "absent"),
        ("support_devices", "present"),
    ]
    study = dict(labels.filter(case_id="patient00002/study2").select("finding", "state").rows())
    assert study == {
        "cardiomegaly": "uncertain",
        "lung_opacity": "present",
        "edema": "uncertain",
        "consolidation": "uncertain",
        "atelectasis": "uncertain",
        "pleural_effusion": "uncertain",
        "fracture": "present",
    }
    assert labels.filter(case_id="patient00003/study1").height == 0
    assert labels.group_by("source").len().sort("source").rows() == [("radiologists", 14), ("report_text", 10)]


def test_batches_and_the_test_set(tmp_path):
    (tmp_path / "CheXpert-v1.0 batch 2 (train 1)" / "patient00001").mkdir(parents=True)
    (tmp_path / "CheXpert-v1.0 batch 3 (train 2)" / "patient00002").mkdir(parents=True)
    (tmp_path / "train.csv").write_text(f"{HEADER}\n{TRAIN}".replace("-small", ""))
    study = tmp_path / "CheXpert" / "test" / "patient64741" / "study1"
    study.mkdir(parents=True)
    for name in ("view1_frontal.jpg", "view2_lateral.jpg"):
        (study / name).touch()
    names = HEADER.split(",")[5:]
    (tmp_path / "CheXpert" / "groundtruth.csv").write_text(
        ",".join(["Study", *names]) + "\nCheXpert-v1.0/test/patient64741/study1" + ",0.0" * 13 + ",1.0\n"
    )
    source = datasets.load("chexpert", tmp_path)
    assert source.images["path"].to_list() == [
        "CheXpert-v1.0 batch 2 (train 1)/patient00001/study1/view1_frontal.jpg",
        "CheXpert-v1.0 batch 3 (train 2)/patient00002/study2/view1_frontal.jpg",
        "CheXpert-v1.0 batch 3 (train 2)/patient00002/study2/view2_lateral.jpg",
        "train/patient00003/study1/view1_frontal.jpg",
        "CheXpert/test/patient64741/study1/view1_frontal.jpg",
        "CheXpert/test/patient64741/study1/view2_lateral.jpg",
    ]
    assert source.images["view"].to_list()[-2:] == ["UNKNOWN", "LATERAL"]
    assert source.labels.filter(case_id="patient64741/study1").height == 14


@pytest.mark.slow
def test_chexpert_plus_says_who_the_patients_are(root):
    (root / "df_chexpert_plus_240401.csv").write_text(
        ",path_to_image,path_to_dcm,frontal_lateral,ap_pa,deid_patient_id,patient_report_date_order,report,"
        "section_findings,section_impression,age,sex,race,ethnicity,interpreter_needed,insurance_type,recent_bmi,"
        "deceased,split\n"
        '0,train/patient00002/study2/view1_frontal.jpg,a.dcm,Frontal,AP,patient2,3,"FINDINGS:\nlarge effusion",'
        "large effusion,,68.0,Male,Asian,Non-Hispanic,No,Medicare,22.5,No,train\n"
    )
    source = datasets.load("chexpert", root)
    images = source.images
    assert images["race"].to_list() == [None, "Asian", None, None, None]
    assert images["path"][1] == f"{SMALL}/train/patient00002/study2/view1_frontal.jpg"
    assert source.notes == ("CheXpert Plus has no demographics of 4 images",)
    assert "report" not in images.columns
    images = datasets.load("chexpert", root, {"reports": True}).images
    assert images.select("report", "section_findings").row(1) == ("FINDINGS:\nlarge effusion", "large effusion")
    file = root / "df_chexpert_plus_240401.csv"
    file.write_text(file.read_text() + file.read_text().split("\n", 1)[1].replace("Asian", "Other"))
    with pytest.raises(InputError, match="one row per image; found 1 images with several"):
        datasets.load("chexpert", root)


@pytest.mark.slow
def test_further_programs_are_sources_of_their_own(root):
    (root / "train_cheXbert.csv").write_text(f"{HEADER}\n{TRAIN}".replace("-1.0", "0.0"))
    (root / "chexbert_labels").mkdir()
    names = HEADER.split(",")[5:]
    lines = [
        {"path_to_image": "train/patient00002/study2/view1_frontal.jpg", **dict.fromkeys(names), "Edema": -1.0},
        {"path_to_image": "train/patient00009/study1/view1_frontal.jpg", **dict.fromkeys(names), "Fracture": 1.0},
    ]
    file = root / "chexbert_labels" / "impression_fixed.json"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    source = datasets.load("chexpert", root)
    labels = source.labels.with_columns(pl.col("state").cast(pl.String))
    edema = labels.filter(case_id="patient00002/study2", finding="edema").select("source", "state").sort("source")
    assert edema.rows() == [("chexbert", "absent"), ("chexbert_impression", "uncertain"), ("report_text", "uncertain")]
    assert source.notes == ("labels by chexbert_impression of 1 studies without image",)
    file.write_text("[1, 2]\n{}")
    with pytest.raises(InputError, match=r"a JSON object in every line; found 1 others \(\[1, 2\]\)"):
        datasets.load("chexpert", root)
    file.write_text("{broken")
    with pytest.raises(InputError, match=r"impression_fixed.json, line 1: expected JSON"):
        datasets.load("chexpert", root)


def test_two_copies_of_the_set_are_refused(root):
    (root / "CheXpert-v1.0").mkdir()
    (root / "CheXpert-v1.0" / "train.csv").write_text(f"{HEADER}\n{TRAIN}".replace("-small", ""))
    with pytest.raises(InputError, match=r"one copy of CheXpert; found 2 tables of the same images \(CheXpert-v1.0/tr"):
        datasets.load("chexpert", root)


def test_a_test_table_by_study_without_its_folders_is_noted(tmp_path):
    names = HEADER.split(",")[5:]
    (tmp_path / "groundtruth.csv").write_text(
        ",".join(["Study", *names]) + "\nCheXpert-v1.0/test/patient64741/study1" + ",0.0" * 14 + "\n"
    )
    images = datasets.load("chexpert", tmp_path).images
    assert images["source_note"].to_list() == ["the folder of the study is missing: one frontal image assumed"]
    assert images["official_split"].to_list() == ["test"]


def test_the_labels_of_chexlocalize(tmp_path):
    """Tables without sex, age and view: val/ and test/ below CheXpert/."""
    (tmp_path / "val" / "patient64541" / "study1").mkdir(parents=True)
    names = HEADER.split(",")[6:]
    head = ",".join(["Path", *names])
    (tmp_path / "val_labels.csv").write_text(
        f"{head}\nCheXpert-v1.0/valid/patient64541/study1/view1_frontal.jpg" + ",1.0" * 13 + "\n"
    )
    (tmp_path / "test_labels.csv").write_text(
        f"{head}\ntest/patient64741/study1/view2_lateral.jpg" + ",0.0" * 13 + "\n"
    )
    source = datasets.load("chexpert", tmp_path)
    assert source.images.select("path", "view", "official_split", "age_years").rows() == [
        ("val/patient64541/study1/view1_frontal.jpg", "UNKNOWN", "tune", None),
        ("test/patient64741/study1/view2_lateral.jpg", "LATERAL", "test", None),
    ]
    assert source.labels["source"].unique().to_list() == ["radiologists"]


def test_what_is_wrong_is_said(root, tmp_path):
    train = root / SMALL / "train.csv"
    train.write_text(f"{HEADER}\n{TRAIN}".replace("Frontal,AP,1.0", "Frontal,AP,2.0"))
    with pytest.raises(InputError, match=r"found 1 others \(patient00001/study1, no_finding: '2.0'\)"):
        datasets.load("chexpert", root)
    train.write_text(f"{HEADER}\n{TRAIN}".replace("Lung Lesion", "Lesion of lung"))
    with pytest.raises(InputError, match=r"the columns of CheXpert; found 1 missing \(Lung Lesion\)"):
        datasets.load("chexpert", root)
    train.write_text(f"{HEADER}\n{TRAIN}".replace("train/patient00001/study1", "train/p1"))
    with pytest.raises(InputError, match="paths with patientN/studyN; found 1 others"):
        datasets.load("chexpert", root)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "Data_Entry_2017.csv").touch()
    with pytest.raises(InputError, match=r"train.csv of CheXpert; found a folder that looks like NIH ChestX-ray14"):
        datasets.load("chexpert", tmp_path / "other")
