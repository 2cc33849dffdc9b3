"""Notes become footnotes: equal ones share a letter, those that every number carries are said once."""

from __future__ import annotations

from overread.reporting.blocks import Cell, heads, table


def _number(text: str, *notes: str) -> Cell:
    return Cell(text, "num", notes=notes)


def test_equal_notes_share_a_letter():
    made = table("t", (heads("a", "b"),), [(_number("1", "x"), _number("2", "y")), (_number("3", "x"), _number("4"))])
    assert [[c.marks for c in row] for row in made.rows] == [["a", "b"], ["a", ""]]
    assert made.footnotes == (("a", "x"), ("b", "y"))


def test_a_note_of_all_numbers_is_said_once_and_leaves_no_letter():
    made = table(
        "t", (heads("a"),), [(_number("1", "frozen"),), (_number("2", "frozen", "y"),), (_number("3", "frozen"),)]
    )
    assert [row[0].marks for row in made.rows] == ["", "a", ""]
    assert made.remark == "Every number: frozen."
    assert made.footnotes == (("a", "y"),)


def test_a_missing_number_keeps_its_own_note_though_the_others_share_one():
    rows = [
        (_number("1", "frozen"),),
        (_number("2", "frozen"),),
        (_number("3", "frozen"),),
        (_number("—", "one class"),),
    ]
    made = table("t", (heads("a"),), rows, remark="Read well.")
    assert made.footnotes == (("a", "one class"),)
    assert made.remark == "Read well. Every number: frozen."


def test_two_numbers_are_too_few_to_say_something_of_all():
    made = table("t", (heads("a"),), [(_number("1", "x"),), (_number("2", "x"),)])
    assert made.footnotes == (("a", "x"),)
