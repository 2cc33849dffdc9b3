"""A file that differs from its entry is named; a record is whole to the byte or it is not."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread import integrity, runs, tables
from overread.errors import InputError
from overread.integrity import CHANGED, LINK, MISSING, Difference


@pytest.fixture
def folder(tmp_path):
    """A run of three files, one of them in a folder of its own and one empty."""
    with runs.start(tmp_path / "run", "x", config={}) as run:
        for name, text in (("a.txt", "alpha"), ("parts/b.txt", "beta"), ("none.txt", "")):
            run.output(tables.write_text(tmp_path / "run" / name, text))
    return tmp_path / "run"


def found(folder, *, thorough=False):
    return integrity.differences(folder, runs.read(folder)["outputs"], thorough=thorough)


def test_what_was_not_touched_differs_in_nothing(folder):
    assert found(folder) == found(folder, thorough=True) == []
    assert runs.check(folder)["status"] == "complete"


@pytest.mark.parametrize("name", ["a.txt", "parts/b.txt", "none.txt"])
@pytest.mark.parametrize("content", [b"other", b"a", b"alphaalpha", b"ALPHA"])
def test_another_content_is_named_and_refused(folder, name, content):
    (folder / name).write_bytes(content)
    assert found(folder) == found(folder, thorough=True) == [Difference(name, CHANGED)]
    with pytest.raises(InputError, match=f"1 that differ .{name}: changed"):
        runs.check(folder)


def test_a_missing_file_and_a_folder_in_its_place_are_named(folder):
    (folder / "a.txt").unlink()
    (folder / "none.txt").unlink()
    (folder / "none.txt").mkdir()
    assert found(folder) == [Difference("a.txt", MISSING), Difference("none.txt", CHANGED)]
    shutil.rmtree(folder / "parts")
    (folder / "parts").write_text("a file where a folder was")
    assert Difference("parts/b.txt", MISSING) in found(folder)


def test_a_copy_with_new_times_is_the_same(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    assert found(tmp_path / "copy") == found(tmp_path / "copy", thorough=True) == []


def test_the_same_size_and_time_is_found_by_the_thorough_comparison_alone(folder):
    state = (folder / "a.txt").stat()
    (folder / "a.txt").write_text("alphA")
    os.utime(folder / "a.txt", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert found(folder) == []
    assert found(folder, thorough=True) == [Difference("a.txt", CHANGED)]


def test_a_link_is_named_by_the_thorough_comparison_and_followed_by_the_other(folder, tmp_path):
    shutil.move(folder / "a.txt", tmp_path / "elsewhere.txt")
    (folder / "a.txt").symlink_to(tmp_path / "elsewhere.txt")
    assert found(folder) == []
    assert found(folder, thorough=True) == [Difference("a.txt", LINK)]
    (tmp_path / "elsewhere.txt").write_text("other")
    assert found(folder) == [Difference("a.txt", CHANGED)]
    (tmp_path / "elsewhere.txt").unlink()
    assert found(folder, thorough=True) == [Difference("a.txt", MISSING)]


def test_a_single_file_is_compared_where_a_run_beside_it_names_it(folder, tmp_path):
    runs.check_file(folder / "a.txt")
    (folder / "unknown.txt").write_text("not of this run")
    runs.check_file(folder / "unknown.txt")
    (tmp_path / "alone.csv").write_text("no run beside it")
    runs.check_file(tmp_path / "alone.csv")
    (folder / "a.txt").write_text("omega")
    with pytest.raises(InputError, match=r"a\.txt: changed"):
        runs.check_file(folder / "a.txt")


def test_a_run_that_did_not_end_is_not_used(tmp_path):
    with pytest.raises(ValueError, match="stop"), runs.start(tmp_path, "x", config={}):
        raise ValueError("stop")
    with pytest.raises(InputError, match="expected a finished run; found one with status 'failed'"):
        runs.check(tmp_path)


def test_the_hash_of_a_folder_as_input_does_not_depend_on_times(folder, tmp_path):
    before = runs.input_hash(folder)
    with runs.start(tmp_path / "again", "x", config={}) as run:
        for name, text in (("a.txt", "alpha"), ("parts/b.txt", "beta"), ("none.txt", "")):
            run.output(tables.write_text(tmp_path / "again" / name, text))
    assert runs.input_hash(tmp_path / "again") == before


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))  # others are refused in records
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.slow
@given(
    record=st.dictionaries(TEXT, VALUES, max_size=4),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_a_sealed_record_is_read_again_and_any_changed_bit_breaks_the_seal(tmp_path_factory, record, place, bit):
    path = tmp_path_factory.mktemp("seal") / "record.json"
    integrity.write_sealed(path, record)
    assert integrity.sealed(path)
    read = runs.read_sealed(path)
    assert {k: v for k, v in read.items() if k != "hash"} == {k: v for k, v in record.items() if k != "hash"}
    integrity.write_sealed(path, read)
    assert integrity.sealed(path), "a record that is written again has a seal of its own"
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(data)
    assert not integrity.sealed(path)


@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text + "\n",
        lambda text: text.rstrip(),
        lambda text: " " + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: json.dumps(json.loads(text)),
        lambda text: text.replace('"x"', '"y"'),
        lambda text: "{}",
        lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "hash"}, indent=1) + "\n",
    ],
)
def test_a_record_that_was_edited_is_refused_by_name(folder, changed):
    path = folder / "run.json"
    path.write_bytes(changed(path.read_text()).encode())
    with pytest.raises(InputError, match=r"run\.json: expected a record as it was written"):
        runs.read(folder)
