import string

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.tables.identifiers import identity

WHITE = [
    " ",
    "\t",
    "\n",
    "\r\n",
    "\x0b",
    "\x0c",
    "\x00",
    "\u00a0",
    "\u0085",
    "\u1680",
    "\u2000",
    "\u2003",
    "\u2007",
    "\u2009",
    "\u200a",
    "\u200b",
    "\u2028",
    "\u2029",
    "\u202f",
    "\u205f",
    "\u2060",
    "\u3000",
    "\ufeff",
    "\u180e",
    "\u3164",
    "\u2800",
    "\u00ad",
    "\u200d",
    "\u200e",
]
padding = st.lists(st.sampled_from(WHITE), max_size=3).map("".join)


@pytest.mark.parametrize("space", WHITE, ids=[ascii(w) for w in WHITE])
def test_white_space_around_an_identifier_is_no_part_of_it(space):
    assert identity.canonical(pl.Series([f"{space}p1{space}", "p1", f"p1{space}"])).to_list() == ["p1"] * 3


def test_inner_white_space_is_one_space_and_zero_width_characters_are_none():
    names = pl.Series(["St.  Mary", "St.\u00a0Mary", "St. \u200bMary", "St.\t Mary"])
    assert identity.canonical(names).unique().to_list() == ["St. Mary"]
    assert identity.canonical(pl.Series(["e\u200b\u0301"])).to_list() == ["\u00e9"]


def test_case_zeros_and_joiners_within_a_word_are_kept():
    kept = pl.Series(["A", "a", "007", "7.0", "\u0645\u06cc\u200c\u062e", None])
    assert identity.canonical(kept).to_list() == kept.to_list()


def test_canonical_text_is_returned_as_it_is():
    plain = pl.Series([f"{i:08d}.png" for i in range(100)])
    assert identity.canonical(plain) is plain


@pytest.mark.slow
@given(st.text(max_size=12), padding, padding)
def test_canonical_form_is_idempotent_and_ignores_padding(text, before, after):
    once = identity.canonical(pl.Series([text]))
    assert identity.canonical(once).to_list() == once.to_list()
    if text and text[0] in string.ascii_letters and text[-1] in string.ascii_letters:
        assert identity.canonical(pl.Series([before + text + after])).to_list() == once.to_list()


@pytest.mark.parametrize(
    "word",
    [
        "",
        "NA",
        "n/a",
        "NaN",
        "nan",
        "NULL",
        "None",
        "nil",
        "-",
        "?",
        "Unknown",
        "<NA>",
        "#N/A",
        "#REF!",
        "########",
        "anonymous",
    ],
)
def test_missing_words_are_no_identifiers(word):
    assert identity.is_missing(pl.Series([word, "17"])).to_list() == [True, False]


def test_a_name_may_be_none_but_not_nan():
    names = pl.Series(["none", "unknown", "NaN", ""])
    assert identity.is_missing(names, identity.WORD).to_list() == [False, False, True, True]


def keys(*files):
    return identity.patients(pl.Series([f[0] for f in files]), pl.Series([f[1] for f in files], dtype=pl.String))


def test_missing_issuer_is_unspecified_and_not_another_authority():
    found = keys(("7", "A"), ("7", None), ("7", ""), ("7 ", "a "), ("7", "NA"))
    assert found.keys.to_list() == ["7"] * 5
    assert not found.ambiguous.any()
    assert found.issuers.to_list() == ["A"] * 5


def test_two_reported_issuers_are_two_patients_and_keep_their_keys():
    assert keys(("7", "A"), ("7", "B"), ("8", "B")).keys.to_list() == ["A:7", "B:7", "B:8"]


def test_number_without_issuer_is_ambiguous_where_several_are_reported():
    found = keys(("7", "A"), ("7", "B"), ("7", ""), ("8", "A"), ("8", ""))
    assert found.keys.to_list() == ["A:7", "B:7", None, "A:8", "A:8"]
    assert found.ambiguous.to_list() == [False, False, True, False, False]


def test_number_that_reads_like_issuer_and_number_is_ambiguous():
    found = keys(("A:7", ""), ("7", "A"), ("7", "A"), ("8", "B"))
    assert found.ambiguous.to_list() == [True, True, True, False]


@pytest.mark.parametrize("number", ["", None, "  ", "\0", "NONE", "Anonymous"])
def test_file_without_a_number_has_no_patient(number):
    found = keys((number, "A"), (number, ""), ("7", "A"))
    assert found.keys.to_list() == [None, None, "7"]
    assert not found.ambiguous.any()


def test_no_files_are_no_patients():
    none = pl.Series([], dtype=pl.String)
    assert identity.patients(none, none).keys.len() == 0


@pytest.mark.slow
@given(st.data())
def test_any_missing_issuers_leave_the_number_of_patients(data):
    authorities = data.draw(st.lists(st.sampled_from(["A", "B", "St. X"]), min_size=1, max_size=8))
    files = []
    for number, issuer in enumerate(authorities):
        for reported in data.draw(st.lists(st.booleans(), min_size=1, max_size=4)):
            missing = data.draw(st.sampled_from(["", None, " ", "NA"]))
            files.append((f"{number}{data.draw(padding)}", issuer if reported else missing, number))
    found = keys(*files)
    by_patient = pl.DataFrame({"key": found.keys, "patient": [f[2] for f in files]}).unique()
    assert by_patient.height == len(authorities) == by_patient["key"].n_unique()
