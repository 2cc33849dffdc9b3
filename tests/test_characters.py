"""Characters that act on a terminal or hide: none is ever shown as it is."""

import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread import cli
from overread.characters import visible
from overread.errors import InputError

HOSTILE = (
    "\x1b[2J",
    "\x9b2J",
    "\r",
    "\b",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
    "\ud800",
    "\U000e0041",
    "\x00",
    "\x85",
)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Zs", "Cc", "Cf", "Cs"])))
def test_what_is_shown_has_neither_controls_nor_halves_of_characters(text):
    shown = visible(text)
    shown.encode("utf-8")
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in shown)
    assert visible(shown) == shown


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Zs", "Mn", "Mc", "Sm", "So"])))
def test_letters_of_every_script_stay(text):
    assert visible(text) == text


def test_joiners_stay_since_some_scripts_need_them():
    assert visible("می\u200cخواهم क्\u200dष") == "می\u200cخواهم क्\u200dष"


@pytest.mark.parametrize("character", HOSTILE)
def test_an_error_about_a_hostile_file_is_safe_to_print(character):
    error = InputError(f"a{character}b.csv", "x", f"y{character}", examples=[f"z{character}"], do=f"w{character}")
    assert character not in str(error)
    assert character not in str(InputError.all([error, error]))
    assert "\n" not in str(error)


def test_an_example_of_any_length_is_shown_shortened():
    assert len(str(InputError("f", "a", "b", examples=["x" * 100_000]))) < 300


PROGRAM = """
import sys
from overread.cli.terminal import put, say, shown
for way in (put, say):
    way("a\\x1b[31mb\\u202ec\\ud800\\n:warning: [red]d[/red]")
with shown() as show:
    show("train \\x1b]0;x\\x07 [/bold]", 1, 2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_commands_print_through_one_place_that_lets_nothing_pass(encoding):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": f"{encoding}:strict"},
    )
    for stream in (done.stdout, done.stderr):
        assert b"\x1b[31m" not in stream
        assert re.search(rb"a\\x1b\[31mb\\u202ec\\ud800(\n|\\n):warning: \[red\]d\[/red\]\n", stream)
    assert b"train \\x1b]0;x\\x07 [/bold]" in done.stderr


def test_no_module_of_the_commands_prints_in_another_way():
    for file in Path(cli.__file__).parent.glob("*.py"):
        calls = re.findall(r"(\S*)\bprint\(", file.read_text(encoding="utf-8"))
        assert set(calls) <= {"console.", "Console(highlight=False)."}, file
