import gzip

import polars as pl
import pytest

from overread import datasets
from overread.datasets import nih14
from overread.errors import InputError

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
ROWS = """00000001_000.png,Cardiomegaly|Effusion,0,1,57,M,PA,2682,2749,0.143,0.143
00000001_001.png,No Finding,1,1,058Y,M,AP,2682,2749,0.143,0.143
00000002_000.png,Pleural_Thickening,0,2,411,F,PA,2500,2048,0.168,0.168"""
BOXES = """Image Index,Finding Label,Bbox [x,y,w,h],,,
00000001_000.png,Infiltrate,225.0,547.0,86.5,79.0,,,
00000001_000.png,Infiltrate,25.0,47.0,6.5,9.0,,,
00000002_000.png,Mass,686.1,131.5,185.4,313.4,,,"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "Data_Entry_2017.csv").write_text(f"{HEADER}\n{ROWS}\n")
    (tmp_path / "images_001" / "images").mkdir(parents=True)
    (tmp_path / "images_001" / "images" / "00000001_000.png").touch()
    return tmp_path


def test_every_image_states_all_fifteen(root):
    source = datasets.load("nih14", root)
    assert source.labels.height == 3 * 15
    present = source.labels.filter(pl.col("state").cast(pl.String) == "present").select("case_id", "finding")
    assert sorted(present.rows()) == [
        ("00000001_000.png", "cardiomegaly"),
        ("00000001_000.png", "pleural_effusion"),
        ("00000001_001.png", "no_finding"),
        ("00000002_000.png", "pleural_thickening"),
    ]
    assert source.labels["source"].unique().to_list() == ["report_text"]


def test_paths_ages_and_what_was_resized(root):
    images = datasets.load("nih14", root).images
    assert images["path"].to_list()[:2] == ["images_001/images/00000001_000.png", "images/00000001_001.png"]
    assert images["age_years"].to_list() == [57.0, 58.0, None]
    assert "age 411 is above 120 years" in images["source_note"][2]
    assert images["pixel_mm"].null_count() == 3
    assert images.select("original_columns", "original_rows", "original_pixel_mm").row(0) == (2682, 2749, 0.143)
    assert "official_split" not in images.columns


def test_images_that_are_known_to_be_wrong_are_noted(root):
    row = "00013774_015.png,Effusion,15,13774,77,F,PA,2500,2048,0.168,0.168"
    (root / "Data_Entry_2017.csv").write_text(f"{HEADER}\n{ROWS}\n{row}\n")
    images = datasets.load("nih14", root).images.filter(pl.col("image_id") == "00013774_015.png")
    assert images["source_note"].to_list() == ["known error: a lateral view stated as PA"]


def test_a_resized_copy_does_not_take_the_place_of_what_is_shipped(root):
    name = "00000001_000.png"
    (root / "images-224").mkdir()
    (root / "images-224" / name).touch()
    assert datasets.load("nih14", root).images["path"][0] == f"images_001/images/{name}"
    (root / "images_001" / "images" / name).unlink()
    (root / "images_001" / "images").rmdir()
    (root / "images_001").rmdir()
    assert datasets.load("nih14", root).images["path"][0] == f"images-224/{name}"


def test_boxes_and_official_lists(root):
    (root / "BBox_List_2017.csv.gz").write_bytes(gzip.compress(BOXES.encode()))
    (root / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n")
    (root / "test_list.txt").write_text("00000002_000.png\n")
    source = datasets.load("nih14", root)
    assert source.images["official_split"].to_list() == ["train_val", "train_val", "test"]
    assert source.regions.select("finding", "number", "x", "width").rows() == [
        ("infiltration", 1, 225.0, 86.5),
        ("infiltration", 2, 25.0, 6.5),
        ("mass", 1, 686.1, 185.4),
    ]
    (root / "test_list.txt").write_text("00000001_000.png\n")
    with pytest.raises(InputError, match=r"an image in one list only; found 1 in several \(00000001_000.png\)"):
        datasets.load("nih14", root)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("BBox_List_2017.csv", b"", "BBox_List_2017.csv: expected a text of lines; found empty CSV"),
        (
            "test_list.txt",
            b"00000001_000.png\n\xff\xfe",
            "test_list.txt: expected a text of lines; found invalid utf-8",
        ),
        (
            "BBox_List_2017.csv",
            BOXES.replace("Mass", "").encode(),
            "BBox_List_2017.csv: expected a known finding; found ''",
        ),
        ("BBox_List_2017.csv", b"a,b\nx.png,Mass\n", "columns image_id, finding, x, y, width, height; found 2 columns"),
        ("BBox_List_2017.csv", BOXES.replace("686.1", "left").encode(), "left"),
    ],
)
def test_broken_tables_are_said(root, name, content, message):
    (root / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        datasets.load("nih14", root)


def test_missing_tables_and_another_layout_are_said(tmp_path, root):
    with pytest.raises(InputError, match=r"Data_Entry_2017_v2020.csv of NIH ChestX-ray14; found images"):
        nih14.read(root / "images_001")
    (root / "Data_Entry_2017.csv").write_text("Image Index,Finding Labels\na.png,Mass\n")
    with pytest.raises(InputError, match="the columns of NIH ChestX-ray14; found 8 missing"):
        nih14.read(root)
    (root / "Data_Entry_2017.csv").write_text(f"{HEADER}\n{ROWS.replace('2682', 'wide', 1)}\n")
    with pytest.raises(InputError, match=r"whole numbers in 'original_columns'; found 1 others \(wide\)"):
        nih14.read(root)


@pytest.mark.slow
def test_the_whole_set_gives_its_published_counts(tmp_path, shared):
    real = shared("real/labels")
    for name in ("Data_Entry_2017_v2020.csv.gz", "BBox_List_2017.csv.gz"):
        (tmp_path / name).symlink_to(real / name)
    for name in ("test_list.txt.gz", "train_val_list.txt.gz"):
        (tmp_path / name).symlink_to(real / f"nih_official_{name}")
    source = nih14.read(tmp_path)
    assert source.notes == ()
    images = source.images
    assert (images.height, images["patient_id"].n_unique(), source.labels.height) == (112_120, 30_805, 112_120 * 15)
    assert dict(images["official_split"].value_counts().rows()) == {"train_val": 86_524, "test": 25_596}
    assert images.filter(pl.col("source_note").str.contains("known error")).height == 5
    present = source.labels.filter(pl.col("state").cast(pl.String) == "present").group_by("finding").len().rows()
    counts = {str(f): n for f, n in present}
    assert counts == {
        "no_finding": 60_361,
        "atelectasis": 11_559,
        "cardiomegaly": 2_776,
        "pleural_effusion": 13_317,
        "infiltration": 19_894,
        "mass": 5_782,
        "nodule": 6_331,
        "pneumonia": 1_431,
        "pneumothorax": 5_302,
        "consolidation": 4_667,
        "edema": 2_303,
        "emphysema": 2_516,
        "fibrosis": 1_686,
        "pleural_thickening": 3_385,
        "hernia": 227,
    }
    assert source.regions.height == 984
    assert source.regions["image_id"].n_unique() == 880
    both = images.group_by("patient_id").agg(pl.col("official_split").n_unique()).filter(pl.col("official_split") > 1)
    assert both.height == 0


@pytest.mark.slow
def test_a_split_of_ones_own_as_lists_or_folds(root):
    (root / "train_list.txt").write_text("00000001_000.png 0 1 0\n00000001_001.png 0 0 0\n")
    (root / "test.csv").write_text("Image Index,label\n00000002_000.png,1\n")
    source = datasets.load("nih14", root, {"lists": {"train": "train_list.txt", "test": "test.csv"}})
    assert source.images["list_split"].to_list() == ["train", "train", "test"]
    (root / "folds.csv").write_text("Image Index,fold\n00000001_000.png,val\n00000002_000.png,test\n")
    source = datasets.load("nih14", root, {"lists": "folds.csv"})
    assert source.images["list_split"].to_list() == ["tune", None, "test"]
    (root / "train_list.txt").write_text("images_001/00000001_000.png 0 1 0\n")
    (root / "test.csv").write_text(',Image Index,label\n0,"00000002_000.png",1\n')
    source = datasets.load("nih14", root, {"lists": {"tune": "train_list.txt", "test": "test.csv"}})
    assert source.images["list_split"].to_list() == ["tune", None, "test"]


def test_what_lists_and_table_do_not_share_is_noted(root):
    (root / "nih_official_train_val_list.txt").write_text("00000001_000.png\n00000009_000.png\n")
    source = datasets.load("nih14", root)
    assert source.images["official_split"].to_list() == ["train_val", None, None]
    assert source.notes == (
        "NIH's lists name 1 images that the table lacks",
        "2 images are in none of NIH's lists",
    )


def test_a_patient_or_image_that_stands_twice_is_said(root):
    (root / "Data_Entry_2017.csv").write_text(f"{HEADER}\n{ROWS}\n{ROWS.splitlines()[0].replace(',1,57', ',7,57')}\n")
    with pytest.raises(InputError, match=r"00000001_000\.png"):
        datasets.load("nih14", root)


@pytest.mark.parametrize(
    ("lists", "text", "message"),
    [
        ({"train": "a.txt"}, "00000009_000.png\n", r"images of the table; found 1 that it lacks \(00000009_000.png\)"),
        ({"train": "b.txt"}, "", "a list of images; found no file there"),
        ({"learn": "a.txt"}, "00000002_000.png\n", r"folds train, tune, val, .*; found others \(learn\)"),
        ("a.txt", "Image Index,fold\n00000002_000.png,\n", r"found others \(\(empty\)\)"),
        ({"train": "a.txt"}, "00000002_000.png\n00000001_000.jpg\n", r"1 lines without \(00000001_000.jpg\)"),
        ({"train": "a.txt"}, "Image Index\n", "the name of an image .* in every line; found none"),
        ({"train": "a.txt", "test": "a.txt"}, "00000002_000.png\n", "an image in one list only; found 1 in several"),
    ],
)
def test_lists_that_cannot_be_used_are_said(root, lists, text, message):
    (root / "a.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        datasets.load("nih14", root, {"lists": lists})
