import datetime
import os
import shutil

import numpy as np
import polars as pl
import pytest

from overread import datasets
from overread.cohort import CohortConfig, build
from overread.cohort.split import split
from overread.errors import InputError
from overread.images.recipe import Recipe

WIDE = {"form": "wide", "columns": ["Effusion"]}


@pytest.fixture
def root(tmp_path, dicom_file):
    folder = tmp_path / "pacs"
    for i, (patient, day) in enumerate([("007", "20200131"), ("007", "20200305"), ("012", "20200131")]):
        values = np.arange(64, dtype=np.uint8).reshape(8, 8) + 40 * i
        dicom_file(folder / f"{patient} ü" / f"{i}" / "IM000", values, PatientID=patient, StudyDate=day,
                   AccessionNumber=f"A{i}", StudyInstanceUID=f"1.2.{i}", SOPInstanceUID=f"1.2.{i}.1",
                   ViewPosition="PA", PatientSex="F", PatientAge="050Y", Manufacturer="SIEMENS",
                   PixelSpacing=[0.2, 0.2])  # fmt: skip
    dicom_file(folder / "ct" / "1.dcm", PatientID="012", Modality="CT", SOPInstanceUID="1.2.9.1")
    (folder / "readme.txt").write_text("hello")
    (folder / "loop").symlink_to(folder)
    return folder


def load(root, **options):
    return datasets.load("dicom_folder", root, {"site": "north", "workers": 1, **options})


def test_headers_become_the_table_of_images(root):
    source = load(root)
    images = source.images.sort("image_id")
    assert images["image_id"].to_list() == ["1.2.0.1", "1.2.1.1", "1.2.2.1"]
    assert images["case_id"].to_list() == ["1.2.0", "1.2.1", "1.2.2"]
    assert images["patient_id"].to_list() == ["007", "007", "012"]
    assert images["path"][0] == "007 ü/0/IM000"
    assert images["manufacturer"].unique().to_list() == ["Siemens"]
    assert images.select("view", "sex", "age_years", "pixel_mm", "acquired", "secondary").row(0) == (
        "PA", "F", 50.0, 0.2, datetime.date(2020, 1, 31), False,
    )  # fmt: skip
    assert source.notes == (
        "1 files are no DICOM (unknown data)", "1 DICOM objects are no radiographs (modality CT)",
    )  # fmt: skip
    assert (root / ".overread-headers.parquet").is_file()
    assert load(root).images.equals(source.images)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "accession,Effusion\nA0,1\nA2,0\nA9,1\n"),
        ({"columns": {"accession": "AccNo"}}, "AccNo,Effusion\nA0,1\n A2 ,0\nA9,1\n"),
        ({"key": "image"}, "image,Effusion\n1.2.0.1,1\n1.2.2.1,0\n9,1\n"),
        ({"key": "study", "columns": {"study": "UID"}}, "UID,Effusion\n1.2.0,1\n1.2.2,0\n9,1\n"),
        ({"key": "patient+date"}, "patient_id,date,Effusion\n007,31.01.2020,1\n012,2020-01-31,0\n012,20200201,0\n"),
        ({"key": "patient+date", "columns": {"patient_id": "MRN", "date": "Exam"}},
         "MRN,Exam,Effusion\n007,1/31/2020,1\n012,1/31/2020,0\n012,2/1/2020,0\n"),
    ],
)  # fmt: skip
def test_labels_find_their_images_by_every_key(root, tmp_path, options, text):
    (tmp_path / "labels.csv").write_text(text)
    source = load(root, labels=str(tmp_path / "labels.csv"), form=WIDE, **options)
    assert source.labels.with_columns(pl.col("state").cast(pl.String)).sort("case_id").rows() == [
        ("1.2.0", "pleural_effusion", "hospital", "present"), ("1.2.2", "pleural_effusion", "hospital", "absent"),
    ]  # fmt: skip
    assert source.notes[2:] == ("1 rows of labels.csv find no image", "1 studies have no row in labels.csv")


