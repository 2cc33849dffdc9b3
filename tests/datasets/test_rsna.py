import polars as pl
import pytest

from overread import datasets
from overread.errors import InputError

LABELS = """patientId,x,y,width,height,Target
a1,,,,,0
b2,264.0,152.0,213.0,379.0,1
b2,562.0,152.0,256.0,453.0,1
c3,,,,,0
"""
CLASSES = "patientId,class\na1,No Lung Opacity / Not Normal\nb2,Lung Opacity\nb2,Lung Opacity\nc3,Normal\n"


@pytest.fixture
def root(tmp_path, dicom_file):
    (tmp_path / "stage_2_train_labels.csv").write_text(LABELS)
    (tmp_path / "stage_2_detailed_class_info.csv").write_text(CLASSES)
    dicom_file(tmp_path / "stage_2_train_images" / "b2.dcm", ViewPosition="PA", PatientSex="M", PatientAge="051Y")
    return tmp_path


def test_opacities_and_normal_pictures(root):
    source = datasets.load("rsna", root)
    labels = {(r["case_id"], r["finding"]): r["state"] for r in source.labels.iter_rows(named=True)}
    assert labels == {
        ("a1", "lung_opacity"): "absent", ("b2", "lung_opacity"): "present", ("c3", "lung_opacity"): "absent",
        ("a1", "no_finding"): "absent", ("b2", "no_finding"): "absent", ("c3", "no_finding"): "present",
    }  # fmt: skip
    assert source.regions.select("image_id", "number", "x", "width").rows() == [
        ("b2", 1, 264.0, 213.0),
        ("b2", 2, 562.0, 256.0),
    ]
    row = source.images.filter(pl.col("image_id") == "b2").row(0, named=True)
    assert (row["view"], row["sex"], row["age_years"], row["path"]) == ("PA", "M", 51.0, "stage_2_train_images/b2.dcm")


def test_what_is_wrong_is_said(root):
    (root / "stage_2_train_labels.csv").write_text(LABELS.replace("c3,,,,,0", "c3,,,,,1"))
    with pytest.raises(InputError, match=r"Target 1 with a box, or 0 without; found 1 others \(c3\)"):
        datasets.load("rsna", root)
    (root / "stage_2_train_labels.csv").write_text(LABELS)
    (root / "stage_2_detailed_class_info.csv").write_text(CLASSES.replace("Normal\n", "Fine\n"))
    with pytest.raises(InputError, match=r"classes Lung Opacity, Normal, .*; found others"):
        datasets.load("rsna", root)
    (root / "stage_2_detailed_class_info.csv").unlink()
    with pytest.raises(InputError, match=r"stage_2_detailed_class_info.csv of RSNA"):
        datasets.load("rsna", root)
