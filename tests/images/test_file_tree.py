import os

import pytest

from overread.errors import InputError
from overread.images import file_tree


def test_loops_end_and_links_elsewhere_are_followed(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    (inside / "a").mkdir(parents=True)
    outside.mkdir()
    (inside / "a" / "up").symlink_to(inside)
    (inside / "there").symlink_to(outside)
    (inside / "self").symlink_to(inside / "self")
    (outside / "x.dcm").touch()
    (inside / "a" / "y").touch()
    assert [p.relative_to(inside).as_posix() for p in file_tree.files(inside)] == ["a/y", "self", "there/x.dcm"]
    assert [p.name for p in file_tree.files(inside, suffixes=(".dcm",))] == ["x.dcm"]


def test_folders_that_may_not_be_read_are_said_all_at_once(tmp_path, monkeypatch):
    for name in ("a", "b", "open"):
        (tmp_path / name).mkdir()
    real = os.scandir

    def closed(place):
        if os.path.basename(place) in ("a", "b"):
            raise PermissionError(13, "Permission denied")
        return real(place)

    monkeypatch.setattr(file_tree.os, "scandir", closed)
    with pytest.raises(InputError, match=r"folders that may be read; found 2 that may not \(a, b\)"):
        file_tree.files(tmp_path)


def test_a_root_that_may_not_be_read_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(file_tree.os, "access", lambda *_: False)
    with pytest.raises(InputError, match="a folder that may be read; found no permission"):
        file_tree.folder(tmp_path)


@pytest.mark.parametrize("place", [b"\xff\xfe.dcm", b"caf\xe9/a.dcm", b"\x80"])
def test_names_that_are_no_text_are_refused_and_shown(tmp_path, place):
    path = os.fsencode(tmp_path) + b"/" + place
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(b"x")
    (tmp_path / "Übersicht ☃.dcm").touch()
    with pytest.raises(InputError, match=r"names of files in UTF-8; found 1 that are not \(.*\\x|\\udc"):
        file_tree.files(tmp_path)
    assert len(file_tree.files(tmp_path, suffixes=(".none",))) == 0
