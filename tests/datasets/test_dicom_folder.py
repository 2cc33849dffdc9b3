import datetime
import os
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from overread import datasets
from overread.cohort import CohortConfig, build
from overread.cohort.patient_split import split
from overread.errors import InputError
from overread.images.recipe.pixel_recipe import Recipe

pytestmark = pytest.mark.slow

WIDE = {"form": "wide", "columns": ["Effusion"]}


@pytest.fixture
def root(tmp_path, dicom_file):
    folder = tmp_path / "pacs"
    for i, (patient, day) in enumerate([("007", "20200131"), ("007", "20200305"), ("012", "20200131")]):
        values = np.arange(64, dtype=np.uint8).reshape(8, 8) + 40 * i
        dicom_file(
            folder / f"{patient} ü" / f"{i}" / "IM000",
            values,
            PatientID=patient,
            StudyDate=day,
            AccessionNumber=f"A{i}",
            StudyInstanceUID=f"1.2.{i}",
            SOPInstanceUID=f"1.2.{i}.1",
            ViewPosition="PA",
            PatientSex="F",
            PatientAge="050Y",
            Manufacturer="SIEMENS",
            PixelSpacing=[0.2, 0.2],
        )
    dicom_file(folder / "ct" / "1.dcm", PatientID="012", Modality="CT", SOPInstanceUID="1.2.9.1")
    (folder / "readme.txt").write_text("hello")
    (folder / "loop").symlink_to(folder)
    return folder


def load(root, **options):
    """The source; the labels of the tests lie beside the root, not in it."""
    return datasets.load("dicom_folder", root, {"site": "north", "workers": 1, **options}, allow_outside=True)


def test_labels_that_lie_elsewhere_are_refused_unless_allowed(tmp_path):
    (tmp_path / "pacs").mkdir()
    for labels in (str(tmp_path / "labels.csv"), "../labels.csv", "/etc/passwd"):
        with pytest.raises(InputError, match=r"tables below .*paths that lead out of it .*--allow-outside"):
            datasets.load("dicom_folder", tmp_path / "pacs", {"site": "north", "labels": labels})


def test_headers_become_the_table_of_images(root):
    source = load(root)
    images = source.images.sort("image_id")
    assert images["image_id"].to_list() == ["1.2.0.1", "1.2.1.1", "1.2.2.1"]
    assert images["case_id"].to_list() == ["1.2.0", "1.2.1", "1.2.2"]
    assert images["patient_id"].to_list() == ["007", "007", "012"]
    assert images["path"][0] == "007 ü/0/IM000"
    assert images["manufacturer"].unique().to_list() == ["Siemens"]
    assert images.select("view", "sex", "age_years", "pixel_mm", "acquired", "secondary").row(0) == (
        "PA",
        "F",
        50.0,
        0.2,
        datetime.date(2020, 1, 31),
        False,
    )
    assert images.select("modality", "body_part").unique().rows() == [("DX", None)]
    assert images["source_note"].unique().to_list() == ["body part not stated"]
    assert source.notes == ()
    assert source.excluded.rows() == [
        ("ct/1.dcm", "north", "modality CT", None, False),
        ("readme.txt", "north", "no DICOM file (unknown data)", None, False),
    ]


def test_headers_are_kept_where_the_caller_says_and_never_with_the_data(root, tmp_path):
    before = sorted(root.rglob("*"))
    cache = tmp_path / "out" / ".headers.parquet"
    options = {"site": "north", "workers": 1}
    source = datasets.load("dicom_folder", root, options, cache=cache)
    assert cache.is_file()
    assert sorted(root.rglob("*")) == before
    assert datasets.load("dicom_folder", root, options, cache=cache).images.equals(source.images)
    cache.write_bytes(b"PAR1 damaged")
    assert datasets.load("dicom_folder", root, options, cache=cache).images.equals(source.images)
    with pytest.raises(InputError, match="one of the options"):
        load(root, cache="x")


