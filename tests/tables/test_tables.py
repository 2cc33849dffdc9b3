"""How a table is checked: all problems at once, in words; nothing lost, nothing written on failure."""

import errno

import polars as pl
import pytest

from overread import tables
from overread.errors import InputError
from overread.tables.storage import files

LABELS = {"case_id": ["00000001"], "finding": ["edema"], "source": ["report"], "state": ["present"]}
IMAGES = {"image_id": ["i1", "i2"], "patient_id": ["0007", "0007"], "site": ["a", "a"]}


def problems(frame, table):
    with pytest.raises(InputError) as error:
        tables.check(pl.DataFrame(frame), table, where="x.csv")
    return str(error.value)


def test_a_csv_is_read_as_text_first_so_that_leading_zeros_stay(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("case_id,finding,source,state,note\n00000001,edema,report,present,\n2,mass,report,absent,x\n")
    frame = tables.read(path, "labels")
    assert frame["case_id"].to_list() == ["00000001", "2"]
    assert frame["note"].to_list() == [None, "x"], "an extra column is carried through, empty is null"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_written_is_read_back(tmp_path, suffix):
    frame = tables.check(
        pl.DataFrame({**IMAGES, "age_years": ["41", None], "acquired": ["2020-01-02", None]}), "images"
    )
    tables.write(frame, tmp_path / f"images.{suffix}", "images")
    assert tables.read(tmp_path / f"images.{suffix}", "images").equals(frame)


def test_a_missing_and_a_misspelt_column_are_named_together():
    text = problems({"case_id": ["1"], "fnding": ["edema"], "state": ["present"]}, "labels")
    assert "expected a column 'finding'; found columns case_id, fnding, state. Did you mean 'fnding'?" in text
    assert "expected a column 'source'" in text


def test_an_unknown_state_an_unknown_finding_a_repeated_key_and_a_null_key_are_said_at_once():
    text = problems(
        {
            "case_id": ["1", "1", "2", "3"],
            "finding": ["edema", "edema", "edma", "mass"],
            "source": ["a", "a", "a", None],
            "state": ["present", "absent", "presnt", "absent"],
        },
        "labels",
    )
    assert "4 problems" in text
    assert (
        "expected one of 'present', 'absent', 'uncertain' in 'state'; found 1 row (presnt). Did you mean 'present'?"
        in text
    )
    assert "one row per case_id, finding, source; found 2 rows with a repeated key (1 / edema / a)" in text
    assert "expected a value in every row of 'source'; found 1 row ((empty))" in text
    assert "found 1 unknown (edma). Did you mean 'edema'?" in text


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("age_years", "-3", "expected a number in 'age_years' (at least 0); found 1 row (-3.0)"),
        (
            "age_years",
            "4,1",
            "a number in 'age_years'; found 1 row (4,1). Write numbers with a decimal point.",
        ),
        ("age_years", "old", "expected a number in 'age_years'; found 1 row (old)"),
        ("sex", "female", "expected one of 'F', 'M' in 'sex'; found 1 row (female)"),
        ("view", "PAA", "in 'view'; found 1 row (PAA). Did you mean 'PA'?"),
        ("weight", "0", "expected a number in 'weight' (above 0); found 1 row (0.0)"),
        ("acquired", "02.01.2020", "expected a date in 'acquired'; found 1 row (02.01.2020)"),
    ],
)
def test_a_value_that_cannot_be_is_shown_as_it_was_written(column, value, message):
    assert message in problems({**IMAGES, column: [None, value]}, "images")


@pytest.mark.parametrize(("value", "word"), [(float("nan"), "numbers"), (float("inf"), "finite numbers")])
def test_a_score_that_is_nan_or_infinite_is_refused(value, word):
    frame = {"image_id": ["1"], "finding": ["edema"], "model": ["m"], "score": [value]}
    assert f"expected {word} in 'score'; found 1 row" in problems(frame, "predictions")


def test_columns_left_out_take_their_stated_default_and_case_is_image():
    frame = tables.check(pl.DataFrame(IMAGES), "images")
    assert frame["case_id"].to_list() == ["i1", "i2"]
    assert frame["view"].to_list() == ["UNKNOWN", "UNKNOWN"]
    assert frame["weight"].to_list() == [1.0, 1.0]
    assert frame["sex"].to_list() == [None, None]


def test_every_table_has_an_empty_frame_that_passes_its_own_check():
    for name in tables.SCHEMAS:
        assert tables.check(tables.empty(name), name).is_empty()


def test_an_unknown_table_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'labels'"):
        tables.read("x.csv", "label")


@pytest.mark.parametrize(
    ("content", "found"),
    [(None, "no file there"), (b"", "0 bytes"), (b"PAR1 not", "expected a readable CSV or Parquet file")],
)
def test_a_file_that_is_missing_empty_or_broken_is_an_input_error(tmp_path, content, found):
    path = tmp_path / "images.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=found):
        tables.read(path, "images")


def _fill_the_disk(path):
    with files.replacing(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")


def test_the_old_file_survives_a_full_disk(tmp_path):
    path = tables.write_text(tmp_path / "result.txt", "old")
    with pytest.raises(InputError, match="expected free space on the disk; found a full disk"):
        _fill_the_disk(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.txt"]


def test_nothing_is_written_when_a_table_is_wrong(tmp_path):
    with pytest.raises(InputError):
        tables.write(pl.DataFrame({**LABELS, "state": ["perhaps"]}), tmp_path / "labels.parquet", "labels")
    assert list(tmp_path.iterdir()) == []


def test_json_says_nan_as_null(tmp_path):
    path = tables.write_json(tmp_path / "x.json", {"a": float("nan"), "b": (1, 2.5)})
    assert path.read_text().split() == ["{", '"a":', "null,", '"b":', "[", "1,", "2.5", "]", "}"]


def test_a_folder_that_may_not_be_written_is_an_input_error(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files.os, "open", refuse)
    with pytest.raises(InputError, match="expected permission to write; found permission denied"):
        tables.write_text(tmp_path / "x.txt", "x")


def test_a_column_that_stands_twice_is_refused(tmp_path):
    file = tmp_path / "p.csv"
    file.write_text("image_id,edema,edema\na,0.1,0.9\n")
    with pytest.raises(InputError, match=r"every column once; found column names that occur twice \(edema\)"):
        tables.frame_of(file)


def test_empty_lines_of_a_spreadsheet_are_no_rows(tmp_path):
    file = tmp_path / "p.csv"
    file.write_text("image_id,edema\na,0.1\n,\n\n,\n")
    assert tables.frame_of(file).rows() == [("a", "0.1")]


def test_the_words_of_public_sets_are_translated_all_at_once():
    rows = pl.DataFrame(
        {"case_id": ["1", "2", "3"], "finding": ["Effusion", "Edema", "Nonsense"], "source": "s", "state": "present"}
    )
    with pytest.raises(
        InputError, match=r"found 3 unknown .*Here 'Edema' is 'edema', 'Effusion' is 'pleural_effusion'\."
    ):
        tables.check(rows, "labels")
