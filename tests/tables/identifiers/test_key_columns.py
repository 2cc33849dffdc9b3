import datetime as dt

import polars as pl
import pytest

from overread import tables
from overread.errors import InputError


def images(patients, **more):
    ids = [f"i{k}.png" for k in range(len(patients))]
    return pl.DataFrame({"image_id": ids, "patient_id": patients, "site": "a", **more}, strict=False)


def checked(frame, table="images"):
    notes = []
    return tables.check(frame, table, notes=notes), [str(n) for n in notes]


def test_padded_patients_are_one_and_counted():
    made, notes = checked(images(["p1", "p1 ", "p2", "\u00a0p2", "p3\u200b"]))
    assert made["patient_id"].to_list() == ["p1", "p1", "p2", "p2", "p3"]
    assert notes == [
        "images: 2 values of 'patient_id' had white space around them: removed ('p1 '; '\\xa0p2')",
        "images: 1 values of 'patient_id' had invisible characters, repeated white space or another Unicode "
        "normalisation form: converted ('p3\\u200b')",
    ]


def test_padded_sites_are_one():
    made, notes = checked(
        images(
            ["p1", "p2"],
        ).with_columns(site=pl.Series(["Nord", "Nord  "]))
    )
    assert made["site"].unique().to_list() == ["Nord"]
    assert notes == ["images: 1 values of 'site' had white space around them: removed ('Nord  ')"]


@pytest.mark.slow
@pytest.mark.parametrize("word", ["", "NA", "NaN", "NULL", "None", "nil", "N/A", "?", "-", "unknown", " nan ", "<NA>"])
@pytest.mark.parametrize("column", ["patient_id", "case_id", "image_id", "site"])
def test_missing_words_are_refused_in_keys(column, word):
    frame = images(["p1", "p2", "p3"], case_id=["c1", "c2", "c3"])
    frame = frame.with_columns(pl.when(pl.int_range(pl.len()) == 1).then(pl.lit(word)).otherwise(column).alias(column))
    with pytest.raises(InputError, match=rf"a value in every row of '{column}'; found 1 row with a word for a missing"):
        tables.check(frame, "images")


def test_a_missing_patient_is_refused():
    with pytest.raises(InputError, match=r"a value in every row of 'patient_id'; found 1 row \(\(empty\)\)"):
        tables.check(images(["p1", None]), "images")


@pytest.mark.parametrize("reader", ["NA", "nan", "Unknown"])
def test_a_reader_must_be_named(reader):
    reads = pl.DataFrame({"reader": [reader], "case_id": ["c"], "finding": ["edema"], "arm": ["none"], "score": [0.5]})
    with pytest.raises(InputError, match=rf"in every row of 'reader'.*'{reader}'.*If '{reader}' is a name here"):
        tables.check(reads, "reads")


def test_an_arm_and_a_label_source_may_be_called_none():
    reads = pl.DataFrame({"reader": ["r"], "case_id": ["c"], "finding": ["edema"], "arm": ["none"], "score": [0.5]})
    assert tables.check(reads, "reads")["arm"].item() == "none"
    labels = pl.DataFrame({"case_id": ["c"], "finding": ["edema"], "source": ["none"], "state": ["absent"]})
    assert tables.check(labels, "labels")["source"].item() == "none"
    with pytest.raises(InputError, match="a value in every row of 'source'"):
        tables.check(labels.with_columns(source=pl.lit("NaN")), "labels")


def test_a_site_without_a_name_is_that_of_every_row_or_of_none():
    assert tables.check(images(["p1", "p2"]).with_columns(site=pl.lit("")), "images")["site"].unique().to_list() == [""]
    with pytest.raises(InputError, match="a value in every row of 'site'"):
        tables.check(images(["p1", "p2"]).with_columns(site=pl.Series(["", "a"])), "images")


