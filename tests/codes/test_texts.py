"""Texts are rendered from codes, and codes survive writing and reading."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread import codes
from overread.codes.texts import _FORMATTER, Code

VALUES = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(), st.tuples(st.text()))
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True)
CODES = st.builds(Code, NAMES, st.dictionaries(NAMES, VALUES, max_size=3).map(lambda d: tuple(d.items())))


@pytest.mark.slow
@given(st.lists(CODES, max_size=4))
def test_encoded_codes_are_decoded_to_the_same(made):
    text = codes.Text("any", tuple(made)) if made else codes.NONE
    assert codes.decode(codes.encode(text)) == tuple(made)


def test_a_text_is_a_string_and_keeps_its_codes_through_pickling():
    text = codes.note("strata_without_pairs", n=2, strata=3, cases=1)
    assert text == "2 of 3 strata without pairs (1 case excluded)"
    again = pickle.loads(pickle.dumps(text))
    assert (again, again.codes) == (text, text.codes)


def test_plural_forms_follow_the_number():
    assert "(1,200 cases excluded)" in codes.note("strata_without_pairs", n=2, strata=3, cases=1200)


def test_a_plain_string_has_no_codes_and_is_refused_where_codes_are_needed():
    with pytest.raises(TypeError, match="without codes: 'Wilson'"):
        codes.encode("Wilson")
    with pytest.raises(TypeError, match="without codes"):
        codes.methods(codes.method("wilson"), codes.method("wilson") + "!")


def test_notes_are_joined_once_each_in_their_order():
    a, b = (codes.note("single_patient_strata", n=n) for n in (1, 2))
    assert codes.notes(a, None, b, a, codes.notes(b, a)) == f"{a}; {b}"
    assert len(codes.notes(a, b, a).codes) == 2


def test_an_unknown_name_or_a_missing_parameter_is_a_fault_of_the_program():
    with pytest.raises(KeyError):
        codes.method("wlison")
    with pytest.raises(KeyError):
        codes.note("strata_without_pairs", n=1)


def test_lists_in_sentences_end_with_and():
    for names, text in (((), ""), (("a",), "a"), (("a", "b"), "a and b"), (("a", "b", "c"), "a, b and c")):
        assert _FORMATTER.format("{names:and}", names=names) == text


def test_equal_values_that_are_written_differently_keep_their_text():
    """Rendered texts are kept: 1, 1.0 and True are equal, and so are 0.0 and -0.0."""
    shown = [codes.note("image_note", text=value) for value in (1, 1.0, True, 0.0, -0.0)]
    assert len(set(shown)) == 5