@pytest.mark.parametrize(
    ("options", "text", "message"),
    [
        ({}, "Accession,Effusion\nA0,1\n", r"a column 'accession' for the key 'accession'; found none."),
        ({"key": "patient"}, "patient_id,Effusion\n7,1\n12,0\n",
         r"rows whose patient is that of an image \('0.*found none \('7', '12'\). "
         r"2 of 2 differ from one there only in .*leading zeros.* \('12' and '012'; '7' and '007'\)"),
        ({"key": "acession"}, "accession,Effusion\n", r"one of accession, .*found 'acession'."),
        ({"key": "patient+date"}, "patient_id,date,Effusion\n007,3/4/2020,1\n",
         r"1 dates of which day and month cannot be told \(3/4/2020\). Write them as 2017-01-31"),
        ({"key": "patient+date"}, "patient_id,date,Effusion\n007,soon,1\n", r"such as .*1 others \(soon\)"),
        ({}, "accession,Effusion\nA0,1\nA0,0\n", "one state per case and finding; found 2 rows that contradict"),
        ({}, "accession,Effusion\nA0,yes\n", r"label values '1', .*found 1 others \(1.2.0, pleural_effusion: 'yes'\)"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_joined_are_said(root, tmp_path, options, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        load(root, labels=str(tmp_path / "labels.csv"), form=WIDE, **options)


def test_copies_are_one_and_contradictions_are_named(root, dicom_file):
    first = root / "007 ü" / "0" / "IM000"
    shutil.copy(first, root / "copy.dcm")
    assert load(root).images.height == 3
    dicom_file(root / "other.dcm", np.full((8, 8), 9, np.uint8), PatientID="099", SOPInstanceUID="1.2.0.1")
    with pytest.raises(InputError) as caught:
        load(root)
    assert "every instance of one patient; found 1 instances of two (007 ü/0/IM000 = copy.dcm" in str(caught.value)
    assert "one file per SOP instance UID; found 1 instances in files that differ" in str(caught.value)


def test_issuer_missing_in_some_files_is_one_patient(root, dicom_file):
    dicom_file(root / "b.dcm", PatientID="007", IssuerOfPatientID="B", SOPInstanceUID="1.9", StudyInstanceUID="1.8")
    source = load(root)
    assert sorted(set(source.images["patient_id"])) == ["007", "012"]
    assert "2 files lack the issuer of the patient ID that other files with this number report: taken as one patient " \
           "('007')" in "\n".join(map(str, source.notes))  # fmt: skip


def test_two_issuers_may_number_alike(tmp_path, dicom_file):
    for number, issuer in enumerate(("A", "B", "B", "")):
        dicom_file(tmp_path / f"{number}.dcm", PatientID="7" if number < 3 else "8", IssuerOfPatientID=issuer,
                   SOPInstanceUID=f"1.{number}", StudyInstanceUID=f"2.{number}")  # fmt: skip
    assert load(tmp_path).images.sort("image_id")["patient_id"].to_list() == ["A:7", "B:7", "B:7", "8"]
    dicom_file(tmp_path / "4.dcm", PatientID="7", SOPInstanceUID="1.4", StudyInstanceUID="2.4")
    with pytest.raises(InputError, match=r"a number that several issuers gave; found 1 files without \('4.dcm'\)"):
        load(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_missing_issuers_leave_thirty_patients_in_one_split_each(tmp_path, dicom_file, share):
    rng = np.random.default_rng(7)
    for number in range(60):
        issuer = {} if rng.random() < share else {"IssuerOfPatientID": "KH Nord"}
        dicom_file(tmp_path / f"{number}.dcm", PatientID=f"{number // 2:03d}", SOPInstanceUID=f"1.{number}",
                   StudyInstanceUID=f"2.{number}", Modality="DX", **issuer)  # fmt: skip
    source = load(tmp_path)
    assert source.images["patient_id"].n_unique() == 30
    made, _ = split(source.images, source.labels, CohortConfig(fractions=(0.5, 0.2, 0.3)))
    number = pl.col("patient_id").str.extract(r"(\d{3})$")
    assert made.group_by(number).agg(pl.col("split").n_unique())["split"].max() == 1


@pytest.mark.parametrize("word", ["NONE", "Anonymous", "N/A", "?"])
def test_a_word_for_a_missing_patient_is_no_patient(tmp_path, dicom_file, word):
    for number in range(3):
        dicom_file(tmp_path / f"{number}.dcm", PatientID=word, SOPInstanceUID=f"1.{number}")
    with pytest.raises(InputError, match="a patient ID and a SOP instance UID in every file; found 3 files without"):
        load(tmp_path)


def test_what_is_no_folder_of_dicom_is_said(tmp_path, root, monkeypatch):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"DICOM radiographs \(CR, DX\); found none: an empty folder"):
        load(tmp_path / "empty")
    with pytest.raises(InputError, match=r"none: 1 DICOM objects are no radiographs \(modality CT\)"):
        load(root / "ct")
    with pytest.raises(InputError, match="a folder; found nothing there"):
        load(tmp_path / "gone")
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match=r"a folder; found an archive. Unpack it"):
        load(tmp_path / "a.zip")
    real = os.scandir
    closed = str(root / "ct")

    def scandir(place):
        if str(place) == closed:
            raise PermissionError(13, "no")
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match=r"folders that may be read; found 1 that may not \(ct\)"):
        load(root)


def test_odd_headers_are_noted_and_nameless_files_refused(root, dicom_file):
    dicom_file(root / "odd.dcm", PatientID="5", PatientSex="2", PatientAge="411Y", Manufacturer="Acme",
               BurnedInAnnotation="YES", ConversionType="WSD", Modality="OT")  # fmt: skip
    note = load(root).images.filter(pl.col("patient_id") == "5")["source_note"].item()
    for part in ("sex '2'", "age 411", "secondary capture", "text is burned in", "'Acme' is not in the table"):
        assert part in note
    dicom_file(root / "nameless.dcm", Modality="DX")
    with pytest.raises(InputError, match=r"in every file; found 1 files without \('nameless.dcm'\)"):
        load(root)


def test_a_cohort_is_built_from_it(root, tmp_path):
    cohort = build(load(root), root, tmp_path / "cohort", CohortConfig(recipe=Recipe(8), fractions=(1, 0, 0)))
    assert cohort.images.height == 3
    assert sorted(cohort.flow.filter(unit="sources")["reason"]) == [
        "1 DICOM objects are no radiographs (modality CT)", "1 files are no DICOM (unknown data)",
    ]  # fmt: skip
