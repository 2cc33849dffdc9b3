import gzip

import polars as pl
import pytest

from overread import datasets
from overread.errors import InputError

META = """dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime,ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning
02aa804e-bde0afdd,10000032,50414267,CHEST (PA AND LAT),PA,3056,2544,21800506,213014.531,CHEST (PA AND LAT),postero-anterior,Erect
174413ec-4ec4c1f7,10000032,50414267,CHEST (PA AND LAT),LATERAL,3056,2544,21800506,213014.531,CHEST (PA AND LAT),lateral,Erect
2a2277a9-b0ded155,10000764,57375967,CHEST (PORTABLE AP),,2544,3056,21321015,83047.0,CHEST (PORTABLE AP),antero-posterior,
68b5c4b1-227d0485,10000764,57375967,CHEST,LPO,2544,3056,21321015,83047.0,CHEST,,
"""  # noqa: E501
NAMES = (
    "Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,Lung Lesion,Lung Opacity,"
    "No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices"
)
CHEXPERT = f"subject_id,study_id,{NAMES}\n10000032,50414267,,,,,,,,,1.0,,,,,\n10000764,57375967,,,1.0,,,,,,,,,-1.0,,\n"
NEGBIO = f"subject_id,study_id,{NAMES}\n10000032,50414267,,,,,,,,,1.0,,,,0.0,\n99,999,1.0,,,,,,,,,,,,,\n"
SPLIT = """dicom_id,study_id,subject_id,split
02aa804e-bde0afdd,50414267,10000032,train
2a2277a9-b0ded155,57375967,10000764,validate
"""


@pytest.fixture
def root(tmp_path):
    for name, text in {"metadata": META, "chexpert": CHEXPERT, "negbio": NEGBIO, "split": SPLIT}.items():
        (tmp_path / f"mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


def test_images_have_paths_views_and_shifted_dates(root):
    images = datasets.load("mimic_cxr", root).images
    assert images["path"][0] == "files/p10/p10000032/s50414267/02aa804e-bde0afdd.jpg"
    assert images["view"].to_list() == ["PA", "LATERAL", "AP", "UNKNOWN"]
    assert images["source_note"][3] == "view 'LPO' is none of PA, AP, LATERAL: UNKNOWN"
    assert images["case_id"].to_list() == ["s50414267"] * 2 + ["s57375967"] * 2
    assert images["patient_id"].unique().sort().to_list() == ["p10000032", "p10000764"]
    assert str(images["acquired"][0]) == "2180-05-06"
    assert images["official_split"].to_list() == ["train", None, "tune", None]
    assert images["age_years"].null_count() == 4
    assert images.select("procedure", "orientation").rows()[1:3] == [
        ("CHEST (PA AND LAT)", "Erect"),
        ("CHEST (PORTABLE AP)", None),
    ]


def test_two_programs_are_two_sources(root):
    (root / "mimic-cxr-2.1.0-test-set-labeled.csv").write_text(
        "study_id,Airspace Opacity,Enlarged Cardiom.,Edema\n57375967,1.0,0.0,-1.0\n"
    )
    source = datasets.load("mimic_cxr", root)
    rows = source.labels.with_columns(pl.col("state").cast(pl.String)).select("case_id", "finding", "source", "state")
    assert sorted(rows.rows()) == [
        ("s50414267", "no_finding", "chexpert", "present"),
        ("s50414267", "no_finding", "negbio", "present"),
        ("s50414267", "pneumothorax", "negbio", "absent"),
        ("s57375967", "consolidation", "chexpert", "present"),
        ("s57375967", "edema", "radiologist", "uncertain"),
        ("s57375967", "enlarged_cardiomediastinum", "radiologist", "absent"),
        ("s57375967", "lung_opacity", "radiologist", "present"),
        ("s57375967", "pneumonia", "chexpert", "uncertain"),
    ]
    assert source.notes == ("labels of 1 studies without image",)


def test_sex_and_age_come_from_the_table_of_patients(root):
    (root / "patients.csv").write_text(
        "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n10000032,F,52,2180,2014 - 2016,\n"
        "10000764,M,86,2131,2014 - 2016,\n"
    )
    images = datasets.load("mimic_cxr", root, {"patients": "patients.csv"}).images
    assert images.select("sex", "age_years").rows() == [("F", 52.0)] * 2 + [("M", 87.0)] * 2
    (root / "patients.csv").write_text(
        "subject_id,gender,anchor_age,anchor_year\n10000032,F,91,2179\n10000764,M,30,2170\n"
    )
    images = datasets.load("mimic_cxr", root, {"patients": "patients.csv"}).images
    assert images["age_years"].to_list() == [91.0, 91.0, None, None]
    assert images["source_note"].to_list()[1:3] == [
        "age over 89 in the anchor year: written as 91",
        "age below 0 or above 120 years: not stated",
    ]


def test_what_is_wrong_is_said(root):
    split = root / "mimic-cxr-2.0.0-split.csv.gz"
    split.write_bytes(gzip.compress(SPLIT.replace("validate", "dev").encode()))
    with pytest.raises(InputError, match=r"splits train, validate, test; found others \(dev\)"):
        datasets.load("mimic_cxr", root)
    split.unlink()
    meta = root / "mimic-cxr-2.0.0-metadata.csv.gz"
    meta.write_bytes(gzip.compress(META.replace("21321015", "15.10.2132").encode()))
    with pytest.raises(InputError, match=r"StudyDate as YYYYMMDD; found 2 others \(15.10.2132"):
        datasets.load("mimic_cxr", root)
    meta.write_bytes(gzip.compress(META.replace("subject_id", "subject").encode()))
    with pytest.raises(InputError, match=r"MIMIC-CXR-JPG; found 1 missing \(subject_id\)"):
        datasets.load("mimic_cxr", root)
    for file in root.glob("*"):
        file.unlink()
    with pytest.raises(InputError, match="found an empty folder"):
        datasets.load("mimic_cxr", root)
