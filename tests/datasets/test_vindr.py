import polars as pl
import pytest

from overread import datasets
from overread.errors import InputError

WORDS = "Cardiomegaly,Clavicle fracture,Rib fracture,Aortic enlargement,Nodule/Mass,No finding"
FILES = {
    "annotations_train": "image_id,rad_id,class_name,x_min,y_min,x_max,y_max\n"
    "t1,R9,Cardiomegaly,100.0,200.0,300.0,250.0\nt1,R9,Aortic enlargement,1,2,3,4\nt1,R8,No finding,,,,\n",
    "annotations_test": "image_id,class_name,x_min,y_min,x_max,y_max\ne1,Nodule/Mass,10,20,40,60\n",
    "image_labels_train": f"image_id,rad_id,{WORDS}\nt1,R9,1,0,1,1,0,0\nt1,R8,0,0,0,0,0,1\n",
    "image_labels_test": f"image_id,{WORDS}\ne1,0,0,0,0,1.0,0\n",
}


@pytest.fixture
def root(tmp_path, dicom_file):
    (tmp_path / "annotations").mkdir()
    for name, text in FILES.items():
        (tmp_path / "annotations" / f"{name}.csv").write_text(text)
    dicom_file(tmp_path / "train" / "t1.dicom", ViewPosition="PA")
    return tmp_path


def test_radiologists_are_reads_and_the_consensus_is_a_label(root):
    source = datasets.load("vindr", root)
    reads = {(r["reader"], r["finding"]): r["call"] for r in source.reads.iter_rows(named=True)}
    assert reads == {
        ("R9", "cardiomegaly"): "present",
        ("R9", "fracture"): "present",
        ("R9", "lung_lesion"): "absent",
        ("R9", "no_finding"): "absent",
        ("R8", "cardiomegaly"): "absent",
        ("R8", "fracture"): "absent",
        ("R8", "lung_lesion"): "absent",
        ("R8", "no_finding"): "present",
    }
    assert source.labels.filter(pl.col("state").cast(pl.String) == "present").rows() == [
        ("e1", "lung_lesion", "consensus", "present")
    ]
    assert source.labels["case_id"].unique().to_list() == ["e1"]
    assert source.regions.select("image_id", "finding", "source", "x", "y", "width", "height").rows() == [
        ("t1", "cardiomegaly", "R9", 100, 200, 200, 50), ("e1", "lung_lesion", "consensus", 10, 20, 30, 40),
    ]  # fmt: skip
    assert source.notes == (
        "the set does not identify patients: every image counts as one patient",
        "1 images have no view in their header: PA assumed, as published",
        "1 answers are of findings that are not in the vocabulary (Aortic enlargement 1): left out",
        "1 boxes are of findings that are not in the vocabulary (Aortic enlargement 1): left out",
    )
    images = source.images
    assert images.select("image_id", "path", "view", "official_split").rows() == [
        ("t1", "train/t1.dicom", "PA", "train"),
        ("e1", "test/e1.dicom", "PA", "test"),
    ]


def test_the_form_of_kaggle(tmp_path):
    (tmp_path / "train.csv").write_text(
        "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n"
        "k1,No finding,14,R1,,,,\nk1,Pleural thickening,11,R2,1,2,3,5\n"
    )
    source = datasets.load("vindr", tmp_path)
    calls = {(r["reader"], r["finding"]): r["call"] for r in source.reads.iter_rows(named=True)}
    assert calls["R1", "no_finding"] == "present"
    assert calls["R2", "pleural_thickening"] == "present"
    assert calls["R1", "pleural_thickening"] == "absent"
    assert ("R1", "pneumonia") not in calls  # a finding of the whole picture: the boxes do not state it
    assert ("R1", "fracture") not in calls  # nor a finding that Kaggle had no class for
    assert source.labels.height == 0
    (tmp_path / "train.csv").write_text(
        "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\nk1,Edema,7,R1,1,2,3,4\n"
    )
    with pytest.raises(InputError, match=r"Kaggle's classes Aortic enlargement, .*; found others \(Edema\)"):
        datasets.load("vindr", tmp_path)


def test_a_header_that_tells_another_view_is_believed(root, dicom_file):
    dicom_file(root / "test" / "e1.dicom", ViewPosition="LL")
    assert datasets.load("vindr", root).images["view"].to_list() == ["PA", "LATERAL"]


@pytest.mark.parametrize("box", [",,,", "3,2,1,4", "1,,3,4"])
def test_a_finding_without_a_box_is_said(root, box):
    file = root / "annotations" / "annotations_train.csv"
    file.write_text(FILES["annotations_train"].replace("1,2,3,4", box))
    with pytest.raises(InputError, match=r"of every finding; found 1 rows without \(t1\)"):
        datasets.load("vindr", root)


def test_what_is_wrong_is_said(root):
    file = root / "annotations" / "image_labels_train.csv"
    file.write_text(FILES["image_labels_train"].replace("Rib fracture", "Ribs fracture"))
    with pytest.raises(InputError, match=r"findings of VinDr-CXR; found others \(Ribs fracture\). Did you mean 'Rib"):
        datasets.load("vindr", root)
    file.write_text(FILES["image_labels_train"].replace("1,0,1,1,0,0", "1,0,1,1,0,2"))
    with pytest.raises(InputError, match=r"0 or 1; found 1 others \(2\)"):
        datasets.load("vindr", root)
    file.unlink()
    with pytest.raises(InputError, match=r"image_labels_train.csv of VinDr-CXR"):
        datasets.load("vindr", root)


def test_a_folder_of_another_set_is_named(tmp_path):
    (tmp_path / "Data_Entry_2017.csv").touch()
    with pytest.raises(InputError, match="found a folder that looks like NIH ChestX-ray14"):
        datasets.load("vindr", tmp_path)
