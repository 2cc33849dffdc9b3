import polars as pl
import pytest

from overread.datasets import shipped
from overread.errors import InputError

ABOUT = shipped.About("The Set", "", "", "", "", "", marks=("the_set.csv",), images=100, patients=50)


def test_known_sets_say_who_made_them_and_on_which_terms():
    sets = shipped.known()
    assert "NIH ChestX-ray14" in {a.title for a in sets}
    for about in sets:
        assert all((about.title, about.citation, about.url, about.licence, about.terms, about.marks)), about.title
    assert len({a.title for a in sets}) == len(sets)


def test_no_two_sets_are_known_by_one_file():
    marks = [m for a in shipped.known() for m in a.marks]
    assert len(set(marks)) == len(marks)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, r"gone: expected a folder; found nothing there. Check the path."),
        (lambda p: p.write_bytes(b"PK\x03\x04rest"), r"a folder; found an archive. Unpack it and give the folder."),
        (lambda p: p.write_text("a,b"), r"a folder; found a file. Give the folder that holds it."),
        (lambda p: p.mkdir(), r"the_set.csv of The Set; found an empty folder"),
        (lambda p: [p.mkdir(), (p / "a.txt").touch()], r"the_set.csv of The Set; found a.txt"),
        (lambda p: [p.mkdir(), (p / "Data_Entry_2017.csv").touch()], "found a folder that looks like NIH ChestX-ray14"),
    ],
)
def test_what_stands_in_place_of_the_folder_is_said(tmp_path, make, message):
    make(tmp_path / "gone")
    with pytest.raises(InputError, match=message):
        shipped.table(tmp_path / "gone", ["the_set.csv"], [], ABOUT)


def test_columns_that_changed_are_said_all_at_once(tmp_path):
    (tmp_path / "the_set.csv").write_text("image,Ages,x\n1,2,3\n")
    with pytest.raises(InputError, match=r"the columns of The Set; found 2 missing \(Age, sex\). Did you mean 'Ages'"):
        shipped.table(tmp_path, ["the_set.csv"], ["image", "Age", "sex"], ABOUT)


def test_names_with_spaces_umlauts_and_newlines_are_found(tmp_path):
    odd = ["a b.png", "größe.png", "new\nline.png", "plain.PNG"]
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in odd:
        (tmp_path / "deep" / "er" / name).touch()
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    found = shipped.paths(tmp_path, (".png",))
    assert found == {name: f"deep/er/{name}" for name in odd}


def test_counts_are_noted_only_where_the_set_looks_whole():
    def images(n, patients):
        return pl.DataFrame({"image_id": range(n), "patient_id": [i % patients for i in range(n)]})

    assert shipped.counts_note(images(100, 50), ABOUT) == ()
    assert shipped.counts_note(images(10, 5), ABOUT) == ()
    assert shipped.counts_note(images(101, 49), ABOUT) == (
        "The Set looks whole, but has 101 images where 100 were published",
        "The Set looks whole, but has 49 patients where 50 were published",
    )
