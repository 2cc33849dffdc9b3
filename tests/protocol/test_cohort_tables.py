"""The tables of a cohort: read as an evaluation reads them, rows without an image refused or counted."""

import pytest

from overread.errors import InputError
from overread.protocol import cohort_tables

IMAGES = "Image Index;Patient ID;Hospital;path;Sex;Age\n" + "".join(
    f"i{k};p{k};north;i{k}.png;W;45\n" for k in range(9)
)
LABELS = "Image Index,Effusion\n" + "".join(f"i{k},1\n" for k in range(9))
REGIONS = "image_id,finding,source,x,y,width,height\ni0,edema,a,1,1,5,5\n"


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{name}.csv" for name in ("images", "labels", "regions")]
    for path, text in zip(paths, (IMAGES, LABELS, REGIONS), strict=True):
        path.write_text(text)
    return paths


def test_tables_as_people_have_them_make_a_source(files):
    source, said = cohort_tables(*files)
    assert source.images["site"].unique().to_list() == ["north"]
    assert source.images["sex"].cast(str).unique().to_list() == ["F"]
    assert source.labels["finding"].unique().to_list() == ["pleural_effusion"]
    assert source.regions.height == 1
    assert said == ["images.csv: read as text with semicolons between columns."]


@pytest.mark.parametrize(
    ("file", "more", "message"),
    [
        (1, "x1,1\n", r"labels: expected cases of the images table; found 1 of 10 cases \(10.0%\) .*\('x1'\)"),
        (2, "x1,edema,a,1,1,5,5\n", r"regions: expected images of the images table; found 1 of 2 images \(50.0%\)"),
    ],
)
def test_rows_without_an_image_are_refused_or_counted(files, file, more, message):
    files[file].write_text(files[file].read_text() + more)
    with pytest.raises(InputError, match=message + r".*cohort\.missing_allowed = "):
        cohort_tables(*files)
    source, _ = cohort_tables(*files, allowed=0.6)
    assert "not in the images table" in source.notes[-1]
    assert "x1" not in source.labels["case_id"]


def test_a_cohort_needs_sites(files):
    files[0].write_text(IMAGES.replace("Hospital", "Ward"))
    with pytest.raises(InputError, match="a column 'site'; found none"):
        cohort_tables(*files)