def test_missing_words_are_missing_where_a_column_may_be_empty():
    made, notes = checked(images(["p1", "p2"], stratum=["NA", "s1"]))
    assert made["stratum"].to_list() == [None, "s1"]
    assert notes == ["images: 1 values of 'stratum' are words for a missing value: taken as missing ('NA')"]


@pytest.mark.parametrize("written", ["1.67683E+12", "1,67683E+12", "1.67683e12", "1e+16", "2.1E+5"])
def test_scientific_notation_is_refused(written):
    with pytest.raises(InputError) as caught:
        tables.check(images([written, written, "1676830000017"]), "images")
    assert f"2 rows with rounded numbers, 1 different ('{written}'). A spreadsheet has rounded these" in str(
        caught.value
    )


@pytest.mark.parametrize("written", ["1E5", "2E-14", "e12", "5e10a", "1.2.840.10008.5", "12E+5x"])
def test_identifiers_with_an_e_are_no_scientific_notation(written):
    assert tables.check(images([written]), "images")["patient_id"].item() == written


def test_numbers_that_all_end_in_zeros_are_rounded():
    six = [f"{167683 + k}000000" for k in range(6)]
    with pytest.raises(InputError, match="A spreadsheet has rounded these"):
        tables.check(images(six), "images")
    fifteen = [f"{123456789012345 + k}00" for k in range(6)]
    with pytest.raises(InputError, match="A spreadsheet has rounded these"):
        tables.check(images(fifteen), "images")
    assert tables.check(images([*fifteen, "12345678901234567"]), "images").height == 7


def test_whole_numbers_of_floating_point_columns_lose_their_decimals():
    made, notes = checked(images([17.0, 18.0]))
    assert made["patient_id"].to_list() == ["17", "18"]
    assert notes == [
        "images: 2 values of 'patient_id' are numbers with a decimal point: read without it ('17.0'; '18.0')"
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, float("nan")], "a value in every row of 'patient_id'; found 1 row with a word for a missing value"),
        ([1.5, 2.0], r"in 'patient_id'; found 1 numbers with decimals or rounded digits \('1.5'\)"),
        ([1e17, 2.0], "text or whole numbers in 'patient_id'; found 1 numbers with decimals or rounded digits"),
        ([True, False], "text or whole numbers in 'patient_id'; found true and false"),
        ([dt.date(2020, 1, 1)] * 2, "text or whole numbers in 'patient_id'; found dates"),
        ([dt.datetime(2020, 1, 1)] * 2, "text or whole numbers in 'patient_id'; found dates and times"),
        ([["a"], ["b"]], "text or whole numbers in 'patient_id'; found values of the type List"),
    ],
)
def test_values_that_identify_nothing_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        tables.check(images(values), "images")


def test_whole_numbers_and_categories_are_text():
    assert tables.check(images([7, 8]), "images")["patient_id"].to_list() == ["7", "8"]
    category = images(["a", "b"]).with_columns(pl.col("patient_id").cast(pl.Categorical))
    assert tables.check(category, "images")["patient_id"].to_list() == ["a", "b"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("p1", "P1"), ("17", "00017"), ("17", "17.0"), ("P7", "p007"), ("a b", "ab"), ("17", "\uff11\uff17")],
)
def test_patients_that_look_alike_are_noted_with_both(one, other):
    made, notes = checked(images([one, other, "x"]))
    assert made["patient_id"].n_unique() == 3
    shown = " and ".join(repr(v) for v in sorted([one, other]))
    assert notes == [
        "images: 1 identifiers in 'patient_id' occur in several spellings that differ only in letter case, spaces, "
        f"leading zeros or a trailing '.0': taken as different, check that they are ({shown})"
    ]


@pytest.mark.parametrize(
    ("one", "other"), [("10", "1"), ("1.2.0", "1.2"), ("1.05", "1.5"), ("a0", "a"), ("p10", "p1"), ("100", "001000")]
)
def test_different_numbers_do_not_look_alike(one, other):
    assert checked(images([one, other]))[1] == []


