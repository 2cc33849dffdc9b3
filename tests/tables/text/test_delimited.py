"""Delimited text of every dialect: what is read is the clean table, what is not is one sentence."""

import csv
import gzip
import io
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from overread import tables
from overread.errors import InputError

CLEAN = pl.DataFrame(
    {"image_id": ["01.png", "02.png", "03.png"], "hospital": ["Nord", "Süd", "Süd"], "score": ["0.5", "0.25", "1e-3"]}
)


def text_of(frame, delimiter=",", decimal=".", end="\n", **options):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, **options)
    writer.writerow(frame.columns)
    for row in frame.rows():
        number = [c if c is None or decimal == "." else re.sub(r"^(-?\d+)\.(\d)", r"\1,\2", c) for c in row]
        writer.writerow(["" if c is None else c for c in number])
    return out.getvalue()


def load(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return tables.load(path)


CLEAN_BYTES = text_of(CLEAN).encode()


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        (text_of(CLEAN).encode(), ()),
        (gzip.compress(CLEAN_BYTES, mtime=0), ()),
        (b"".join(gzip.compress(part, mtime=0) for part in (CLEAN_BYTES[:20], CLEAN_BYTES[20:])), ()),
        (text_of(CLEAN, ";", ",").encode(), ("semicolons between columns", "decimal commas in score")),
        (text_of(CLEAN, "\t").encode(), ("tabs between columns",)),
        (text_of(CLEAN, "|").encode(), ("vertical bars between columns",)),
        (text_of(CLEAN).encode("utf-8-sig"), ()),
        (text_of(CLEAN).encode("utf-16"), ("encoding UTF-16",)),
        (text_of(CLEAN).encode("utf-16-be"), ("encoding UTF-16",)),
        (text_of(CLEAN).encode("utf-32"), ("encoding UTF-32",)),
        (text_of(CLEAN).encode("cp1252"), ("encoding Windows-1252 (such as 'Süd')",)),
        (text_of(CLEAN, end="\r").encode(), ("lines that end in carriage returns only",)),
        (text_of(CLEAN, end="\r\n").encode(), ()),
        (("# made by hand\n#, on Monday\n" + text_of(CLEAN)).encode(), ("2 comment lines above the header left out",)),
        (("#" + text_of(CLEAN)).encode(), ()),
        (("sep=;\n" + text_of(CLEAN, ";")).encode(), ("semicolons between columns",)),
        ("\n\n" + text_of(CLEAN).replace("\n", "\n\n"), ()),
        (text_of(CLEAN).replace("\n", ",\n"), ()),
        (text_of(CLEAN).replace("\n", ",\n").replace("score,", "score"), ()),
        (text_of(CLEAN, quoting=csv.QUOTE_ALL), ()),
        (text_of(CLEAN.with_row_index("").cast(pl.String)), ("row names in the first column left out",)),
        (text_of(CLEAN.with_row_index("").cast(pl.String))[1:], ("row names in the first column left out",)),
        (text_of(CLEAN.with_row_index("Unnamed: 0").cast(pl.String)), ("row names in the first column left out",)),
    ],
)
def test_a_dialect_is_read_as_the_clean_table_and_stated(tmp_path, content, dialect):
    made = load(tmp_path, content)
    assert made.frame.equals(CLEAN)
    assert made.dialect == dialect


