import datetime

import numpy as np
import polars as pl
import pydicom
import pytest

from overread.images.dicom import header_scan as scanning
from overread.images.dicom.header_scan import SCHEMA, scan
from overread.images.dicom.headers import read_header

FLAT = np.zeros((64, 64), np.uint16)


@pytest.fixture
def files(tmp_path, write_dicom):
    paths = [
        write_dicom(
            FLAT,
            f"{i} ü\n.dcm" if i == 2 else f"{i}.dcm",
            PatientID=f"{i:03d}",
            ViewPosition="PA",
            PatientSex="2",
            StudyDate="20200131",
            AccessionNumber=f"A{i}",
        )
        for i in range(5)
    ]
    (tmp_path / "x.txt").write_text("hello")
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "cut.dcm").write_bytes(paths[0].read_bytes()[:160])
    return [*paths, tmp_path / "x.txt", tmp_path / "empty.dcm", tmp_path / "cut.dcm", tmp_path / "none.dcm"]


def test_a_row_for_every_file_with_what_its_header_says(files):
    found = scan(files)
    assert dict(found.schema) == SCHEMA
    assert found["path"].to_list() == [str(p) for p in files]
    assert found["patient_id"].to_list()[:5] == [f"{i:03d}" for i in range(5)]
    assert found["kind"].to_list()[5:7] == ["unknown data", "unknown data"]
    assert found["fault"].to_list()[8] == "a file that cannot be opened: No such file or directory"
    row, header = found.row(2, named=True), read_header(files[2])
    for name in ("accession", "view", "sex", "acquired", "rows", "secondary", "transfer_syntax", "modality"):
        assert row[name] == getattr(header, name), name
    assert row["notes"] == "patient sex '2' is none of F, M, O: not stated"
    assert row["acquired"] == datetime.date(2020, 1, 31)


@pytest.mark.slow
def test_two_processes_give_the_same_rows(files, monkeypatch):
    monkeypatch.setattr(scanning, "_PORTION", 2)
    assert scan(files, workers=2).equals(scan(files))


def test_a_long_header_is_read_to_its_end(write_dicom):
    path = write_dicom(FLAT, ImageComments="x" * 9000)
    dataset = pydicom.dcmread(path)
    dataset.add_new(0x00091001, "OB", bytes(200_000))
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.save_as(path)
    assert scan([path]).row(0, named=True)["photometric"] == "MONOCHROME1"


def test_the_cache_reads_only_what_changed_and_keeps_what_was_read(files, tmp_path, monkeypatch):
    monkeypatch.setattr(scanning, "_PORTION", 2)
    monkeypatch.setattr(scanning, "_KEEP_EVERY", 1)
    cache, read = tmp_path / "kept" / "headers.parquet", []
    real = scanning._row

    def counted(path):
        if len(read) == 4:
            raise KeyboardInterrupt
        read.append(path)
        return real(path)

    monkeypatch.setattr(scanning, "_row", counted)
    with pytest.raises(KeyboardInterrupt):
        scan(files, cache=cache)
    assert pl.read_parquet(cache).height == 4
    monkeypatch.setattr(scanning, "_row", lambda path: read.append(path) or real(path))
    told = []
    whole = scan(files, cache=cache, progress=lambda a, b: told.append((a, b)))
    assert told[0] == (4, 9)
    assert whole.equals(scan(files))
    files[5].write_text("changed")
    read.clear()
    scan(files, cache=cache)
    assert read == [str(files[5])]
