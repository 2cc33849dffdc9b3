"""Tables made to take all memory are refused by what they claim, before they are read."""

import gzip
import zlib
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overread import limits, tables
from overread.errors import InputError

BODY = b"image_id,score\n" + b"".join(b"i%d,0.%d\n" % (n, n) for n in range(200))


def wide(columns, lines=1):
    return (
        ",".join(f"c{i}" for i in range(columns)).encode() + b"\n" + b"\n".join([b"1" + b",1" * (columns - 1)] * lines)
    )


@pytest.mark.slow
def test_columns_are_counted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(wide(limits.COLUMNS))
    assert tables.load(path).frame.shape == (1, limits.COLUMNS)
    path.write_bytes(wide(limits.COLUMNS + 1))
    with pytest.raises(InputError, match=r"at most 10,000 columns; found 10,001. Give one row for each finding"):
        tables.load(path)


@pytest.mark.parametrize("content", [wide(1_000_000), b"a," + b"1" * (2 << 20), b'"' + b"a,b\n" * (1 << 20)])
def test_a_first_line_without_end_is_refused_before_it_is_divided(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError):
        tables.load(path)


@pytest.mark.parametrize("line", [b"1\n", b"1,1,1,1,1,1,1,1,1,1\n", b"\n", b'"1"\n'])
def test_lines_that_are_short_count_as_if_they_were_filled(tmp_path, monkeypatch, line):
    monkeypatch.setattr(limits, "CELLS", 1000)
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b,c,d,e,f,g,h,i,j\n" + line * 101)
    with pytest.raises(InputError, match=r"at most 1,000 cells; found 102 rows of 10. Divide it"):
        tables.load(path)


def test_more_fields_than_columns_count_too(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "CELLS", 1000)
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" + b"," * 3000)
    with pytest.raises(InputError, match="at most 1,000 cells"):
        tables.load(path)


@pytest.mark.parametrize("length", [0, 10, 1000])
def test_a_line_without_end_is_refused(tmp_path, monkeypatch, length):
    monkeypatch.setattr(limits, "ROW_BYTES", 1000)
    path = tmp_path / "a.csv"
    path.write_bytes(BODY + b"x,1" + b"1" * length + b"\n")
    assert tables.load(path).frame.height == 201
    path.write_bytes(BODY + b"x,1" + b"1" * (2000 + length) + b"\n")
    with pytest.raises(InputError, match="lines of at most 1,000 bytes; found a longer one around byte"):
        tables.load(path)


@pytest.mark.parametrize("line", [b'"a ""b""",1\n', b"1\n", b",,,\n", b'"a\nb",1\n'])
def test_text_that_is_read_record_by_record_has_fewer_cells(tmp_path, monkeypatch, line):
    monkeypatch.setattr(limits, "QUOTED_CELLS", 1000)
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" + line * 10_000)
    with pytest.raises(InputError, match="at most 1,000 cells of such text"):
        tables.load(path)


def test_comment_lines_are_counted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"# x\n" * 10_001 + BODY)
    with pytest.raises(InputError, match="more than 10,000 comment lines"):
        tables.load(path)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(BODY)), max_size=4), level=st.integers(0, 9), zeros=st.integers(0, 3))
def test_gzip_of_any_members_is_the_text(tmp_path, cuts, level, zeros):
    places = [0, *sorted(cuts), len(BODY)]
    path = tmp_path / "a.csv.gz"
    members = [gzip.compress(BODY[a:b], level) for a, b in pairwise(places)]
    path.write_bytes(b"".join(members) + bytes(zeros))
    assert tables.load(path).frame.height == 200


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stated=st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 10_000)), members=st.integers(1, 3))
def test_gzip_beyond_the_limit_is_refused_whatever_size_it_states(tmp_path, stated, members):
    most = limits.TEXT_BYTES
    limits.TEXT_BYTES = 1 << 16
    try:
        packed = gzip.compress(b"image_id,score\n" + b"1" * (1 << 17))
        path = tmp_path / "a.csv.gz"
        path.write_bytes(packed[:-4] + stated.to_bytes(4, "little") + packed * (members - 1))
        with pytest.raises(InputError, match=r"at most 65,536 bytes of text when unpacked|damaged or cut short"):
            tables.load(path)
    finally:
        limits.TEXT_BYTES = most


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_cut_gzip_is_said_and_ends(tmp_path, share):
    packed = gzip.compress(BODY)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(packed[: max(3, int(share * len(packed)))])
    with pytest.raises(InputError, match="damaged or cut short"):
        tables.load(path)


@pytest.mark.parametrize(
    "inner", [gzip.compress(gzip.compress(BODY)), gzip.compress(bytes(1 << 20)), gzip.compress(zlib.compress(BODY))]
)
def test_what_is_no_text_within_gzip_is_one_sentence(tmp_path, inner):
    (tmp_path / "a.csv.gz").write_bytes(inner)
    with pytest.raises(InputError):
        tables.load(tmp_path / "a.csv.gz")


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "columns"), [(101, 10), (1001, 1), (1, 10_001)])
def test_rows_and_columns_of_parquet_are_looked_at_first(tmp_path, monkeypatch, rows, columns):
    monkeypatch.setattr(limits, "CELLS", 1000)
    pl.DataFrame({f"c{i}": [0] * rows for i in range(columns)}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"at most (1,000 cells|10,000 columns)"):
        tables.load(tmp_path / "a.parquet")


def test_nested_columns_of_parquet_are_refused_by_name_before_they_are_read(tmp_path, monkeypatch):
    frame = pl.DataFrame({"image_id": ["a"], "boxes": [[1, 2]], "who": [{"x": 1}]})
    frame.write_parquet(tmp_path / "a[1]*.parquet")
    monkeypatch.setattr(pl, "read_parquet", None)
    with pytest.raises(InputError, match=r"found 2 of other types \('boxes': List, 'who': Struct\)"):
        tables.load(tmp_path / "a[1]*.parquet")