@pytest.mark.parametrize("name", [".overread-headers.parquet", ".headers.parquet", "headers.parquet"])
def test_what_a_supplier_states_of_headers_is_not_believed(root, tmp_path, name):
    """A forged list in the data changed patient, view and age, and hid files that contradict each other."""
    honest = load(root).images
    cache = tmp_path / "own.parquet"
    datasets.load("dicom_folder", root, {"site": "north", "workers": 1}, cache=cache)
    forged = pl.read_parquet(cache).with_columns(
        patient_id=pl.lit("999"), view=pl.lit("LATERAL"), age_years=pl.lit(20.0)
    )
    forged.write_parquet(root / name)
    assert load(root).images.equals(honest)
    again = datasets.load("dicom_folder", root, {"site": "north", "workers": 1}, cache=tmp_path / "new.parquet")
    assert again.images.equals(honest)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "accession,Effusion\nA0,1\nA2,0\nA9,1\n"),
        ({"columns": {"accession": "AccNo"}}, "AccNo,Effusion\nA0,1\n A2 ,0\nA9,1\n"),
        ({"key": "image"}, "image,Effusion\n1.2.0.1,1\n1.2.2.1,0\n9,1\n"),
        ({"key": "study", "columns": {"study": "UID"}}, "UID,Effusion\n1.2.0,1\n1.2.2,0\n9,1\n"),
        ({"key": "patient+date"}, "patient_id,date,Effusion\n007,31.01.2020,1\n012,2020-01-31,0\n012,20200201,0\n"),
        (
            {"key": "patient+date", "columns": {"patient_id": "MRN", "date": "Exam"}},
            "MRN,Exam,Effusion\n007,1/31/2020,1\n012,1/31/2020,0\n012,2/1/2020,0\n",
        ),
    ],
)
def test_labels_find_their_images_by_every_key(root, tmp_path, options, text):
    (tmp_path / "labels.csv").write_text(text)
    source = load(root, labels=str(tmp_path / "labels.csv"), form=WIDE, **options)
    assert source.labels.with_columns(pl.col("state").cast(pl.String)).sort("case_id").rows() == [
        ("1.2.0", "pleural_effusion", "hospital", "present"),
        ("1.2.2", "pleural_effusion", "hospital", "absent"),
    ]
    assert source.notes == ("1 rows of labels.csv find no image", "1 studies have no row in labels.csv")


@pytest.mark.parametrize(
    ("options", "text", "message"),
    [
        ({}, "Accession,Effusion\nA0,1\n", r"a column 'accession' for the key 'accession'; found none."),
        (
            {"key": "patient"},
            "patient_id,Effusion\n7,1\n12,0\n",
            r"rows whose patient is that of an image \('0.*found none \('7', '12'\). "
            r"2 of 2 differ from one there only in .*leading zeros.* \('12' and '012'; '7' and '007'\)",
        ),
        ({"key": "acession"}, "accession,Effusion\n", r"one of accession, .*found 'acession'."),
        (
            {"key": "patient+date"},
            "patient_id,date,Effusion\n007,3/4/2020,1\n",
            r"1 dates whose order of day and month is ambiguous \(3/4/2020\). Write them as 2017-01-31",
        ),
        ({"key": "patient+date"}, "patient_id,date,Effusion\n007,soon,1\n", r"such as .*1 others \(soon\)"),
        ({}, "accession,Effusion\nA0,1\nA0,0\n", "one state per case and finding; found 2 rows that contradict"),
        ({}, "accession,Effusion\nA0,yes\n", r"label values '1', .*found 1 others \(1.2.0, pleural_effusion: 'yes'\)"),
    ],
)
def test_labels_that_cannot_be_joined_are_said(root, tmp_path, options, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        load(root, labels=str(tmp_path / "labels.csv"), form=WIDE, **options)


@pytest.mark.parametrize("share", [0.99, 0.9, 0.7])
@pytest.mark.parametrize("name", ["0.dcm", "zz.dcm"])
def test_a_cut_copy_does_not_cost_the_whole_file(root, name, share):
    """A transfer that broke off and was repeated leaves both; the whole one is read wherever the other one lies."""
    whole = root / "007 ü" / "0" / "IM000"
    data = whole.read_bytes()
    expected = load(root)
    (root / name).write_bytes(data[: int(share * len(data))])
    shutil.copy(root / name, root / f"again-{name}")
    shutil.copy(whole, root / "second whole.dcm")
    source = load(root)
    assert source.images.drop("path").equals(expected.images.drop("path"))
    kept = "007 ü/0/IM000"
    cut = ("north", "a copy of another file that was cut short", f"the file that is kept: {kept}", False)
    assert source.excluded.filter(pl.col("path").is_in([name, f"again-{name}"])).drop("path").rows() == [cut, cut]
    assert source.images["path"].to_list() == expected.images["path"].to_list()


def test_a_shorter_file_of_other_content_is_a_contradiction_still(root):
    data = bytearray((root / "007 ü" / "0" / "IM000").read_bytes()[:-8])
    data[-1] ^= 1
    (root / "short.dcm").write_bytes(data)
    reasons = dict(load(root).excluded.select("path", "reason").rows())
    assert reasons["short.dcm"] == reasons["007 ü/0/IM000"] == "its SOP instance UID is in files of different content"


def test_copies_are_one_and_contradictions_are_left_out_and_listed(root, dicom_file):
    first = root / "007 ü" / "0" / "IM000"
    shutil.copy(first, root / "copy.dcm")
    source = load(root)
    assert source.images.height == 3
    assert source.excluded.filter(path="copy.dcm").row(0) == (
        "copy.dcm",
        "north",
        "a copy of another file",
        "the file that is kept: 007 ü/0/IM000",
        False,
    )
    dicom_file(root / "other.dcm", np.full((8, 8), 9, np.uint8), PatientID="099", SOPInstanceUID="1.2.0.1")
    dicom_file(
        root / "changed.dcm",
        np.full((8, 8), 9, np.uint8),
        PatientID="007",
        SOPInstanceUID="1.2.1.1",
        StudyInstanceUID="1.2.1",
    )
    source = load(root)
    assert source.images["image_id"].to_list() == ["1.2.2.1"]
    listed = source.excluded.filter("unreadable")
    assert dict(listed.select("path", "reason").rows()) == {
        "007 ü/0/IM000": "its SOP instance UID is in files of two patients",
        "copy.dcm": "its SOP instance UID is in files of two patients",
        "other.dcm": "its SOP instance UID is in files of two patients",
        "007 ü/1/IM000": "its SOP instance UID is in files of different content",
        "changed.dcm": "its SOP instance UID is in files of different content",
    }
    assert listed.filter(path="changed.dcm")["detail"].item() == "the other file: 007 ü/1/IM000"


def test_a_study_of_two_patients_is_left_out(root, dicom_file):
    dicom_file(root / "b.dcm", PatientID="099", SOPInstanceUID="1.9", StudyInstanceUID="1.2.0")
    source = load(root)
    assert sorted(source.images["image_id"]) == ["1.2.1.1", "1.2.2.1"]
    listed = source.excluded.filter("unreadable").select("path", "reason", "detail").rows()
    assert listed == [
        ("007 ü/0/IM000", "its study has images of two patients", "study 1.2.0"),
        ("b.dcm", "its study has images of two patients", "study 1.2.0"),
    ]


CAPTURE, CT, CR = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("7", "2", "1"))


