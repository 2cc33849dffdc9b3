"""Notes become footnotes: equal ones share a letter, those that every number carries are said once."""

from __future__ import annotations

from overread import codes
from overread.reporting.blocks import Cell, MeanOver, heads, table
from overread.reporting.estimate_cells import estimate_cell


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


def test_means_over_different_findings_say_over_how_many():
    three, two = MeanOver(("a", "b", "c"), 5), MeanOver(("a", "b"), 5)
    rows = [
        (Cell("x"), Cell("0.80", "num", notes=(), mean=three)),
        (Cell("y"), Cell("0.70", "num", note="internal", notes=(), mean=two)),
        (Cell("z"), Cell("0.60", "num", notes=())),
    ]
    made = table("t", (heads("a", "b"),), rows)
    assert [row[1].note for row in made.rows] == ["over 3 of 5 findings", "internal; over 2 of 5 findings", ""]


def test_means_over_the_same_findings_are_not_marked():
    same = MeanOver(("a", "b", "c"), 5)
    made = table("t", (heads("a"),), [(Cell("0.80", "num", notes=(), mean=same),)] * 2)
    assert [row[0].note for row in made.rows] == ["", ""]


def test_means_over_as_many_but_other_findings_are_marked_and_their_footnotes_name_these():
    row = {"low": 0.7, "high": 0.9, "estimate": 0.8}
    sets = (("edema", "mass"), ("edema", "hernia"))
    cells = [
        estimate_cell(row | {"note_codes": codes.encode(codes.note("mean_over_findings", n=2, of=3, findings=s))})
        for s in sets
    ]
    made = table("t", (heads("a"),), [(cell,) for cell in cells])
    assert {r[0].note for r in made.rows} == {"over 2 of 3 findings"}
    assert [text for _, text in made.footnotes] == [f"mean over 2 findings: {', '.join(s)}" for s in sets]
