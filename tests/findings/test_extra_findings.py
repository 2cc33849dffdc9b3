"""Findings of a study's own from words on the command line."""

import pytest

from overread import findings
from overread.errors import InputError
from overread.findings import with_extra_findings

CHEST = findings.load("chest")


def test_a_title_is_kept_as_written_and_named_in_canonical_form():
    words = with_extra_findings(CHEST, ["Aortic enlargement", "Other", "Calcificación (any)"])
    own = [(f.name, f.title, f.parents) for f in words.findings[len(CHEST.findings) :]]
    assert own == [
        ("aortic_enlargement", "Aortic enlargement", ()),
        ("other", "Other", ()),
        ("calcificacion_any", "Calcificación (any)", ()),
    ]
    assert words.findings[: len(CHEST.findings)] == CHEST.findings


def test_parents_are_named_by_any_of_their_words_and_may_be_of_the_study():
    words = with_extra_findings(CHEST, ["Wide aorta < Enlarged Cardiom., Abnormal", "Abnormal"])
    assert words.finding("wide_aorta").parents == ("enlarged_cardiomediastinum", "abnormal")
    assert words.implied(["wide_aorta"]) == ("enlarged_cardiomediastinum", "wide_aorta", "abnormal")


def test_the_words_of_a_command_and_a_section_state_the_same_vocabulary(tmp_path):
    section = {"extra": {"aortic_enlargement": {"title": "Aortic enlargement", "parents": ["cardiomegaly"]}}}
    stated = findings.stated(section, "c.toml")
    words = with_extra_findings(CHEST, "Aortic enlargement < Cardiomegaly")
    assert (words.name, words.hash) == (stated.name, stated.hash)
    entry = 'title = "Aortic enlargement"\nparents = ["cardiomegaly"]\n'
    for head in ("[findings.extra.aortic_enlargement]\n", "[aortic_enlargement]\n"):
        file = tmp_path / "own.toml"
        file.write_text(head + entry)
        assert with_extra_findings(CHEST, file) == stated
    twice = with_extra_findings(with_extra_findings(CHEST, "Abnormal"), ["Other"])
    assert twice.name == "chest, extended"


def test_without_findings_the_vocabulary_is_the_same():
    assert with_extra_findings(CHEST, []) is CHEST


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("Effusion", r"does not have; found 'Effusion', which is its 'pleural_effusion'\. Leave it out"),
        ("pulmonary FIBROSIS", "which is its 'fibrosis'"),
        ("肺炎", "a title that begins with a Latin letter; found '肺炎'.*TOML"),
        ("3D", "a title that begins with a Latin letter"),
        ("Abnormal <", "TITLE, or TITLE < PARENT"),
        ("A < b < c", "TITLE, or TITLE < PARENT"),
        ("A < cardiomegali", "parents of the vocabulary; found 'cardiomegali'. Did you mean 'cardiomegaly'"),
        ("A < A", "run in no circle"),
        (["Other", "other"], "each finding once; found 'other' again"),
        ("None", "found 'none'"),
        ("missing.toml", "no file there"),
        (["Effusion", "3D"], "2 problems"),
    ],
)
def test_what_is_no_finding_of_the_study_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        with_extra_findings(CHEST, given)


def test_a_file_without_findings_is_refused(tmp_path):
    file = tmp_path / "own.toml"
    for text in ("", '[findings]\nvocabulary = "chest"\n'):
        file.write_text(text)
        with pytest.raises(InputError, match=r"own.toml: expected findings by name.*found none"):
            with_extra_findings(CHEST, file)
