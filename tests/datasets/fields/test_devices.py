from pathlib import Path

import polars as pl
import pytest

from overread.datasets.fields import devices


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("SIEMENS", "Siemens"),
        ("Siemens Healthineers AG", "Siemens"),
        ('"GE Healthcare"', "GE"),
        ("GE MEDICAL SYSTEMS", "GE"),
        ("FUJI PHOTO FILM CO. LTD.", "Fujifilm"),
        ("FUJIFILM Corporation", "Fujifilm"),
        ("Agfa-Gevaert", "Agfa"),
        ("Carestream Health", "Carestream"),
        ("KODAK", "Kodak"),
        ("Canon Inc.", "Canon"),
        ("KONICA MINOLTA, INC.", "Konica Minolta"),
        ("Philips Medical Systems", "Philips"),
        ("Samsung Electronics Co., Ltd.", "Samsung"),
        ("ImagingDynamicsCompanyLtd", "Imaging Dynamics"),
        ("Imaging Dynamics Company Ltd", "Imaging Dynamics"),
        ("Some One", "Some One"),
    ],
)
def test_spellings_are_one_name(spelling, name):
    found = devices.folded(pl.DataFrame({"manufacturer": [spelling]}))
    assert found["manufacturer"].item() == name
    assert (found["source_note"].item() is None) == (spelling != "Some One")


def test_the_table_says_everything_once():
    table = pl.read_csv(Path(devices.__file__).with_name("devices.csv"), comment_prefix="#")
    assert table["spelling"].is_unique().all()
    assert table.null_count().row(0) == (0, 0)


def test_tables_without_manufacturers_stay():
    frame = pl.DataFrame({"a": [1]})
    assert devices.folded(frame).equals(frame)