@pytest.mark.parametrize(
    ("tags", "modality", "reason"),
    [
        ({"Modality": "CR", "SOPClassUID": CR}, "CR", None),
        ({"Modality": "RG"}, "RG", None),
        ({"Modality": "DR"}, "DX", None),
        ({"Modality": "CR", "SOPClassUID": CAPTURE, "ConversionType": "WSD"}, "CR", None),
        ({"Modality": "DX", "SOPClassUID": CAPTURE + ".2", "ConversionType": "DF"}, "DX", None),
        ({"Modality": ""}, None, None),
        ({"Modality": "CT", "SOPClassUID": CAPTURE, "ConversionType": "WSD"}, None, "modality CT, secondary capture"),
        ({"Modality": "MR", "SOPClassUID": CAPTURE}, None, "modality MR, secondary capture"),
        ({"Modality": "nm ", "SOPClassUID": CAPTURE}, None, "modality NM, secondary capture"),
        ({"Modality": "MG"}, None, "modality MG"),
        ({"Modality": "OT", "SOPClassUID": CAPTURE}, None, "modality OT, secondary capture"),
        ({"Modality": "CR", "SOPClassUID": CT}, None, "SOP class CT Image Storage"),
        ({"Modality": "", "SOPClassUID": CT}, None, "SOP class CT Image Storage"),
        (
            {"Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11", "Rows": None, "Columns": None},
            None,
            "no image (Basic Text SR Storage)",
        ),
        ({"Modality": "CT", "PatientID": ""}, None, "modality CT"),
    ],
)
def test_which_objects_are_radiographs(root, dicom_file, tags, modality, reason):
    path = dicom_file(root / "x.dcm", **{"PatientID": "5", "SOPInstanceUID": "1.5"} | tags)
    source = load(root)
    read = source.images.filter(image_id="1.5")
    if reason is None:
        assert read["modality"].to_list() == [modality]
        assert ("modality not stated" in read["source_note"].item()) == (modality is None)
    else:
        assert not read.height
        assert source.excluded.filter(path=path.name).select("reason", "unreadable").rows() == [(reason, False)]


