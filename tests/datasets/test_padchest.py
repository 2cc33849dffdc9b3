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
        ("s1", "fracture", "physician"),
        ("s1", "pleural_effusion", "physician"),
        ("s2", "no_finding", "report_text"),
    ]
    assert labels.filter(case_id="s3").height == 0  # excluded: it states nothing
    assert labels.filter(case_id="s1").height == labels.filter(case_id="s2").height == 18
    assert source.notes == (
        "1 labels have no word in the vocabulary (goiter 1): kept in padchest_labels",
        "1 studies are marked 'exclude': they state nothing",
    )
    assert "goiter" in source.images["padchest_labels"][0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("listed", "finding", "state"),
    [
        ("['hydropneumothorax']", "pneumothorax", "present"),
        ("['hydropneumothorax']", "pleural_effusion", "present"),
        ("['air bronchogram']", "infiltration", "present"),
        ("['nodule']", "mass", "absent"),
        ("['mass']", "mass", None),  # of which organ is not said
        ("['mass', 'pulmonary mass']", "mass", "present"),
        ("['unchanged', 'cardiomegaly']", "cardiomegaly", "present"),
        ("['unchanged', 'cardiomegaly']", "pneumonia", None),
        ("['suboptimal study']", "no_finding", None),
        ("['COVID 19']", "covid_19", "present"),
        ("['COVID 19 uncertain']", "covid_19", "uncertain"),
        ("['viral pneumonia']", "pneumonia", "present"),
        ("['normal']", "covid_19", None),  # a word of a later edition
        ("[]", "no_finding", None),
        ("['']", "no_finding", None),
        ("[\"air trapping\", 'normal']", "no_finding", "present"),
    ],
)
def test_what_a_list_states(root, listed, finding, state):
    rows = ROWS.splitlines()[2].replace("\"['normal']\"", '"' + listed.replace('"', '""') + '"')
    (root / NAME).write_text(f"{HEADER}\n{rows}\n")
    source = datasets.load("padchest", root)
    stated = {str(f): str(s) for f, s in source.labels.select("finding", "state").rows()}
    assert stated.get(finding) == state
    assert ("1 images are of studies without labels" in source.notes) == (listed in ("[]", "['']"))


def test_the_shipped_labels_are_words_of_the_vocabulary():
    shipped = pl.read_csv(Path(padchest.__file__).with_name("padchest_labels.csv"), comment_prefix="#")
    assert not shipped.is_duplicated().any()
    assert set(shipped["finding"].drop_nulls()) <= set(findings.load().names())
    assert set(shipped["state"].drop_nulls()) == {"present", "uncertain", "open", "named"}
    assert (shipped["finding"].is_null() == shipped["state"].is_null()).all()
    assert (shipped["label"] == shipped["label"].str.to_lowercase()).all()
    means = dict(shipped.select("label", "finding").rows())
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
    file.write_text(f"{HEADER}\n{ROWS}".replace("\"['normal']\"", "normal"))
    with pytest.raises(InputError, match=r"lists of labels such as .*; found 1 other cells \(normal\)"):
        datasets.load("padchest", root)
    file.write_text(f"{HEADER}\n{ROWS}".replace(",s2,", ",,"))
    with pytest.raises(InputError, match=r"a value in every row of 'StudyID'; found 1 empty cells \(line 4\)"):
        datasets.load("padchest", root)
    file.write_text(f"{HEADER}\n{ROWS}".replace("20140916", "2014-16"))
    with pytest.raises(InputError, match=r"dates in 'StudyDate_DICOM'.*; found 1 others \(2014-16\)"):
        datasets.load("padchest", root)
    file.write_text(f"{HEADER}\n{ROWS}".replace("1700.0", "old"))
    with pytest.raises(InputError, match=r"numbers in 'PatientBirth'; found 1 others \(old\)"):
        datasets.load("padchest", root)


def test_a_folder_of_another_set_is_named(tmp_path):
    (tmp_path / "Data_Entry_2017.csv").touch()
    with pytest.raises(InputError, match="found a folder that looks like NIH ChestX-ray14"):
        datasets.load("padchest", tmp_path)
