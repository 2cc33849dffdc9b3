"""Names of files: what is safe on every system is kept, all else is mapped to safe names, no two to one."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from overread.errors import InputError
from overread.tables.storage.names import below, check_names, fault, file_names

HOSTILE = [
    "",
    ".",
    "..",
    "...",
    "../x",
    "..\\x",
    "/etc",
    "a/b",
    "a\\b",
    "C:x",
    "C:\\x",
    "\\\\host\\share",
    "~",
    "~root",
    "-rf",
    "--out",
    ".hidden",
    ".cohort.part",
    "a.",
    "a..",
    "a ",
    " a",
    "a\n",
    "a\0b",
    "a\x1b[2J",
    "CON",
    "con.txt",
    "NUL",
    "Aux.parquet",
    "COM1",
    "lpt9.csv",
    "CONIN$",
    "a:b",
    "a*",
    "a?",
    "a|b",
    "a<b",
    'a"b',
    "$HOME",
    "`id`",
    "$(id)",
    "%2e%2e",
    "\u202eabc",
    "\u200b",
    "é",
    "北",
    "x" * 65,
    "x" * 5000,
    "a\u0301",
    "\ufeffa",
    "a\tb",
    "a;b",
    "a&b",
    "{image_id}",
    "\ud800",
]
GOOD = ["a", "north", "North-2", "a.b", "a_b", "0", "x" * 64, "seed-1", "com", "console", "nul0", "a..b", "auxiliary"]
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_no_folder_on_some_system_is_refused_and_mapped(name):
    assert fault(name)
    assert len(check_names([name], "here")) == 1
    (file,) = file_names([name]).values()
    assert SAFE.fullmatch(file)
    assert not fault(file)


@pytest.mark.parametrize("name", GOOD)
def test_a_safe_name_is_kept(name):
    assert not fault(name)
    assert check_names([name], "here") == []
    assert file_names([name]) == {name: name}


def test_names_that_a_study_uses_are_taken_in_any_letter_case():
    assert [bool(check_names([n], "here", taken=("cohort",))) for n in ("cohort", "Cohort", "COHORT", "cohorts")] == [
        True,
        True,
        True,
        False,
    ]


def test_names_that_differ_in_letter_case_only_are_refused_together():
    (problem,) = check_names(["North", "south", "north"], "[sources]")
    assert "names that differ in more than letter case; found names that do not (North, north)" in str(problem)


NAMES = st.lists(st.text(max_size=80) | st.sampled_from(HOSTILE) | st.sampled_from(["A", "a", "a b", "a-b", "A/B"]))


@given(NAMES)
@example(["a b", "a-b", "A-B", "a/b", "a-b-c8687a08aa"])
@example(["A", "a", "A-559aead082"])
@example(["con.txt", "name-d3bde286fd"])
def test_no_two_names_share_a_file_on_any_system(names):
    files = file_names(names)
    assert set(files) == set(names)
    assert len({file.casefold() for file in files.values()}) == len(files)
    assert not [file for file in files.values() if fault(file)]
    assert file_names(reversed(names)) == files


def test_a_link_below_the_folder_is_not_followed(tmp_path):
    (tmp_path / "precious").mkdir()
    out = tmp_path / "out"
    (out / "models").mkdir(parents=True)
    (out / "models" / "a").symlink_to(tmp_path / "precious")
    (out / "gone").symlink_to(tmp_path / "nowhere")
    assert below(out, "models", "b", "seed-1") == out / "models" / "b" / "seed-1"
    for names in (("models", "a"), ("models", "a", "seed-1"), ("gone",)):
        with pytest.raises(InputError, match="expected a folder or file of its own; found a link to"):
            below(out, *names)


def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    assert below(tmp_path / "out", "cohort") == tmp_path / "out" / "cohort"