def test_other_modalities_are_read_if_the_options_name_them(root, dicom_file):
    dicom_file(root / "film.dcm", PatientID="5", SOPInstanceUID="1.5", Modality="OT", SOPClassUID=CAPTURE)
    assert "1.5" in load(root, modalities=["CR", "DX", "OT"]).images["image_id"].to_list()


def test_labels_of_an_accession_number_of_two_patients_are_not_taken(root, dicom_file, tmp_path):
    dicom_file(root / "b.dcm", PatientID="099", SOPInstanceUID="1.9", StudyInstanceUID="1.8", AccessionNumber="A0")
    (tmp_path / "labels.csv").write_text("accession,Effusion\nA0,1\nA2,0\n")
    source = load(root, labels=str(tmp_path / "labels.csv"), form=WIDE)
    assert source.labels["case_id"].to_list() == ["1.2.2"]
    assert source.notes[:2] == (
        "1 rows of labels.csv find no image",
        "1 values of accession are those of several patients: no label is taken for them (A0)",
    )


def test_issuer_missing_in_some_files_is_one_patient(root, dicom_file):
    dicom_file(root / "b.dcm", PatientID="007", IssuerOfPatientID="B", SOPInstanceUID="1.9", StudyInstanceUID="1.8")
    source = load(root)
    assert sorted(set(source.images["patient_id"])) == ["007", "012"]
    assert (
        "2 files lack the issuer of the patient ID that other files with this number report: taken as one patient "
        "('007')" in "\n".join(map(str, source.notes))
    )


def test_two_issuers_may_number_alike(tmp_path, dicom_file):
    for number, issuer in enumerate(("A", "B", "B", "")):
        dicom_file(
            tmp_path / f"{number}.dcm",
            PatientID="7" if number < 3 else "8",
            IssuerOfPatientID=issuer,
            SOPInstanceUID=f"1.{number}",
            StudyInstanceUID=f"2.{number}",
        )
    assert load(tmp_path).images.sort("image_id")["patient_id"].to_list() == ["A:7", "B:7", "B:7", "8"]
    dicom_file(tmp_path / "4.dcm", PatientID="7", SOPInstanceUID="1.4", StudyInstanceUID="2.4")
    source = load(tmp_path)
    assert source.images["patient_id"].n_unique() == 3
    listed = source.excluded.filter("unreadable").select("path", "reason").rows()
    assert listed == [
        (
            "4.dcm",
            "a patient ID (0010,0020) of no certain patient: a word for missing, or an ambiguous issuer (0010,0021)",
        )
    ]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_missing_issuers_leave_thirty_patients_in_one_split_each(tmp_path, dicom_file, share):
    rng = np.random.default_rng(7)
    for number in range(60):
        issuer = {} if rng.random() < share else {"IssuerOfPatientID": "KH Nord"}
        dicom_file(
            tmp_path / f"{number}.dcm",
            PatientID=f"{number // 2:03d}",
            SOPInstanceUID=f"1.{number}",
            StudyInstanceUID=f"2.{number}",
            Modality="DX",
            **issuer,
        )
    source = load(tmp_path)
    assert source.images["patient_id"].n_unique() == 30
    made, _ = split(source.images, source.labels, CohortConfig(fractions=(0.5, 0.2, 0.3)))
    number = pl.col("patient_id").str.extract(r"(\d{3})$")
    assert made.group_by(number).agg(pl.col("split").n_unique())["split"].max() == 1


@pytest.mark.parametrize("word", ["NONE", "Anonymous", "N/A", "?"])
def test_a_word_for_a_missing_patient_is_no_patient(tmp_path, dicom_file, word):
    for number in range(3):
        dicom_file(tmp_path / f"{number}.dcm", PatientID=word, SOPInstanceUID=f"1.{number}")
    with pytest.raises(InputError, match=r"with a patient ID; found none in 3 files \(3: a patient ID"):
        load(tmp_path)


def test_what_is_no_folder_of_dicom_is_said(tmp_path, root, monkeypatch):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        InputError, match=r"radiographs \(modality CR, DX, RG\) with a patient ID; found an empty folder"
    ):
        load(tmp_path / "empty")
    with pytest.raises(InputError, match=r"found none in 1 files \(1: modality CT, such as 1.dcm\)"):
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


