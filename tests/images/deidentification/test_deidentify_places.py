"""The folders of a de-identification: nothing of the user's is replaced or removed, what names patients is private."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from overread.errors import InputError
from overread.images.deidentification import deidentify, new_key
from overread.images.deidentification import folder_run as package
from overread.tables.storage import made


@pytest.fixture
def given(tmp_path, write_dicom, monkeypatch):
    """A source of one picture and one broken file, a key, and no text check."""
    monkeypatch.setattr("overread.images.deidentification.pixels.tesseract", lambda: None)
    source = tmp_path / "source"
    source.mkdir()
    path = write_dicom(
        np.full((16, 16), 7, np.uint16),
        "x.dcm",
        PatientID="MRN1",
        PatientName="Roe^Ann",
        StudyInstanceUID="1.2.3",
        SOPInstanceUID="1.2.3.4",
    )
    shutil.move(path, source / "1.dcm")
    new_key(tmp_path / "key")
    return tmp_path


def go(given, **more):
    return deidentify(given / "source", given / "out", given / "key", mapping=given / "map.csv", **more)


@pytest.mark.parametrize(
    "name",
    [
        "out-work/mine.txt",
        "out-work",
        "out-quarantine.csv",
        "map.csv",
        "out/audit.csv",
        "out/run.json",
        "out/mine.txt",
        "out/images/mine.dcm",
    ],
)
def test_what_is_the_users_is_refused_and_stays(given, name):
    (given / name).parent.mkdir(exist_ok=True, parents=True)
    (given / name).write_text("mine")
    before = sorted(str(p) for p in given.rglob("*"))
    with pytest.raises(InputError):
        go(given)
    assert (given / name).read_text() == "mine"
    assert sorted(str(p) for p in given.rglob("*")) == before


def test_a_link_in_place_of_the_work_folder_is_not_followed(given):
    (given / "precious").mkdir()
    (given / "precious" / "a").write_text("mine")
    (given / "out-work").symlink_to(given / "precious")
    with pytest.raises(InputError, match="found a link or a file"):
        go(given)
    assert (given / "precious" / "a").read_text() == "mine"
    assert (given / "out-work").is_symlink()


def test_a_second_run_replaces_its_own_lists(given):
    go(given)
    assert go(given).quarantined == 1


def test_a_file_that_the_user_puts_into_the_work_folder_stays(given, monkeypatch):
    real = package._all

    def meanwhile(tasks, work, workers, progress):
        (work / "mine.txt").write_text("mine")
        return real(tasks, work, workers, progress)

    monkeypatch.setattr(package, "_all", meanwhile)
    go(given)
    assert [p.name for p in (given / "out-work").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_lists_and_work_that_name_patients_are_for_their_owner_alone(given, monkeypatch, umask):
    seen: dict[str, int] = {}
    real = package._write

    def during(*arguments):
        for path in [given / "out-work", *(given / "out-work").rglob("*")]:
            seen[str(path.relative_to(given))] = stat.S_IMODE(path.stat().st_mode)
        return real(*arguments)

    monkeypatch.setattr(package, "_write", during)
    old = os.umask(umask)
    try:
        go(given)
    finally:
        os.umask(old)
    assert seen["out-work"] == 0o700
    named = {name: mode for name, mode in seen.items() if name.endswith((".files", ".audit"))}
    assert len(named) == 2
    assert set(named.values()) == {0o600}
    for name in ("out-quarantine.csv", "map.csv", "key"):
        assert stat.S_IMODE((given / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((given / "out" / "audit.csv").stat().st_mode) == 0o666 & ~umask
    assert not (given / "out-work").exists()


def test_an_interrupted_run_leaves_work_that_the_next_one_ends_and_removes(given, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(package, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        go(given)
    monkeypatch.undo()
    monkeypatch.setattr("overread.images.deidentification.pixels.tesseract", lambda: None)
    work = given / "out-work"
    assert stat.S_IMODE(work.stat().st_mode) == 0o700
    assert (work / made.MADE).is_file()
    for name in ("out/.audit.csv.0123abcd.part", ".out-quarantine.csv.0123abcd.part", ".map.csv.0123abcd.part"):
        (given / name).write_text("half")
    (given / ".other.csv.0123abcd.part").write_text("of another program")
    go(given)
    left = {p.relative_to(given).as_posix() for p in Path(given).rglob("*.part")}
    assert left == {".other.csv.0123abcd.part"}
    assert not work.exists()
