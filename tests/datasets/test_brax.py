import polars as pl
import pytest

from overread import datasets
from overread.errors import InputError

HEADER = (
    "DicomPath,PngPath,PatientID,PatientSex,PatientAge,AccessionNumber,StudyDate,No Finding,Enlarged Cardiomediastinum,"
    "Cardiomegaly,Lung Lesion,Lung Opacity,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,"
    "Pleural Other,Fracture,Support Devices,ViewPosition,Rows,Columns,Manufacturer"
)
ROWS = """Anonymized_DICOMs/id_a/Study_1.1/Series_2.2/image-111.dcm,images/id_a/Study_1.1/Series_2.2/image-111.png,id_a,F,85 or more,acc1,20150721,1.0,,,,,,,,,,,,,,PA,2000.0,1800.0,SIEMENS
Anonymized_DICOMs/id_a/Study_1.1/Series_3.3/image-112.dcm,images/id_a/Study_1.1/Series_3.3/image-112.png,id_a,F,85 or more,acc1,20150721,1.0,,,,,,,,,,,,,,L,2000.0,1800.0,SIEMENS
Anonymized_DICOMs/id_b/Study_1.2/Series_2.2/image-113.dcm,images/id_b/Study_1.2/Series_2.2/image-113.png,id_b,M,40,acc2,2016-01-02,,,-1.0,,1.0,,,,0.0,,,,,,,2000.0,1800.0,AGFA
"""  # noqa: E501


@pytest.fixture
def root(tmp_path):
    (tmp_path / "master_spreadsheet_update.csv").write_text(f"{HEADER}\n{ROWS}")
    return tmp_path


def test_studies_ages_in_steps_and_three_states(root):
    source = datasets.load("brax", root)
    images = source.images
    assert images["image_id"].to_list() == ["image-111", "image-112", "image-113"]
    assert images["view"].to_list() == ["PA", "LATERAL", "UNKNOWN"]
    assert images["age_years"].to_list() == [85, 85, 40]
    assert images["source_note"].to_list() == ["age '85 or more' is approximate: 85 is taken"] * 2 + [None]
    assert [str(d) for d in images["acquired"]] == ["2015-07-21", "2015-07-21", "2016-01-02"]
    assert source.labels.with_columns(pl.col("state").cast(pl.String)).select("case_id", "finding", "state").rows() == [
        ("acc1", "no_finding", "present"),
        ("acc2", "cardiomegaly", "uncertain"),
        ("acc2", "lung_opacity", "present"),
        ("acc2", "atelectasis", "absent"),
    ]
    assert images["path"][0].endswith("image-111.png")
    assert datasets.load("brax", root, {"files": "dicom"}).images["path"][0].endswith("image-111.dcm")


def test_an_accession_number_of_two_patients_is_two_cases(root):
    (root / "master_spreadsheet_update.csv").write_text(f"{HEADER}\n{ROWS}".replace("acc2", "acc1"))
    source = datasets.load("brax", root)
    assert source.images["case_id"].to_list() == ["id_a acc1", "id_a acc1", "id_b acc1"]
    assert source.labels["case_id"].to_list() == ["id_a acc1", "id_b acc1", "id_b acc1", "id_b acc1"]
    assert source.notes == ("1 accession numbers are shared by patients: case_id is patient and accession number",)


@pytest.mark.slow
def test_views_of_its_table(root):
    file = root / "master_spreadsheet_update.csv"
    for word, view in (("AP", "AP"), ("LL", "LATERAL"), ("RL", "LATERAL"), ("RLD", "UNKNOWN"), ("LLO", "UNKNOWN")):
        file.write_text(f"{HEADER}\n{ROWS}".replace(",L,2000.0", f",{word},2000.0"))
        images = datasets.load("brax", root).images
        assert images["view"][1] == view
        assert (f"view '{word}' is none of" in images["source_note"][1]) == (view == "UNKNOWN")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",-1.0,,1.0,", ",-1.0,,2,", r"label values .* or empty; found 1 others \(acc2, lung_opacity: '2'\)"),
        ("20150721", "once", r"dates in 'acquired'.*; found 2 others \(once, once\)"),
        ("85 or more", "very old", r"an age such as .*; found 2 others \(image-111: very old"),
        (",id_b,", ",,", r"a value in every row of 'PatientID'; found 1 empty cells \(line 4\)"),
        ("2000.0", "tall", r"whole numbers in 'original_rows'; found 3 others"),
        (
            "acc1,20150721,1.0,,,,,,,,,,,,,,L",
            "acc1,20150721,0,,,,,,,,,,,,,,L",
            "one state per case and finding; found 2",
        ),
    ],
)
def test_values_that_cannot_be_read_are_said(root, old, new, message):
    (root / "master_spreadsheet_update.csv").write_text(f"{HEADER}\n{ROWS}".replace(old, new))
    with pytest.raises(InputError, match=message):
        datasets.load("brax", root)


def test_what_is_wrong_is_said(root):
    with pytest.raises(InputError, match="png or dicom; found 'jpg'"):
        datasets.load("brax", root, {"files": "jpg"})
    (root / "master_spreadsheet_update.csv").write_text(f"{HEADER}\n{ROWS}".replace("id_b,M", "id_b,2"))
    with pytest.raises(InputError, match=r"a sex: F, M, female, male, or empty; found 1 other spellings \(2\)"):
        datasets.load("brax", root)
    (root / "master_spreadsheet_update.csv").write_text(f"{HEADER}\n{ROWS}".replace("PngPath", "Png"))
    with pytest.raises(InputError, match="the columns of BRAX; found 1 missing"):
        datasets.load("brax", root)


def test_a_folder_of_another_set_is_named(tmp_path):
    (tmp_path / "Data_Entry_2017.csv").touch()
    with pytest.raises(InputError, match="found a folder that looks like NIH ChestX-ray14"):
        datasets.load("brax", tmp_path)