CELL = st.text(st.characters(codec="cp1252", exclude_categories=("Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=6)
DECIMAL = st.from_regex(r"-?[0-9]{1,3}\.[0-9]{1,6}", fullmatch=True)


@st.composite
def clean_tables(draw):
    n = draw(st.integers(1, 12))
    words = draw(st.lists(st.one_of(CELL, CELL.map(lambda w: f'{w}, {w}\n"{w}"'), st.none()), min_size=n, max_size=n))
    scores = draw(st.lists(st.one_of(DECIMAL, st.none()), min_size=n, max_size=n))
    columns = {"image_id": [f"i{k}" for k in range(n)], "word": words, "score": scores, "half": ["0.5"] * n}
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    clean_tables(),
    st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", ",")]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "# a, b; c\n", "#x\n# y\n\n", "\n\n", "sep={d}\n"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_every_dialect_reads_as_the_clean_table(
    tmp_path, frame, marks, encoding, end, head, row_names, trailing, quoted
):
    delimiter, decimal = marks
    given_frame = frame.with_row_index("", offset=1).cast(pl.String) if row_names else frame
    options = {"quoting": csv.QUOTE_ALL} if quoted else {}
    text = text_of(given_frame, delimiter, decimal, **options)
    if trailing and '"' not in text:
        text = text.replace("\n", f"{delimiter}\n")
    text = head.format(d=delimiter) + text
    data = text.replace("\n", end).encode(encoding)
    if encoding == "cp1252":  # "Â¡" there is "¡" in UTF-8: no reader can tell which was meant
        assume(data.decode("utf-8", "ignore").isascii())
    made = load(tmp_path, data)
    frame = frame.with_columns(pl.col("word").str.replace_all(r"\r", "\n"))
    if decimal == ",":  # a word that is a number with a decimal comma by chance is one
        words = made.frame["word"].str.replace(",", ".", literal=True).to_list()
        assert words == frame["word"].str.replace(",", ".", literal=True).to_list()
        frame = frame.with_columns(made.frame["word"])
    assert made.frame.equals(frame)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(6, 60), st.data())
def test_a_ragged_line_is_named(tmp_path, rows, data):
    lines = ["image_id,edema,mass", *(f"i{k},0.{k},0.5" for k in range(rows))]
    bad = data.draw(st.integers(1, rows))
    shorter = data.draw(st.booleans())
    lines[bad] = lines[bad].rpartition(",")[0] if shorter else lines[bad] + ",x"
    good = data.draw(st.integers(1, rows))
    if good != bad and shorter:  # a longer line makes the number of commas right again
        lines[good] += ",y"
    with pytest.raises(InputError, match=rf"line {bad + 1:,}: "):
        load(tmp_path, "\n".join(lines))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 xl/workbook.xml", "found an Excel workbook (.xlsx). Save the table as CSV"),
        (b"PK\x03\x04 other", "found a ZIP archive. Unpack it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1xx", "found an Excel workbook (.xls)"),
        (b"<!DOCTYPE html>\n<html>", "found an HTML or XML page"),
        (b'[{"image_id": 1}]', "found JSON"),
        (b'{"image_id": [1]}', "found JSON"),
        (b"\x28\xb5\x2f\xfdxx", "found a file compressed with Zstandard"),
        (b"\x1f\x8b\x08broken", "found a gzip file that is damaged or cut short"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "found a Git LFS pointer"),
        (b"\x00\x01\x02binary" * 9, "found a binary file"),
        (b"# only\n# comments\n", "found no line that is not a comment"),
        ("name,söö\n".encode() + b"M\xfcller,1\n", "found UTF-8 with 1 bytes that are not, the first in line 2"),
        (b"name\nx\x81\xfc\n", "found bytes that are neither (line 2)"),
        (b'a,b\n"1,2\n3,4\n', "found a quote in line 2 that is not closed"),
        (b"a b\n1 2\n3 4\n", "expected commas, semicolons or tabs between columns; found spaces"),
        (b'"a b" "c"\n"1" 2\n', "found spaces"),
        (b"1.png,0.5,0.7\n2.png,0.1,0.2\n", "expected a first line with the names of the columns"),
        (b"a,b\n1,2\n3\n", "2 fields in every line, as in the header; found 1 lines with another number (line 3: 1)"),
        (b"a,b\n1,2,3,4\n1,2,3,4\n", "expected 2 fields in every line, as in the header; found 4 in every line below"),
    ],
)
def test_what_is_no_table_is_said_in_one_sentence(tmp_path, content, message):
    with pytest.raises(InputError) as caught:
        load(tmp_path, content)
    assert message in str(caught.value)
    assert "polars" not in str(caught.value).casefold()


def test_decimal_commas_are_points_only_where_they_are_certain(tmp_path):
    assert load(tmp_path, "a;b\n1,234;x\n2,500;y\n").frame["a"].to_list() == ["1,234", "2,500"], "thousands or decimals"
    assert load(tmp_path, "a;b\n1,234;0,5\n2,500;0,75\n").frame["a"].to_list() == ["1.234", "2.500"]
    assert load(tmp_path, "a;b\n0,5;0,1\nNA;north, south\n").frame.rows() == [("0.5", "0,1"), ("NA", "north, south")]
    assert load(tmp_path, 'a,b\n"0,5",1\n').frame["a"].to_list() == ["0,5"]


def test_thousands_separators_are_refused_in_words(tmp_path):
    path = tmp_path / "regions.csv"
    path.write_text('image_id,finding,source,x,y,width,height\n1,edema,a,"1,234.5",1,1,1\n')
    with pytest.raises(InputError, match=r"a number in 'x'; found 1 row \(1,234.5\). Write numbers without thousands"):
        tables.read(path, "regions")


def test_row_names_that_are_no_numbers_are_kept_as_a_column(tmp_path):
    made = load(tmp_path, '"edema"\n"1.png",0.5\n"2.png",0.25\n')
    assert made.frame.columns == ["row_name", "edema"]
    made = load(tmp_path, '"edema","mass"\n"1.png",0.5,1\n"2.png",0.25,0\n')
    assert made.frame["row_name"].to_list() == ["1.png", "2.png"]
    assert made.dialect == ("column 1, which has no name, is called 'row_name'",)


def test_the_encoding_may_be_given(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("name,x\n山田,1\n".encode("shift_jis"))
    assert tables.frame_of(path, encoding="shift_jis")["name"].item() == "山田"
    with pytest.raises(InputError, match="an encoding that Python knows; found 'latin-99'"):
        tables.frame_of(path, encoding="latin-99")


def test_the_published_nih_table_is_read(tmp_path):
    """The header of 2017 has commas within a name and at its end, as every line has."""
    text = (
        "Image Index,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
        "1.png,2682,2749,0.143,0.143,\n2.png,2894,2729,0.143,0.143,\n"
    )
    made = load(tmp_path, text)
    assert made.frame.columns == ["Image Index", "OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x", "y]"]
    assert made.frame["y]"].to_list() == ["0.143", "0.143"]


@pytest.mark.skipif(not Path("../shared/real").is_dir(), reason="no ../shared/real")
@pytest.mark.parametrize("path", sorted(Path("../shared/real").glob("*/*.csv*")), ids=lambda p: p.name)
def test_real_tables_read_as_polars_reads_them(path):
    expected = pl.read_csv(path, infer_schema=False)
    nameless = [c for c in expected.columns if c == "" or c.startswith("_duplicated_")]
    assert tables.load(path).frame.equals(expected.drop(nameless))
