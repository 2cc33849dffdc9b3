"""Text that a spreadsheet would run: marked in every CSV, and read back as it was."""

import ast
import csv
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import overread
from overread import tables
from overread.tables.text.spreadsheet import marked, unmarked, unmarked_names

# What begins a formula at the start of a cell, or behind a delimiter of another program.
DANGER = re.compile(r"(^|[;\t\r\n])[^\S\t\r\n]*[=+\-@＝＋－＠]|^[\t\r\n]")
texts = st.text(alphabet=st.sampled_from("=+-@＝＋－＠\t\r\n;|, 'a1\u00a0\"é"), max_size=12)


@pytest.mark.slow
@given(st.lists(texts, min_size=1, max_size=20))
def test_no_marked_text_begins_a_formula_and_none_is_lost(values):
    frame = pl.DataFrame({"a": values, "n": [-0.5] * len(values)})
    made = marked(frame)
    assert not any(DANGER.search(v) for v in made["a"])
    assert made["n"].equals(frame["n"])
    assert unmarked(made)[0].equals(frame)


@given(st.lists(texts.filter(bool), min_size=1, max_size=6, unique=True))
def test_names_of_columns_are_marked_too(names):
    made = marked(pl.DataFrame({n: ["x"] for n in names}))
    assert not any(DANGER.search(n) for n in made.columns)
    assert unmarked_names(made.columns) == names


def test_a_csv_that_is_written_and_read_again_is_the_same(tmp_path):
    cells = ['=HYPERLINK("http://x")', "+1", "-1", "@SUM(A1)", "'=1", "''+x", "a;=1+1;b", "plain", "O'Hara", "-0.5 mm"]
    frame = pl.DataFrame({"=name": cells, "n": [str(i) for i in range(len(cells))]})
    file = tables.write_frame(frame, tmp_path / "a.csv")
    with file.open(newline="", encoding="utf-8") as lines:
        written = list(csv.reader(lines))
    assert not any(DANGER.search(cell) for row in written for cell in row)
    loaded = tables.load(file)
    assert loaded.frame.equals(frame)
    assert any("8 cells with an apostrophe" in words for words in loaded.dialect)


def test_numbers_stay_numbers(tmp_path):
    frame = pl.DataFrame({"gap": [-0.5, -1.0], "count": [-3, 4], "day": pl.Series([None, None], dtype=pl.Date)})
    file = tables.write_frame(frame, tmp_path / "a.csv")
    assert file.read_text() == "gap,count,day\n-0.5,-3,\n-1.0,4,\n"


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["=1", "b"])])
def test_text_of_every_type_is_marked(tmp_path, kind):
    file = tables.write_frame(pl.DataFrame({"a": pl.Series(["=1", "b"], dtype=kind)}), tmp_path / "a.csv")
    assert file.read_text() == "a\n'=1\nb\n"


@pytest.mark.slow
def test_there_is_one_way_to_write_a_csv():
    """`write_frame` alone calls write_csv with a file; runs.frame_hash makes text of a table to hash it."""
    found = []
    for file in sorted(Path(overread.__file__).parent.parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("write_csv", "sink_csv", "DictWriter", "savetxt"):
                found.append(file.name)
            if isinstance(node, ast.Attribute) and node.attr == "writer" and getattr(node.value, "id", "") == "csv":
                found.append(file.name)
    assert sorted(found) == ["checked_tables.py", "runs.py"]
