import polars as pl
import pytest

from overread.datasets.fields.normalise import NOTE, ages, body_parts, dates, modalities, noted, numbers, sexes, views
from overread.errors import InputError


@pytest.mark.parametrize(
    ("word", "view"),
    [
        ("PA", "PA"),
        ("pa", "PA"),
        ("Posteroanterior", "PA"),
        ("postero-anterior", "PA"),
        ("AP Supine", "AP"),
        ("a.p.", "AP"),
        ("LL", "LATERAL"),
        ("lateral", "LATERAL"),
        (None, "UNKNOWN"),
        ("", "UNKNOWN"),
        ("swimmer's", "UNKNOWN"),
    ],
)
def test_views_are_folded(word, view):
    assert views(pl.DataFrame({"view": [word]}, schema={"view": pl.String}))["view"].item() == view


def test_a_view_not_understood_is_noted_and_an_empty_one_is_not():
    made = views(pl.DataFrame({"view": ["oblique", None, "PA", "UNKNOWN"]}))
    assert made[NOTE].to_list() == ["view 'oblique' is none of PA, AP, LATERAL: UNKNOWN", None, None, None]


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("CHEST", "CHEST"),
        ("Thorax", "CHEST"),
        ("TORAX", "CHEST"),
        ("TÓRAX", "CHEST"),
        ("PORT CHEST", "CHEST"),
        ("chest_pa", "CHEST"),
        ("LUNG", "CHEST"),
        ("胸部", "CHEST"),
        ("HAND", "HAND"),
        ("Extremity", "EXTREMITY"),
        ("THORACIC SPINE", "THORACIC SPINE"),
        ("TSPINE", "TSPINE"),
        ("ABDOMEN", "ABDOMEN"),
        ("TOOTH", "TOOTH"),
        ("", None),
        (None, None),
        ("UNKNOWN", None),
        ("N/A", None),
    ],
)
def test_body_parts_are_folded(word, part):
    made = body_parts(pl.DataFrame({"body_part": [word]}, schema={"body_part": pl.String}))
    assert made["body_part"].item() == part
    assert made[NOTE].item() == (None if part else "body part not stated")


@pytest.mark.parametrize(
    ("word", "modality"),
    [
        ("CR", "CR"),
        ("dx ", "DX"),
        ("DR", "DX"),
        ("XR", "RG"),
        ("X-ray", "RG"),
        ("CT", "CT"),
        ("OT", "OT"),
        ("", None),
        (None, None),
        ("unknown", None),
    ],
)
def test_modalities_are_folded(word, modality):
    made = modalities(pl.DataFrame({"modality": [word]}, schema={"modality": pl.String}))
    assert made["modality"].item() == modality
    assert made[NOTE].item() == (None if modality else "modality not stated")


def test_sexes_are_folded_and_strange_ones_listed():
    made, problems = sexes(pl.DataFrame({"sex": ["F", "female", "MALE", None, "U", "other"]}), "t")
    assert made["sex"].to_list() == ["F", "F", "M", None, None, None]
    assert not problems
    _, problems = sexes(pl.DataFrame({"sex": ["F", "1", "0"]}), "t")
    assert str(problems[0]) == (
        "t: expected a sex: F, M, female, male, or empty; found 2 other spellings (0, 1). Say what they stand for (of "
        'a table: spellings = { sex = { "1" = "M", "2" = "F" } }): sources number the sexes differently.'
    )


def frame(*values):
    return pl.DataFrame({"image_id": [f"i{n}" for n in range(len(values))], "age_years": list(values)})


def test_ages_in_their_spellings():
    made, problems = ages(frame("57", "057Y", "71.0", "018M", "26W", "365D", None, ""), "t")
    expected = [57, 57, 71, 1.5, 26 * 7 / 365.25, 365 / 365.25, None, None]
    assert made["age_years"].to_list() == pytest.approx(expected)
    assert not problems


def test_an_impossible_age_is_noted_and_an_unreadable_one_refused():
    made, problems = ages(frame("411", "57", "unk"), "t")
    assert made["age_years"].to_list() == [None, 57.0, None]
    assert made[NOTE].to_list() == ["age 411 is above 120 years: not stated", None, None]
    assert not problems
    _, problems = ages(frame("411", "57", "-3", "old"), "t")
    assert [(p.found, p.examples) for p in problems] == [("2 others", ("i2: -3", "i3: old"))]


def test_notes_add_up():
    one = noted(pl.DataFrame({"a": [1, 2]}), pl.when(pl.col("a") == 1).then(pl.lit("x")))
    two = noted(one, pl.lit("y"))
    assert two[NOTE].to_list() == ["x; y", "y"]


def test_dates_in_three_formats_are_read_and_order_is_told_by_the_others():
    from datetime import date

    frame = pl.DataFrame({"d": ["2020-02-03", "20200203", "3.2.2020 10:05", "31/01/2020", None, " "]})
    assert dates(frame, "d", "x")["d"].to_list() == [date(2020, 2, 3)] * 3 + [date(2020, 1, 31), None, None]
    american = pl.DataFrame({"d": ["3/2/2020", "1/31/2020"]})
    assert dates(american, "d", "x")["d"].to_list() == [date(2020, 3, 2), date(2020, 1, 31)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["3/2/2020", "4/5/2020"], "2 dates whose order of day and month is ambiguous"),
        (["31/1/2020", "1/31/2020"], "2 dates whose order of day and month is ambiguous"),
        (["2020-13-01"], r"1 others \(2020-13-01\)"),
        (["31/13/2020"], "1 dates whose order of day and month is ambiguous"),
        (["31.02.2020", "13/01/2020"], r"such as 2017-01-31; found 1 others \(31.02.2020\)"),
        (["99/99/2020"], "is ambiguous"),
    ],
)
def test_dates_that_cannot_be_read_are_said(values, message):
    with pytest.raises(InputError, match=message):
        dates(pl.DataFrame({"d": values}), "d", "x")


def test_numbers_are_read_and_what_is_none_is_said_of_all_columns():
    made = numbers(pl.DataFrame({"a": ["1", "2.5", None, ""], "b": ["2048", "2048.0", None, " "]}), ["a"], "x")
    assert made["a"].to_list() == [1.0, 2.5, None, None]
    assert numbers(made, ["b"], "x", whole=True)["b"].to_list() == [2048, 2048, None, None]
    with pytest.raises(
        InputError, match=r"(?s)numbers in 'a'; found 2 others \(x, inf\).*numbers in 'b'; found 1 others"
    ):
        numbers(pl.DataFrame({"a": ["x", "inf"], "b": ["1", "1,5"]}), ["a", "b"], "x")
    with pytest.raises(InputError, match=r"whole numbers in 'b'; found 1 others \(1.5\)"):
        numbers(pl.DataFrame({"b": ["1.5"]}), ["b"], "x", whole=True)
