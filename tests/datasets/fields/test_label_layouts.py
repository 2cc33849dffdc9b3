from pathlib import Path

import polars as pl
import pytest

from overread import findings
from overread.datasets.fields import label_layouts
from overread.errors import InputError

CHEST = findings.load()

ROWS = pl.DataFrame({"case_id": ["1", "2", "3"], "Edema": ["1", "0.0", " "], "Mass": ["-1", None, "1"]})


def test_numbers_however_written_are_the_same_state():
    spec = {"form": "wide", "columns": ["Edema", "Mass"], "source": "s"}
    made = label_layouts.labels(ROWS, spec, Path(), "t")
    assert sorted(made.select("case_id", "finding", "state").rows()) == [
        ("1", "edema", "present"),
        ("1", "mass", "uncertain"),
        ("2", "edema", "absent"),
        ("3", "mass", "present"),
    ]
    floats = spec | {"present": [1.0], "absent": 0, "uncertain": -1}
    assert label_layouts.labels(ROWS, floats, Path(), "t").equals(made)


def test_a_value_may_be_taken_for_nothing_only_where_it_is_empty():
    spec = {"form": "wide", "columns": ["Mass"], "source": "s", "uncertain": ["u"]}
    with pytest.raises(InputError, match=r"label values '1', 'present', '0', 'absent', 'u' or empty; found 1 others"):
        label_layouts.labels(ROWS, spec, Path(), "t")


def test_two_columns_that_mean_one_finding_must_agree():
    rows = pl.DataFrame({"case_id": ["1"], "Effusion": ["1"], "Pleural Effusion": ["0"]})
    spec = {"form": "wide", "columns": ["Effusion", "Pleural Effusion"], "source": "s"}
    with pytest.raises(InputError, match="one state per case and finding; found 2 rows that contradict"):
        label_layouts.labels(rows, spec, Path(), "t")


def test_all_unknown_words_are_said_at_once():
    with pytest.raises(InputError) as caught:
        label_layouts.resolved(["Efusion", "Mass", "zzz"], "", "t", CHEST)
    assert "2 problems" in str(caught.value)
    assert "'Efusion'. Did you mean 'Effusion'?" in str(caught.value)


def test_a_list_that_is_empty_states_nothing_and_no_vocabulary_is_refused():
    rows = pl.DataFrame({"case_id": ["1", "2"], "list": ["Mass", None]})
    spec = {"column": "list", "vocabulary": ["Mass", "Edema"]}
    assert label_layouts.from_list(rows, spec, "t", CHEST)["case_id"].unique().to_list() == ["1"]
    with pytest.raises(InputError, match="the vocabulary that each list states in full; found none given"):
        label_layouts.from_list(rows, {"column": "list"}, "t", CHEST)


def test_booleans_read_as_ones_and_zeros():
    made = label_layouts.as_text(pl.DataFrame({"a": [True, False, None], "b": [1, 2, 3]}))
    assert made.rows() == [("1", "1"), ("0", "2"), (None, "3")]
