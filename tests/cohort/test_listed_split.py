import polars as pl
import pytest

from overread import tables
from overread.cohort import CohortConfig
from overread.cohort.patient_split import split, split_hash
from overread.errors import InputError


def images():
    rows = {"image_id": ["a0", "a1", "b0", "c0"], "patient_id": ["a", "a", "b", "c"], "site": ["s", "s", "s", "t"]}
    return tables.check(pl.DataFrame(rows), "images")


def made(tmp_path, text, **given):
    path = tmp_path / "list.csv"
    path.write_text(text)
    return split(images(), tables.empty("labels"), CohortConfig(split_file=str(path), **given))


def of(frame):
    return dict(frame.select("image_id", pl.col("split").cast(pl.String)).rows())


def said(notes):
    return pl.concat(notes).filter(pl.col("site") == "").select("unit", "reason", "count", "examples").rows()


def test_a_list_by_patient(tmp_path):
    found, notes = made(tmp_path, "patient_id,split\na,train\nb,tune\nc,test\n")
    assert of(found) == {"a0": "train", "a1": "train", "b0": "tune", "c0": "test"}
    assert notes == []
    assert found.columns == [*[c for c in images().columns if c != "split"], "split"]


def test_a_list_by_image_with_names_that_the_cohort_lacks(tmp_path):
    text = "image_id,patient_id,split\na0,a,train\na1,a,train\nb0,b,tune\nc0,c,test\nz9,z,test\nz8,z,test\n"
    found, notes = made(tmp_path, text)
    assert of(found) == {"a0": "train", "a1": "train", "b0": "tune", "c0": "test"}
    assert said(notes) == [("image_id", "in the list list.csv, not in the cohort", 2, "z8, z9")]


def test_images_that_the_list_lacks_are_refused_or_placed_as_said(tmp_path):
    text = "patient_id,split\na,train\nb,tune\n"
    with pytest.raises(InputError, match=r"found 1 of 4 images not listed \(c0\)"):
        made(tmp_path, text)
    found, notes = made(tmp_path, text, split_unlisted="test")
    assert of(found)["c0"] == "test"
    assert said(notes) == [("images", "not in the list list.csv: in test, as set by split_unlisted", 1, "c0")]
    found, notes = made(tmp_path, text, external_sites=("t",))  # an external site need not be listed
    assert (of(found)["c0"], notes) == ("test", [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,split\na,train\n", "the columns image_id or patient_id, and split; found columns name, split"),
        ("patient_id,fold\na,train\n", "found columns patient_id, fold"),
        ("patient_id,split\na,train\na,test\nb,tune\nc,test\n", r"1 in several \(a: test and train\)"),
        ("patient_id,split\na,trian\nb,tune\nc,test\n", r"2 images with others \(trian\)"),
        ("image_id,split\na0,train\na1,test\nb0,tune\nc0,test\n", r"1 patients in several \(a: test and train\)"),
    ],
)
def test_lists_that_are_no_split_are_refused_by_name(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        made(tmp_path, text)


def test_the_hash_is_of_patients_and_splits_whatever_the_order(tmp_path):
    found, _ = made(tmp_path, "patient_id,split\na,train\nb,tune\nc,test\n")
    other, _ = made(tmp_path, "patient_id,split\na,train\nb,test\nc,test\n")
    assert split_hash(found) == split_hash(found.reverse()) == split_hash(found.unique("patient_id"))
    assert split_hash(found) != split_hash(other)