def test_odd_headers_are_noted(root, dicom_file):
    dicom_file(
        root / "odd.dcm",
        PatientID="5",
        PatientSex="2",
        PatientAge="411Y",
        Manufacturer="Acme",
        BurnedInAnnotation="YES",
        ConversionType="WSD",
        BodyPartExamined="Thorax pa",
    )
    odd = load(root).images.filter(pl.col("patient_id") == "5")
    for part in ("sex '2'", "age 411", "secondary capture", "text is burned in", "'Acme' is not in the table"):
        assert part in odd["source_note"].item()
    assert odd["body_part"].item() == "CHEST"


def test_files_that_cannot_be_used_are_listed_and_left_out(root, dicom_file, tmp_path):
    dicom_file(root / "nameless.dcm")
    dicom_file(root / "blank.dcm", PatientID="  ")
    (root / "torn.dcm").write_bytes((root / "nameless.dcm").read_bytes()[:140])
    (root / "IM0001").write_bytes(b"")
    (root / "locked.DCM").write_bytes(b"hello")
    source = load(root)
    assert dict(source.excluded.filter("unreadable").select("path", "reason").rows()) == {
        "nameless.dcm": "no patient ID (0010,0020)",
        "blank.dcm": "no patient ID (0010,0020)",
        "IM0001": "an empty file (0 bytes)",
        "locked.DCM": "named as DICOM, but its content is unknown data",
        "torn.dcm": "no SOP class, Modality, Rows or Columns: it may be cut off",
    }
    config = CohortConfig(recipe=Recipe(8), fractions=(1, 0, 0), max_unreadable=0.5)
    with pytest.raises(InputError) as caught:
        build(source, root, tmp_path / "cohort", config)
    message = str(caught.value)
    assert "images: expected at most 50 % of the images to be missing or unreadable; found 5 of 8 (62 %)" in message
    assert "2: no patient ID (0010,0020)" in message
    assert f"All of them are listed in {tmp_path / 'cohort' / 'refused.csv'}." in message
    listed = pl.read_csv(tmp_path / "cohort" / "refused.csv", infer_schema=False)
    assert listed.columns == ["site", "image_id", "path", "reason"]
    assert sorted(listed["path"]) == ["IM0001", "blank.dcm", "locked.DCM", "nameless.dcm", "torn.dcm"]
    cohort = build(source, root, tmp_path / "cohort", replace(config, max_unreadable=0.7))
    assert cohort.images.height == 3
    assert not (tmp_path / "cohort" / "refused.csv").exists()
    assert pl.read_csv(tmp_path / "cohort" / "unreadable.csv", infer_schema=False).equals(listed)


def test_a_share_of_the_source_takes_the_place_of_that_of_the_cohort(root, dicom_file, tmp_path):
    dicom_file(root / "nameless.dcm")
    config = CohortConfig(recipe=Recipe(8), fractions=(1, 0, 0), max_unreadable=0.5)
    strict = replace(load(root), name="north", max_unreadable=0.1)
    with pytest.raises(
        InputError, match=r"^2 problems\n  1. north: .*max_unreadable under \[sources.north\] \(now 0.1\)"
    ):
        build(strict, root, tmp_path / "cohort", config)
    lenient = replace(strict, max_unreadable=0.25)
    assert build(lenient, root, tmp_path / "cohort", replace(config, max_unreadable=0.0)).images.height == 3


def test_a_cohort_is_built_from_it_and_every_file_is_in_the_flow(root, tmp_path, dicom_file):
    for number, part in enumerate(["HAND", "LEG", "CHEST", "TÓRAX"]):
        dicom_file(
            root / f"part{number}", PatientID=f"x{number}", BodyPartExamined=part, SpecificCharacterSet="ISO_IR 192"
        )
    config = CohortConfig(recipe=Recipe(8), fractions=(1, 0, 0))
    cohort = build(load(root), root, tmp_path / "cohort", config)
    assert cohort.images.height == 5
    flow = cohort.flow.filter(
        pl.col("site") == "", pl.col("unit").is_in(["files", "images"]), pl.col("step") != "noted"
    )
    assert flow.select("step", "reason", "count").rows() == [
        ("in the sources", "", 9),
        ("usable", "modality CT", 1), ("usable", "no DICOM file (unknown data)", 1), ("usable", "", 7),
        ("read", "", 7), ("modality", "", 7),
        ("body part", "body part HAND", 1), ("body part", "body part LEG", 1), ("body part", "", 5),
        ("readable", "", 5),
    ]  # fmt: skip
    noted = cohort.flow.filter(step="noted", reason="body part not stated", site="")
    assert noted["count"].item() == 3
    assert build(load(root), root, tmp_path / "all", replace(config, body_parts=())).images.height == 7
