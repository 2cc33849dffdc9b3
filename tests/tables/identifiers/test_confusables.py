"""Names that look the same and are not: named to the user, never joined."""

import polars as pl
import pytest

from overread import tables
from overread.errors import InputError
from overread.tables.identifiers.confusables import confusable


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alder", "\u0410lder"),
        ("alder", "\u0430lder"),
        ("OSLO", "\u039fSLO"),
        ("cop", "\u0441\u043e\u0440"),
        ("X", "Х"),
    ],
)
def test_letters_of_other_scripts_in_latin_shape(one, other):
    assert one != other
    assert confusable(pl.Series([one, other, "birch"]), within_ascii=False) == [sorted([one, other])]


@pytest.mark.parametrize(
    "names", [("Москва", "Тверь"), ("Αθήνα", "Πάτρα"), ("北京", "上海"), ("north", "south"), ("é", "e")]
)
def test_names_in_one_script_are_apart(names):
    assert confusable(pl.Series(names), within_ascii=True) == []


def test_digits_in_the_shape_of_letters_are_for_names_not_for_numbers():
    assert confusable(pl.Series(["P10", "P1O"]), within_ascii=True) == [["P10", "P1O"]]
    assert confusable(pl.Series(["P10", "P1O"]), within_ascii=False) == []


@pytest.mark.parametrize(
    ("column", "values"),
    [("site", ("Mary", "M\u0430ry")), ("patient_id", ("c1", "\u04411")), ("image_id", ("x", "\u0445"))],
)
def test_a_table_notes_them_with_their_characters(column, values):
    frame = pl.DataFrame({"image_id": ["i1", "i2"], "patient_id": ["p1", "p2"], "site": ["a", "b"]})
    notes = []
    checked = tables.check(frame.with_columns(pl.Series(column, values)), "images", notes=notes)
    assert tuple(checked[column]) == values  # taken as different
    (note,) = [n for n in notes if "look like another" in n.what and n.column == column]
    assert not note.changed
    assert f"\\u{ord(next(c for c in values[1] if ord(c) > 127)):04x}" in str(note)


@pytest.mark.parametrize("column", ["site", "patient_id", "image_id"])
def test_a_name_of_thousands_of_letters_is_refused(column):
    frame = pl.DataFrame({"image_id": ["i1", "i2"], "patient_id": ["p1", "p2"], "site": ["a", "b"]})
    with pytest.raises(InputError, match=f"at most 500 characters in '{column}'"):
        tables.check(frame.with_columns(pl.Series(column, ["x" * 5000, "b"])), "images", where="images.csv")
