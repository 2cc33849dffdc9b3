"""A folder is removed only with everything in it made by us."""

from __future__ import annotations

import os

import pytest

from overread.errors import InputError
from overread.tables.storage import made


def folder_of_ours(place, names=("a.txt", "inner/b.npy", ".c", "stage.json")):
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    made.write_list(place)
    return place


def test_what_we_made_is_removed(tmp_path):
    folder = folder_of_ours(tmp_path / "s")
    (folder / "stage.json").write_text("written after the list")
    (folder / ".DS_Store").write_text("of the desktop")
    assert made.foreign(folder) == []
    made.remove_own(folder)
    assert not folder.exists()
    made.remove_own(folder)


@pytest.mark.parametrize("name", ["notes.txt", "inner/notes.txt", "deep/er/x", ".hidden", "made.json.bak", "x.part"])
def test_a_foreign_file_keeps_the_folder_as_it_is(tmp_path, name):
    folder = folder_of_ours(tmp_path / "s")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("mine")
    before = made.held(folder)
    with pytest.raises(InputError, match=rf"1 other or changed files \({name}\)\. Move it elsewhere"):
        made.remove_own(folder)
    assert made.held(folder) == before


def test_a_file_that_the_user_changed_is_kept(tmp_path):
    folder = folder_of_ours(tmp_path / "s")
    (folder / "a.txt").write_text("with my remarks")
    with pytest.raises(InputError, match=r"changed files \(a\.txt\)"):
        made.remove_own(folder)


def test_links_are_foreign_and_what_they_lead_to_is_not_touched(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "a").write_text("mine")
    folder = folder_of_ours(tmp_path / "s")
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to(tmp_path / "precious" / "a")
    (folder / "more").symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match=r"2 other or changed files \(a\.txt, more\)"):
        made.remove_own(folder)
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match="found a link or a file"):
        made.remove_own(tmp_path / "link")
    assert (tmp_path / "precious" / "a").read_text() == "mine"


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"files": []}', '{"files": {"a.txt": "x"}}', '{"files": null}'])
def test_without_a_list_everything_is_foreign_but_an_empty_folder_is_not(tmp_path, text):
    folder = folder_of_ours(tmp_path / "s", ("a.txt",))
    os.remove(folder / made.MADE)
    if text is not None:
        (folder / made.MADE).write_text(text)
    with pytest.raises(InputError, match=r"a\.txt"):
        made.remove_own(folder)
    (folder / "a.txt").unlink()
    made.remove_own(folder)
    assert not folder.exists()


def test_a_removal_that_was_killed_is_ended_by_the_next(tmp_path, monkeypatch):
    folder = folder_of_ours(tmp_path / "s", [f"{n}.txt" for n in range(6)])
    real, left = made.remove, [3]

    def until(path):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        real(path)

    monkeypatch.setattr(made, "remove", until)
    with pytest.raises(KeyboardInterrupt):
        made.remove_own(folder)
    monkeypatch.undo()
    assert (folder / made.MADE).is_file()
    made.remove_own(folder)
    assert not folder.exists()


def test_a_list_that_names_files_elsewhere_removes_nothing_there(tmp_path):
    (tmp_path / "precious").write_text("mine")
    folder = folder_of_ours(tmp_path / "s", ("a.txt",))
    (folder / made.MADE).write_text('{"files": {"a.txt": 5, "../precious": 4}}')
    made.remove_own(folder)
    assert (tmp_path / "precious").read_text() == "mine"