@pytest.mark.parametrize(("one", "other"), [("Nord", "NORD"), ("1", "1.0"), ("St Mary", "StMary")])
def test_a_site_in_two_spellings_is_refused(one, other):
    with pytest.raises(InputError, match="each value of 'site' in one spelling; found 1 that is spelt in several ways"):
        tables.check(images(["p1", "p2"]).with_columns(site=pl.Series([one, other])), "images")


def test_a_clean_frame_is_returned_as_it_is():
    frame = images(["p1", "p2"], case_id=["c1", "c2"])
    assert tables.identify(frame, "images", notes=[]) is frame


def test_padded_keys_of_one_row_are_repeats():
    labels = pl.DataFrame({"case_id": ["c", "c "], "finding": ["edema", "edema "], "source": "s", "state": "absent"})
    with pytest.raises(InputError, match="one row per case_id, finding, source"):
        tables.check(labels, "labels")


def test_a_hint_names_both_spellings():
    hint = tables.spelling_hint(pl.Series(["17", "17", "x", "17.0"]), pl.Series(["00017", "y"]))
    assert hint.startswith("2 of 3 differ from one there only in letter case")
    assert hint.endswith("('17' and '00017'; '17.0' and '00017').")
    assert tables.spelling_hint(pl.Series(["17"]), pl.Series(["18"])) == ""


@pytest.mark.parametrize("written", ["1.2346E+09", "1,2346E+09", "2.1e+5"])
@pytest.mark.parametrize("column", ["reader", "site", "model"])
def test_scientific_notation_is_refused_in_names(column, written):
    made = {
        "reader": pl.DataFrame(
            {"reader": [written], "case_id": "c", "finding": "edema", "arm": "unaided", "round": 1, "call": "present"}
        ),
        "site": images(["p1"]).with_columns(site=pl.lit(written)),
        "model": pl.DataFrame({"image_id": ["1"], "finding": "edema", "model": written, "score": 0.5}),
    }[column]
    table = {"reader": "reads", "site": "images", "model": "predictions"}[column]
    with pytest.raises(InputError) as caught:
        tables.check(made, table)
    expected = f"whole names in '{column}'; found 1 number in scientific notation ('{written}'). A spreadsheet"
    assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["1e5", "1E5", "1e+5", "v1.5e+3x", "1.5e3"])
def test_a_model_may_be_called_like_a_number(name):
    made = pl.DataFrame({"image_id": ["1"], "finding": "edema", "model": name, "score": 0.5})
    assert tables.check(made, "predictions")["model"].item() == name


@pytest.mark.parametrize("written", ["'123", '="123"', '=" 123 "', '="\'123"', " '123 "])
def test_marks_of_a_spreadsheet_are_no_part_of_an_identifier(written):
    made, notes = checked(images([written, "123"]))
    assert made["patient_id"].to_list() == ["123", "123"]
    assert [n.split(": ")[1].split(" ")[0] for n in notes] == ["1"]
    assert "marks of a spreadsheet" in notes[0]


@pytest.mark.parametrize("hyphen", "\u2010\u2011\u2012\u2013\u2212")
def test_typographic_hyphens_are_one(hyphen):
    made, notes = checked(images([f"p{hyphen}1", "p-1"]))
    assert made["patient_id"].to_list() == ["p-1", "p-1"]
    assert notes[0].startswith("images: 1 values of 'patient_id' had typographic hyphens")


def test_one_patient_with_most_images_is_noted():
    usual = [f"p{k}" for k in range(73) for _ in range(4)]
    _, notes = checked(images([*usual, *["XXX"] * 60]))
    assert notes == [
        "images: 60 of 352 images are of one patient ('XXX'); the next has 4: is it a word for a missing identifier?"
    ]
    for count in (20, 40):
        assert checked(images([*usual, *["XXX"] * count]))[1] == []
