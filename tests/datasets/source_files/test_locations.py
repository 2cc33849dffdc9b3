import os
from pathlib import PurePosixPath

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overread.datasets.source_files.locations import located
from overread.errors import InputError


def make(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")
    return root


def find(root, *paths):
    made = located(pl.Series("path", paths, dtype=pl.String), root, "t.csv")
    return made.paths.to_list(), made.present.to_list(), made.notes


@pytest.mark.parametrize(
    ("stated", "file"),
    [
        ("a", "a.png"),
        ("a.png", "a.jpg"),
        ("a.PNG", "a.png"),
        ("a", "deep/er/a.jpeg"),
        ("img/a.dcm", "img/a.png"),
        ("img/a.png", "a.png"),
        ("1.2.3.4", "1.2.3.4.dcm"),
        ("1.2.3.4.dcm", "1.2.3.4"),
        (r"img\a.png", "img/a.png"),
        ("png/a.png", "png/part1/a.png"),
        ("png/a.png", "png/x/y/a.jpg"),
        ("set/png/a.png", "png/part1/a.png"),
        (r"C:\data\img\a.png", "img/a.jpg"),
        ("/home/x/img/a.png", "img/a.png"),
        ("./a.png", "a.png"),
    ],
)
def test_a_file_is_found_by_its_stem(tmp_path, stated, file):
    root = make(tmp_path, file, "other.png", "a.txt")
    paths, present, notes = find(root, stated)
    assert (paths, present) == ([file], [True])
    assert notes == (f"1 files were found by their name without folder or extension ('{stated}' is {file})",)


@pytest.mark.parametrize("stated", ["b", "img/a.png", "a_mask", "A2"])
def test_a_file_of_another_name_or_folder_is_not_taken(tmp_path, stated):
    root = make(tmp_path, "masks/a.png", "a_mask_2.png", "A.png")
    assert find(root, stated) == ([stated], [False], ())


def test_the_stated_folder_wins_over_one_below_it_and_two_below_it_are_unclear(tmp_path):
    root = make(
        tmp_path, "png/part1/a.png", "png/part2/b.png", "png/b.jpg", "mask/png2/c.png", "png/1/d.png", "png/2/d.png"
    )
    assert find(root, "png/a.png", "png/b.png", "png/c.png")[0] == ["png/part1/a.png", "png/b.jpg", "png/c.png"]
    with pytest.raises(InputError, match=r"1 images with several \(png/d.png: png/1/d.png, png/2/d.png\)"):
        find(root, "png/d.png")


def test_the_stated_path_wins_and_a_named_file_is_not_given_to_another_row(tmp_path):
    root = make(tmp_path, "png/a.png", "dicom/a.dcm", "b.png")
    assert find(root, "png/a.png", "b.png", "b.jpg", None) == (
        ["png/a.png", "b.png", "b.jpg", None],
        [True, True, False, False],
        (),
    )
    assert find(root, "png/a")[0] == ["png/a.png"]


def test_several_files_of_one_stem_and_several_rows_of_one_file_are_refused(tmp_path):
    root = make(tmp_path, "png/a.png", "dicom/a.dcm", "b.png")
    with pytest.raises(InputError) as caught:
        find(root, "a", "b.jpg", "b.dcm")
    message = str(caught.value)
    assert "one file for every image; found 1 images with several (a: dicom/a.dcm, png/a.png). State folder" in message
    assert "1 files that several paths of the table could mean (b.png: b.jpg, b.dcm)" in message


def test_a_closed_folder_elsewhere_does_not_matter(tmp_path, monkeypatch):
    root = make(tmp_path, "img/a.png", "lost+found/x")
    real = os.scandir

    def scandir(place):
        if str(place).endswith("lost+found"):
            raise PermissionError(13, "no")
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)
    assert find(root, "img/a")[:2] == (["img/a.png"], [True])


names = st.lists(st.text("abc1.", min_size=1, max_size=4).filter(lambda s: s.strip(".") == s), unique=True, min_size=1)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names, st.data())
def test_what_is_found_has_the_stated_stem_and_is_found_once(tmp_path_factory, stems, data):
    root = tmp_path_factory.mktemp("r")
    files = []
    for stem in stems:
        folder = data.draw(st.sampled_from(["", "x/", "x/y/"]))
        files.append(f"{folder}{stem}{data.draw(st.sampled_from(['.png', '.JPG', '.dcm']))}")
    make(root, *files)
    wanted = [stem + data.draw(st.sampled_from(["", ".png", ".jpeg", ".dcm"])) for stem in stems]
    try:
        paths, present, _ = find(root, *wanted)
    except InputError:
        return
    assert all(present)
    assert sorted(paths) == sorted(files)
    for path, stem in zip(paths, stems, strict=True):
        assert PurePosixPath(path).name.startswith(stem)
