import json

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
    dicom_file(
        tmp_path / "stage_2_train_images" / "b2.dcm",
        ViewPosition="PA",
        PatientSex="M",
        PatientAge="51",
        PixelSpacing=[0.143, 0.143],
    )
    return tmp_path


def test_opacities_and_normal_pictures(root):
    source = datasets.load("rsna", root)
    labels = {(r["case_id"], r["finding"]): r["state"] for r in source.labels.iter_rows(named=True)}
    assert labels == {
        ("a1", "lung_opacity"): "absent",
        ("b2", "lung_opacity"): "present",
        ("c3", "lung_opacity"): "absent",
        ("a1", "no_finding"): "absent",
        ("b2", "no_finding"): "absent",
        ("c3", "no_finding"): "present",
    }
    assert source.regions.select("image_id", "number", "x", "width").rows() == [
        ("b2", 1, 264.0, 213.0),
        ("b2", 2, 562.0, 256.0),
    ]
    row = source.images.filter(pl.col("image_id") == "b2").row(0, named=True)
    assert (row["view"], row["sex"], row["age_years"], row["path"]) == ("PA", "M", 51.0, "stage_2_train_images/b2.dcm")
    assert (row["pixel_mm"], row["original_pixel_mm"]) == (None, 0.143)


def test_the_mappings_tell_whose_image_it_is(root):
    assert "every image counts as one" in datasets.load("rsna", root).notes[0]
    entries = [
        {"subset_img_id": n, "img_id": f"0000{p:04d}_00{i}.png", "SOPInstanceUID": "1.2"}
        for i, (n, p) in enumerate([("a1", 7), ("b2", 30), ("c3", 7), ("d4", 8)])
    ]
    file = root / "pneumonia-challenge-dataset-mappings_2018.json"
    file.write_text(json.dumps(entries))
    source = datasets.load("rsna", root)
    assert source.images.select("image_id", "patient_id", "nih_image").rows() == [
        ("a1", "7", "00000007_000.png"),
        ("b2", "30", "00000030_001.png"),
        ("c3", "7", "00000007_002.png"),
    ]
    assert source.notes == ()
    file.write_text(json.dumps(entries[:2]))
    with pytest.raises(InputError, match=r"00000001_000.png for every image; found 1 without \(c3\)"):
        datasets.load("rsna", root)
    for text in ("{", '{"a": 1}', "[1]"):
        file.write_text(text)
        with pytest.raises(InputError, match="entries with subset_img_id and img_id; found something else"):
            datasets.load("rsna", root)


def test_files_that_the_tables_lack_are_counted(root, dicom_file):
    dicom_file(root / "stage_2_test_images" / "z9.dcm")
    assert "1 files are not in the tables, which label them not: left out" in datasets.load("rsna", root).notes


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (("a1,,,,,0", "a1,1,2,3,,1"), ("a1,No Lung Opacity / Not Normal", "a1,Lung Opacity"), r"with a box, .*\(a1\)"),
        (("a1,,,,,0", "a1,,,,,2"), (), r"Target 1 with a box, or 0 without; found 1 others \(a1\)"),
        (("a1,,,,,0\n", ""), (), r"every image in both tables; found 1 others \(a1\)"),
        ((), ("a1,No Lung Opacity / Not Normal\n", ""), r"every image in both tables; found 1 others \(a1\)"),
        ((), ("c3,Normal", "c3,Lung Opacity"), r"'Lung Opacity' where Target is 1, and only there; found 1 .*\(c3\)"),
        ((), ("c3,Normal", "c3,Normal\nc3,No Lung Opacity / Not Normal"), r"one class of an image; found 1 .*\(c3\)"),
        (("264.0", "left"), (), r"numbers in 'x'; found 1 others \(left\)"),
    ],
)
def test_tables_that_contradict_are_said(root, labels, classes, message):
    (root / "stage_2_train_labels.csv").write_text(LABELS.replace(*labels) if labels else LABELS)
    (root / "stage_2_detailed_class_info.csv").write_text(CLASSES.replace(*classes) if classes else CLASSES)
    with pytest.raises(InputError, match=message):
        datasets.load("rsna", root)


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


def test_a_folder_of_another_set_is_named(tmp_path):
    (tmp_path / "Data_Entry_2017.csv").touch()
    with pytest.raises(InputError, match="found a folder that looks like NIH ChestX-ray14"):
        datasets.load("rsna", tmp_path)
