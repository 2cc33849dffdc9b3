"""Options of sources with values of another type: a sentence that names the option, never a traceback."""

import inspect
import math

import pytest

from overread import datasets
from overread.errors import InputError

ODD = (
    True,
    0,
    -1,
    10**400,
    0.5,
    math.nan,
    "",
    "\x00",
    "a" * 5000,
    [],
    {},
    [[]],
    [None],
    [{}],
    {"a": 1},
    {"a": {"b": []}},
    None,
)
READERS = [n for n in datasets.names() if n != "dicomweb"]  # which would ask a server


def _options(name):
    module = __import__(f"overread.datasets.{name}", fromlist=["read"])
    return [p for p in inspect.signature(module.read).parameters if p != "root"]


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_an_odd_value_of_any_option_is_refused(tmp_path, name):
    (tmp_path / "t.csv").write_text("file,pat,Effusion\na.png,007,1\nb.png,008,\n")
    sound = {"images": "t.csv", "columns": {"image_id": "file", "patient_id": "pat"}, "defaults": {"site": "a"}}
    base = sound if name == "table" else {"site": "a"} if name == "dicom_folder" else {}
    for option in (*_options(name), "prefix"):
        for value in ODD:
            try:
                datasets.load(name, tmp_path, base | {option: value})
            except InputError:
                continue
            assert name == "table", (option, value)  # the others find none of their files


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (3, "labels"),
        ({"form": []}, "form"),
        ({"form": "wide", "columns": 3}, "columns"),
        ([[]], "columns"),
        ({"form": "wide", "columns": [1]}, "columns"),
        ({"form": "wide", "columns": {"Effusion": ["x"]}}, "columns"),
        ({"form": "wide", "columns": ["Effusion"], "present": [["x"]]}, "present"),
        ({"form": "list", "column": ["Effusion"], "vocabulary": ["a"]}, "column"),
        ({"form": "list", "column": "Effusion", "vocabulary": [[1]]}, "vocabulary"),
        ({"form": "list", "column": "Effusion", "vocabulary": ["1"], "separator": 1}, "separator"),
        ({"form": "long", "file": ["t.csv"]}, "file"),
        ({"form": "constant", "findings": {"edema": ["present"]}}, "findings"),
        ({"form": "constant", "findings": {"edema": "present"}, "source": {}}, "source"),
    ],
)
def test_a_layout_of_odd_types_is_refused_by_its_key(tmp_path, labels, said):
    (tmp_path / "t.csv").write_text("file,pat,Effusion\na.png,007,1\nb.png,008,\n")
    options = {"images": "t.csv", "columns": {"image_id": "file", "patient_id": "pat"}, "defaults": {"site": "a"}}
    with pytest.raises(InputError, match=said):
        datasets.load("table", tmp_path, options | {"labels": labels})
