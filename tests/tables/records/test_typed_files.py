"""JSON, TOML and arrays in files: a value, or an InputError that names the file; never anything else."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.errors import InputError
from overread.tables import records
from overread.tables.records import kinds
from overread.tables.records.kinds import (
    EntryRecord,
    Head,
    MapsRecord,
    ModelRecord,
    Notes,
    PartRecord,
    RunRecord,
    Stamp,
)

ALL = (RunRecord, Stamp, Notes, ModelRecord, MapsRecord, PartRecord, Head, EntryRecord)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[" * 100_000, "more"),
        ('{"a":' * 1000 + "1" + "}" * 1000, "more"),
        ('{"a": 1, "a": 2}', "the key 'a' twice"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": 1e400}', "inf"),
        ('{"a": ' + "9" * 30 + "}", "bits"),
        ('{"a": ' + "9" * 5000 + "}", "digits"),
        ('{"a": "\\ud800"}', "half"),
        ('{"\\u0000": 1}', "NUL"),
        ("", "Expecting value"),
        ("[]", "[]"),
        ("null", "None"),
        ("3", "3"),
        ('"x"', "'x'"),
    ],
)
def test_json_that_cannot_be_used_is_refused_with_its_file(tmp_path, text, found):
    file = tmp_path / "run.json"
    file.write_text(text)
    with pytest.raises(InputError) as refused:
        records.read_json(file, dict[str, Any])
    assert str(file) in str(refused.value)
    assert found in str(refused.value)


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"\xff\xfe{\x00}\x00", "bytes that are not"), (b'{"a": "\xe9"}', "bytes that are not"), (b"\x00" * 9, "JSON")],
)
def test_json_of_another_encoding_is_refused(tmp_path, content, found):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=found):
        records.read_json(tmp_path / "a.json", dict[str, Any])


def test_a_byte_order_mark_is_no_fault(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"done": "x"}')
    assert records.read_json(tmp_path / "a.json", Stamp) == {"done": "x"}
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfa = 1")
    assert records.read_toml(tmp_path / "a.toml") == {"a": 1}


@pytest.mark.slow
@given(value=values, kind=st.sampled_from(ALL))
def test_any_value_is_of_the_kind_or_refused(value, kind):
    try:
        assert records.typed(value, kind, "a.json") is value
    except InputError:
        return


KEYS = sorted({key for kind in ALL for key in kind.__annotations__})


@pytest.mark.slow
@given(record=st.dictionaries(st.sampled_from(KEYS), values), kind=st.sampled_from(ALL))
def test_any_value_under_a_known_key_is_of_the_kind_or_refused(record, kind):
    try:
        assert records.typed(record, kind, "a.json") is record
    except InputError:
        return
    assert json.loads(json.dumps(record)).keys() == record.keys()


def test_a_kind_names_the_place_of_every_problem():
    record = {"outputs": {"a": {"bytes": "9", "sha256": 1}}, "versions": []}
    with pytest.raises(InputError) as refused:
        records.typed(record, kinds.RunRecord, "run.json")
    assert all(place in str(refused.value) for place in ("outputs.a.bytes", "outputs.a.sha256", "versions"))


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 20_000,
        ".".join("a" * 1 for _ in range(200)) + " = 1",
        "a = 1\na = 2",
        "a = inf",
        "a = nan",
        "a = 1e400",
        "a = 2020-13-45",
        "a = " + "9" * 6000,
        "a = 99999999999999999999",
        'a = "\\u0000"',
        "= 1",
        "[a",
        "\x00",
    ],
)
def test_toml_that_cannot_be_used_is_refused(text):
    with pytest.raises(InputError, match=r"config\.toml"):
        records.toml_value(text, "config.toml")


@pytest.mark.parametrize(
    "array",
    [
        np.array([[{}]], dtype=object),
        np.zeros((2, 3), np.uint8),
        np.zeros((2, 4), np.float64),
        np.zeros(4, np.uint8),
        np.array([["a", "b", "c", "d"]]),
    ],
)
def test_arrays_of_another_type_or_shape_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=r"a\.npy"):
        records.read_array(tmp_path / "a.npy", (np.uint8,), (None, 4))


@given(cut=st.integers(0, 200), flip=st.integers(0, 127), to=st.integers(0, 255))
def test_a_damaged_array_is_an_array_or_refused(cut, flip, to, tmp_path_factory):
    file = tmp_path_factory.mktemp("npy") / "a.npy"
    np.save(file, np.zeros((3, 4), np.uint8))
    data = bytearray(file.read_bytes())
    data[flip] = to
    file.write_bytes(data[: len(data) - cut])
    try:
        assert records.read_array(file, (np.uint8,), (None, 4)).shape[1] == 4
    except InputError:
        return
