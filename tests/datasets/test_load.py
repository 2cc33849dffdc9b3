import polars as pl
import pytest

from overread import datasets
from overread.errors import InputError


@pytest.fixture
def root(tmp_path):
    pl.DataFrame({"file": ["a.png", "b.png"], "pat": ["1", "2"], "Mass": ["1", "0"]}).write_csv(tmp_path / "t.csv")
    return tmp_path


OPTIONS = {
    "images": "t.csv",
    "columns": {"image_id": "file", "path": "file", "patient_id": "pat"},
    "defaults": {"site": "s"},
    "labels": ["Mass"],
}


def test_a_prefix_is_set_before_every_identifier_and_no_path(root):
    source = datasets.load("table", root, OPTIONS | {"prefix": "$1-"})
    assert source.images.select("image_id", "case_id", "patient_id", "path").row(0) == (
        "$1-a.png",
        "$1-a.png",
        "$1-1",
        "a.png",
    )
    assert source.labels["case_id"].to_list() == ["$1-a.png", "$1-b.png"]


def test_unknown_source_and_options_are_said_with_the_nearest(root):
    with pytest.raises(InputError, match=r"one of .*nih14.*table, vindr; found 'tabel'. Did you mean 'table'\?"):
        datasets.load("tabel", root)
    with pytest.raises(InputError) as caught:
        datasets.load("table", root, {"imagse": "t.csv"})
    message = str(caught.value)
    assert "'imagse'. Did you mean 'images'?" in message
    assert "expected the option 'columns'; found no such key. Add columns = { … } under [options]." in message


def test_a_missing_site_names_the_key_and_its_section(tmp_path):
    with pytest.raises(InputError, match=r"'site'; found no such key. Add site = \"…\" under \[options\]."):
        datasets.load("dicom_folder", tmp_path)
    with pytest.raises(InputError, match=r"Add site = \"…\" under \[sources.north.options\]."):
        datasets.load("dicom_folder", tmp_path, where="[sources.north.options]")
    with pytest.raises(InputError, match=r'Write it as columns = \{ path = "…" \}.'):
        datasets.load("table", tmp_path, OPTIONS | {"path": "png/{image_id}.png"})


def test_helpers_are_no_sources():
    assert set(datasets.names()) >= {"nih14", "table"}
    assert not {"folding", "stated"} & set(datasets.names())
