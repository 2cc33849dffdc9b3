"""pandas frames become Polars frames without pandas or pyarrow at work."""

import datetime

import polars as pl
import pytest

from overread.errors import InputError
from overread.tables.frames import from_pandas, inputs_of, named_frame

pd = pytest.importorskip("pandas")


def test_columns_keep_their_kinds_and_missing_values_are_null():
    frame = pd.DataFrame(
        {
            "text": ["a", None, "c"],
            "number": [1.5, float("nan"), 2.0],
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "yes": [True, False, True],
            "word": pd.Categorical(["x", None, "y"]),
            "day": pd.to_datetime(["2020-01-01", None, "2020-01-03"]),
        }
    )
    made = from_pandas(frame)
    assert made["text"].to_list() == ["a", None, "c"]
    assert made["number"].to_list() == [1.5, None, 2.0]
    assert made["whole"].to_list() == [1, None, 3]
    assert made["yes"].dtype == pl.Boolean
    assert made["word"].to_list() == ["x", None, "y"]
    assert made["day"].to_list()[0] == datetime.datetime(2020, 1, 1)


def test_numbers_beside_text_are_text_and_a_named_index_is_a_column():
    frame = pd.DataFrame({"image_id": ["1", "2"], "mixed": [1, "b"]}).set_index("image_id")
    made = from_pandas(frame)
    assert made.columns == ["image_id", "mixed"]
    assert made["mixed"].to_list() == ["1", "b"]


def test_columns_of_one_name_are_refused():
    with pytest.raises(InputError, match="repeat"):
        from_pandas(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_one_frame_given_twice_is_one_origin():
    frame = pl.DataFrame({"a": [1]})
    assert named_frame(frame, "images").resolve() == named_frame(frame, "labels").resolve()
    assert [name for name, _ in inputs_of({"acme": frame, "beta": frame}, "predictions")] == ["acme", "beta"]
