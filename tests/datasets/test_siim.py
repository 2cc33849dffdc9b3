import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread import datasets
from overread.datasets.siim import _box, mask_of
from overread.errors import InputError

TABLE = "ImageId, EncodedPixels\n1.2.3, -1\n1.2.4, 1025 3 1021 3\n1.2.4, 5242880 10\n1.2.5, -1\n"
TABLE = TABLE.replace("5242880", "524288")


@pytest.fixture
def root(tmp_path, dicom_file):
    (tmp_path / "train-rle.csv").write_text(TABLE)
    dicom_file(
        tmp_path / "dicom-images-train" / "1" / "2" / "1.2.4.dcm", ViewPosition="AP", PatientSex="F", PatientAge="51"
    )
    return tmp_path


def test_masks_become_regions_and_a_stroke_of_minus_one_is_absent(root):
    source = datasets.load("siim", root)
    assert source.labels.select("case_id", pl.col("state").cast(pl.String)).rows() == [
        ("1.2.3", "absent"),
        ("1.2.4", "present"),
        ("1.2.5", "absent"),
    ]
    assert source.regions.select("number", "x", "y", "width", "height", "mask_pixels").rows() == [
        (1, 1.0, 1.0, 2.0, 3.0, 6), (2, 512.0, 0.0, 1.0, 10.0, 10),
    ]  # fmt: skip
    images = source.images
    assert images["path"].to_list()[:2] == ["dicom-images-train/1.2.3.dcm", "dicom-images-train/1/2/1.2.4.dcm"]
    assert images["view"].to_list() == ["UNKNOWN", "AP", "UNKNOWN"]
    assert images["sex"].to_list() == [None, "F", None]
    assert images["age_years"].to_list() == [None, 51, None]
    assert "every image counts as one" in source.notes[0]


def slow_mask(runs, side):
    """By the definition: walk the picture column by column."""
    mask, place = [[False] * side for _ in range(side)], 0
    numbers = [int(n) for n in runs.split()]
    for skip, length in zip(numbers[::2], numbers[1::2], strict=True):
        place += skip
        for _ in range(length):
            mask[place % side][place // side] = True
            place += 1
    return np.array(mask)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 5)), min_size=1, max_size=8))
def test_the_mask_equals_its_slow_twin(pairs):
    runs = " ".join(f"{a} {b}" for a, b in pairs)
    mask = slow_mask(runs, 12)
    np.testing.assert_array_equal(mask_of(runs, 12), mask)
    rows, columns = np.nonzero(mask)
    assert _box(runs, "", 12) == {
        "x": columns.min(),
        "y": rows.min(),
        "width": np.ptp(columns) + 1,
        "height": np.ptp(rows) + 1,
        "mask_pixels": mask.sum(),
    }


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ("1 2 3", "pairs of a skip and a length above 0; found '1 2 3'"),
        ("1 0", "pairs of a skip and a length above 0"),
        ("-5 3", "pairs of a skip and a length above 0"),
        ("a b", "run lengths; found 'a b'"),
        ("0 9223372036854775807 1 9223372036854775807", "runs within 1024 x 1024 pixels"),
        ("0 1048577", "runs within 1024 x 1024 pixels; found 1,048,577 pixels"),
    ],
)
def test_run_lengths_that_cannot_be_are_said(root, runs, message):
    (root / "train-rle.csv").write_text(f"ImageId, EncodedPixels\n1.2.3, {runs}\n")
    with pytest.raises(InputError, match=rf"1\.2\.3: expected {message}"):
        datasets.load("siim", root)


def test_other_columns_are_said(root):
    (root / "train-rle.csv").write_text("ImageId,Mask\na,1\n")
    with pytest.raises(InputError, match=r"SIIM-ACR Pneumothorax; found 1 missing \(EncodedPixels\)"):
        datasets.load("siim", root)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1.2.3,", r"run lengths or -1 in every row, .*; found 1 empty cells \(1\.2\.3\)"),
        ("1.2.3,-1\n1.2.3,5 2", r"not both of one image; found 1 images with both \(1\.2\.3\)"),
    ],
)
def test_a_row_that_does_not_say_and_one_that_contradicts_are_said(root, rows, message):
    (root / "train-rle.csv").write_text(f"ImageId, EncodedPixels\n{rows}\n")
    with pytest.raises(InputError, match=message):
        datasets.load("siim", root)


def test_files_that_the_table_lacks_are_counted(root, dicom_file):
    dicom_file(root / "dicom-images-test" / "1.2.9.dcm")
    assert "1 files are not in the table, which labels them not: left out" in datasets.load("siim", root).notes


def test_a_folder_of_another_set_is_named(tmp_path):
    (tmp_path / "Data_Entry_2017.csv").touch()
    with pytest.raises(InputError, match="found a folder that looks like NIH ChestX-ray14"):
        datasets.load("siim", tmp_path)
