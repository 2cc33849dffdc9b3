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
    assert images["source_note"].to_list() == ["age 85 or more", "age 85 or more", None]
    assert [str(d) for d in images["acquired"]] == ["2015-07-21", "2015-07-21", "2016-01-02"]
    assert source.labels.with_columns(pl.col("state").cast(pl.String)).select("case_id", "finding", "state").rows() == [
        ("acc1", "no_finding", "present"), ("acc2", "cardiomegaly", "uncertain"), ("acc2", "lung_opacity", "present"),
        ("acc2", "atelectasis", "absent"),
    ]  # fmt: skip
    assert images["path"][0].endswith("image-111.png")
    assert datasets.load("brax", root, {"files": "dicom"}).images["path"][0].endswith("image-111.dcm")


def test_what_is_wrong_is_said(root):
    with pytest.raises(InputError, match="png or dicom; found 'jpg'"):
        datasets.load("brax", root, {"files": "jpg"})
    (root / "master_spreadsheet_update.csv").write_text(f"{HEADER}\n{ROWS}".replace("id_b,M", "id_b,2"))
    with pytest.raises(InputError, match=r"a sex: F, M, female, male, or empty; found 1 other spellings \(2\)"):
        datasets.load("brax", root)
    (root / "master_spreadsheet_update.csv").write_text(f"{HEADER}\n{ROWS}".replace("PngPath", "Png"))
    with pytest.raises(InputError, match="the columns of BRAX; found 1 missing"):
        datasets.load("brax", root)
