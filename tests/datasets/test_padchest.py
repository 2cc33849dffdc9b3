from pathlib import Path

import polars as pl
import pytest

from overread import datasets, findings
from overread.datasets import padchest
from overread.errors import InputError

NAME = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
HEADER = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,ViewPosition_DICOM,Projection,"
    "MethodProjection,Pediatric,Manufacturer_DICOM,Rows_DICOM,Columns_DICOM,ReportID,Report,MethodLabel,Labels"
)
BROKEN = "216840111366964012819207061112010307142602253_04-014-084.png"
ROWS = f"""0,a_1.png,0,20140915,s1,p1,1930.0,F,POSTEROANTERIOR,PA,Manual,No,ImagingDynamicsCompanyLtd,2000,2100.0,4,texto,Physician,"['pleural effusion', ' rib fracture', 'goiter']"
1,a_2.png,0,20140915,s1,p1,1930.0,F,LATERAL,L,Manual,No,ImagingDynamicsCompanyLtd,2000,2100,4,texto,Physician,"['pleural effusion', ' rib fracture', 'goiter']"
2,{BROKEN},14,20140916,s2,p2,1700.0,M,,AP_horizontal,Manual,No,PhilipsMedicalSystems,2000,2100,5,texto,RNN_model,"['normal']"
3,c.png,54,20140917,s3,p3,1950.0,M,,COSTAL,Manual,No,PhilipsMedicalSystems,2000,2100,6,texto,RNN_model,"['exclude', 'pneumonia']"
"""  # noqa: E501


@pytest.fixture
def root(tmp_path):
    (tmp_path / NAME).write_text(f"{HEADER}\n{ROWS}")
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "a_1.png").touch()
    return tmp_path


def test_images_have_views_ages_and_what_is_known_to_be_wrong(root):
    images = datasets.load("padchest", root).images
    assert images["path"].to_list() == ["0/a_1.png", "0/a_2.png", f"14/{BROKEN}", "54/c.png"]
    assert images["view"].to_list() == ["PA", "LATERAL", "AP", "UNKNOWN"]
    assert images["age_years"].to_list() == [84, 84, None, 64]
    assert images["source_note"].to_list()[1:] == [
        None,
        "age below 0 or above 120 years: not stated; known error: the file as published is missing or unreadable",
        "projection 'COSTAL': view UNKNOWN",
    ]
    assert images["case_id"].to_list() == ["s1", "s1", "s2", "s3"]


def test_lists_state_the_whole_vocabulary_and_who_labelled_is_the_source(root):
    source = datasets.load("padchest", root)
    labels = source.labels.with_columns(pl.col("state").cast(pl.String))
    present = labels.filter(state="present").select("case_id", "finding", "source").rows()
    assert sorted(present) == [
        ("s1", "fracture", "physician"), ("s1", "pleural_effusion", "physician"), ("s2", "no_finding", "report_text"),
    ]  # fmt: skip
    assert labels.filter(case_id="s3").height == 0  # excluded: it states nothing
    assert labels.filter(case_id="s1").height == labels.filter(case_id="s2").height == 20
    assert "1 labels have no word in the vocabulary (goiter 1, …): kept in padchest_labels" in source.notes
    assert "goiter" in source.images["padchest_labels"][0]


def test_the_shipped_labels_are_words_of_the_vocabulary():
    shipped = pl.read_csv(Path(padchest.__file__).with_name("padchest_labels.csv"), comment_prefix="#")
    assert shipped["label"].is_unique().all()
    assert set(shipped["finding"].drop_nulls()) <= set(findings.names())
    assert (shipped["label"] == shipped["label"].str.to_lowercase()).all()
    means = dict(shipped.rows())
    assert means["subcutaneous emphysema"] is None  # air under the skin is no emphysema of the lung
    assert means["breast mass"] is None
    assert means["laminar atelectasis"] == "atelectasis"


def test_what_is_wrong_is_said(root):
    file = root / NAME
    file.write_text(f"{HEADER}\n{ROWS}".replace("goiter", "goitre"))
    with pytest.raises(InputError, match=r"labels of PadChest.*others \(goitre\). Did you mean 'goiter'"):
        datasets.load("padchest", root)
    file.write_text(f"{HEADER}\n{ROWS}".replace("RNN_model", "LLM"))
    with pytest.raises(InputError, match=r"MethodLabel Physician or RNN_model; found others \(LLM\)"):
        datasets.load("padchest", root)
    file.write_text(f"{HEADER}\n{ROWS}".replace("Projection,MethodP", "Projektion,MethodP"))
    with pytest.raises(InputError, match=r"PadChest; found 1 missing \(Projection\)"):
        datasets.load("padchest", root)
