import polars as pl
import pytest

from overread.datasets.folding import NOTE, ages, noted, sexes, views


@pytest.mark.parametrize(
    ("word", "view"),
    [("PA", "PA"), ("pa", "PA"), ("Posteroanterior", "PA"), ("postero-anterior", "PA"), ("AP Supine", "AP"),
     ("a.p.", "AP"), ("LL", "LATERAL"), ("lateral", "LATERAL"), (None, "UNKNOWN"), ("", "UNKNOWN"),
     ("swimmer's", "UNKNOWN")],
)  # fmt: skip
def test_views_are_folded(word, view):
    assert views(pl.DataFrame({"view": [word]}, schema={"view": pl.String}))["view"].item() == view


def test_a_view_not_understood_is_noted_and_an_empty_one_is_not():
    made = views(pl.DataFrame({"view": ["oblique", None, "PA", "UNKNOWN"]}))
    assert made[NOTE].to_list() == ["view 'oblique' is none of PA, AP, LATERAL: UNKNOWN", None, None, None]


def test_sexes_are_folded_and_strange_ones_listed():
    made, problems = sexes(pl.DataFrame({"sex": ["F", "female", "MALE", None, "U", "other"]}), "t")
    assert made["sex"].to_list() == ["F", "F", "M", None, None, None]
    assert not problems
    _, problems = sexes(pl.DataFrame({"sex": ["F", "1", "0"]}), "t")
    assert str(problems[0]) == "t: expected a sex: F, M, female, male, or empty; found 2 other spellings (0, 1)."


def frame(*values):
    return pl.DataFrame({"image_id": [f"i{n}" for n in range(len(values))], "age_years": list(values)})


def test_ages_in_their_spellings():
    made, problems = ages(frame("57", "057Y", "71.0", "018M", "26W", "365D", None, ""), "t", known_errors=False)
    expected = [57, 57, 71, 1.5, 26 * 7 / 365.25, 365 / 365.25, None, None]
    assert made["age_years"].to_list() == pytest.approx(expected)
    assert not problems


def test_impossible_ages_are_listed_or_where_they_are_known_noted():
    _, problems = ages(frame("411", "57", "-3", "old"), "t", known_errors=False)
    assert [p.found for p in problems] == ["2 others", "1 others"]
    assert problems[0].examples == ("i2: -3", "i3: old")
    assert problems[1].examples == ("i0: 411",)
    made, problems = ages(frame("411", "57"), "t", known_errors=True)
    assert made["age_years"].to_list() == [None, 57.0]
    assert made[NOTE].to_list() == ["age 411 is above 120 years: not stated", None]
    assert not problems


def test_notes_add_up():
    one = noted(pl.DataFrame({"a": [1, 2]}), pl.when(pl.col("a") == 1).then(pl.lit("x")))
    two = noted(one, pl.lit("y"))
    assert two[NOTE].to_list() == ["x; y", "y"]
