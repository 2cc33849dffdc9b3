import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pydicom
import pytest
from dicomanonymizer import anonymize_dataset
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from overread import runs
from overread.errors import InputError
from overread.images.deidentification import Deidentification, Key, deidentify, folder_run, new_key, read_key
from overread.images.deidentification import burned_in_text as texts
from overread.images.deidentification.cleaning import cleaned
from overread.images.deidentification.pixels import _known as known_words
from overread.images.deidentification.profile import action, table
from overread.images.deidentification.search.removed_values import spellings
from overread.images.deidentification.search.residual_check import residual
from overread.images.dicom.radiographs import read_dicom, stored_values

pytestmark = pytest.mark.slow

KEY = Key(bytes(range(32)))
WHO = {
    "PatientID": "MRN00871",
    "PatientName": "Meierhofer^Hannelore^^Dr",
    "PatientBirthDate": "19280131",
    "PatientSex": "F",
    "StudyDate": "20200315",
    "StudyTime": "143000",
    "AccessionNumber": "ACC4711",
    "StudyID": "ST99",
    "ReferringPhysicianName": "Oduya^Chidi",
    "InstitutionName": "Saint Elsewhere",
    "InstitutionAddress": "Main 12",
    "StudyInstanceUID": "1.2.99.1",
    "SeriesInstanceUID": "1.2.99.2",
    "SOPInstanceUID": "1.2.99.3",
    "Manufacturer": "SIEMENS",
    "ManufacturerModelName": "Ysio",
    "StudyDescription": "Chest PA, Fr. Meierhofer",
    "PatientAddress": "Elm Street 5",
    "PatientWeight": 71,
    "OperatorsName": "Smithson",
    "StationName": "RAD07",
}
needs_tesseract = pytest.mark.skipif(texts.tesseract() is None, reason="needs Tesseract: apt-get install tesseract-ocr")


def noise(rows=240, columns=300, seed=0):
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.normal(1500, 350, (6, 8)).astype(np.float32))
    smooth = np.asarray(coarse.resize((columns, rows), Image.Resampling.BICUBIC))
    return np.clip(smooth + rng.normal(0, 10, (rows, columns)), 100, 3500).astype(np.uint16)


def lettered(text, seed=0):
    image = Image.fromarray(np.zeros((240, 300), np.uint8))
    ImageDraw.Draw(image).text((12, 200), text, fill=255, font=ImageFont.load_default(size=22))
    values = noise(seed=seed)
    values[np.asarray(image) > 128] = 4095
    return values


@pytest.fixture
def folder(tmp_path, write_dicom):
    """A hospital's folder: two patients, a file of words, a broken file."""
    source = tmp_path / "Meierhofer"
    source.mkdir()

    def write(name, values=None, **tags):
        path = write_dicom(noise() if values is None else values, "x.dcm", **{**WHO, **tags})
        return Path(shutil.move(path, source / name))

    write("Meierhofer_1.dcm")
    write("2.dcm", SOPInstanceUID="1.2.99.4", StudyDate="20200405", StudyInstanceUID="1.2.99.7")
    write("3", SOPInstanceUID="1.2.99.5", PatientID="MRN2", PatientName="Roe^Ann", StudyInstanceUID="1.2.99.8")
    (source / "note.txt").write_text("hello")
    (source / "cut.dcm").write_bytes((source / "3").read_bytes()[:2000])
    return source, write


def clean_files(out):
    return sorted((out / "images").rglob("*.dcm"))


def test_the_table_is_the_standards_and_its_options_act():
    basic = Deidentification(device=False, patient=False, dates="remove", descriptors=False)
    assert len(table()) == 656
    fields = {name: getattr(dicomfields_2026c, f"{name}_TAGS") for name in ("D", "Z", "X", "U")}
    whole = {f"{t[0]:04x},{t[1]:04x}": name for name, tags in fields.items() for t in tags if len(t) == 2}
    assert {t: table()[t]["basic"] for t in whole} == whole
    assert action(0x0008, 0x0020, basic) == "Z"  # the date of the study is emptied
    assert action(0x0008, 0x0020, Deidentification()) == "C"  # or moved
    assert action(0x0010, 0x1010, Deidentification()) == "K"
    assert action(0x0008, 0x1010, basic) == "D"
    assert action(0x6000, 0x3000, basic) == action(0x5002, 0x0005, basic) == action(0x0011, 0x0010, basic) == "X"
    assert action(0x0028, 0x0010, basic) == "K"


def test_pseudonyms_hang_on_the_key_and_on_nothing_else(tmp_path):
    assert KEY.patient("a") == Key(bytes(range(32))).patient("a") != KEY.patient("b")
    assert KEY.patient("a") != Key(bytes(range(1, 33))).patient("a")
    assert 30 <= KEY.days("a") <= 3650
    assert str(KEY) == repr(KEY) == f"Key({KEY.fingerprint})"  # never the secret
    path = new_key(tmp_path / "key")
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path) == read_key(path)
    with pytest.raises(InputError, match="A key is never overwritten"):
        new_key(path)
    with pytest.raises(InputError, match="at least 32 bytes; found 3"):
        Key(b"abc")
    with pytest.raises(InputError, match="a file that holds the key; found no file there"):
        read_key(tmp_path / "gone")


def dataset(**tags):
    made = Dataset()
    made.SOPClassUID, made.Modality, made.Rows = "1.2.840.10008.5.1.4.1.1.1.1", "DX", 8
    for name, value in {**WHO, **tags}.items():
        setattr(made, name, value)
    return made


def test_what_is_kept_moved_and_taken_out():
    made, state = cleaned(dataset(), KEY, Deidentification())
    assert made.PatientID == made.PatientName == KEY.patient("MRN00871")
    assert (made.PatientSex, made.PatientAge, made.PatientWeight) == ("F", "090Y", 71)  # 92 years become 90
    assert (made.Manufacturer, made.ManufacturerModelName, made.StationName) == ("SIEMENS", "Ysio", KEY.word("RAD07"))
    assert made.StudyTime == "143000"
    moved = KEY.moved(pydicom.valuerep.DA("20200315"), "MRN00871")
    assert made.StudyDate == f"{moved:%Y%m%d}"
    assert made.StudyDescription == "CHEST PA"
    assert made.StudyInstanceUID == KEY.uid("1.2.99.1")
    for gone in ("PatientAddress", "InstitutionAddress", "ReferringPhysicianName"):
        assert not made.get(gone)
    assert made.AccessionNumber == KEY.word("ACC4711")
    assert made.PatientIdentityRemoved == "YES"
    codes = [c.CodeValue for c in made.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113101", "113108", "113107", "113105"]
    assert residual(made, state.removed) == []
    basic = Deidentification(device=False, patient=False, dates="remove", descriptors=False)
    bare, _ = cleaned(dataset(), KEY, basic)
    assert not bare.StudyDate
    assert "PatientAge" not in bare
    assert bare.StationName != "RAD07"
    assert "StudyDescription" not in bare


def nested(depth, **tags):
    inner = Dataset()
    for name, value in tags.items():
        setattr(inner, name, value)
    for _ in range(depth):
        outer = Dataset()
        outer.CodeMeaning = "x"
        outer.ConceptNameCodeSequence = Sequence([inner])
        inner = outer
    return inner


def test_nested_names_go_where_another_tool_leaves_them():
    """dicom-anonymizer 2.1 goes by the same table but not into sequences that the table does not name."""

    def make():
        made = dataset()
        made.ProcedureCodeSequence = Sequence([nested(2, PatientName="Meierhofer^Hannelore", PatientID="MRN00871")])
        return made

    theirs = make()
    anonymize_dataset(theirs)
    assert "Meierhofer" in str(theirs)
    ours, state = cleaned(make(), KEY, Deidentification())
    assert "Meierhofer" not in str(ours)
    assert residual(ours, state.removed) == []


def test_every_top_level_attribute_that_another_tool_empties_or_removes_is_gone_here_too():
    basic = Deidentification(device=False, patient=False, dates="remove", descriptors=False)
    theirs, ours = dataset(), cleaned(dataset(), KEY, basic)[0]
    anonymize_dataset(theirs)
    told = dataset()
    for element in told:
        left = theirs.get(element.tag)
        if left is None or left.value != element.value:
            mine = ours.get(element.tag)
            assert mine is None or mine.value != element.value, element


names = st.text(alphabet=st.characters(min_codepoint=65, max_codepoint=90), min_size=5, max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    names,
    st.integers(0, 3),
    st.sampled_from(
        [
            "PatientComments",
            "StudyDescription",
            "PerformingPhysicianName",
            "RequestedProcedureDescription",
            "OtherPatientNames",
        ]
    ),
)
def test_a_name_put_anywhere_is_not_found_again(name, depth, tag):
    made = dataset(PatientName=f"QQ{name}^Jane")
    made.RequestAttributesSequence = Sequence([nested(depth, **{tag: f"see QQ{name}"})])
    made.add_new(0x00091010, "LO", f"private QQ{name}")
    made.add_new(0x00191001, "UN", f"QQ{name}".encode())
    ours, state = cleaned(made, KEY, Deidentification())
    assert f"qq{name}".casefold() not in str(ours).casefold()
    assert residual(ours, state.removed) == []


def test_the_residual_check_sees_what_was_left_anywhere():
    made, state = cleaned(dataset(), KEY, Deidentification())
    assert residual(made, state.removed, place="clean/Meierhofer.dcm") == ["file name"]
    made.ContentLabel = "SEEN MEIERHOFER"
    made.ReferencedStudySequence = Sequence([nested(1, ReferencedSOPInstanceUID="1.2.99.1")])
    made.ImageComments = "born 31.01.1928"
    made.add_new(0x00091010, "OB", b"acc4711")
    found = residual(made, state.removed)
    assert found == ["0008,1110/0040,a043/0008,1155", "0009,1010", "0020,4000", "0070,0080"]
    assert "19280131" in spellings("19280131")
    assert "1928-01-31" in spellings("1928.01.31")


@needs_tesseract
def test_a_folder_becomes_clean_files_and_lists(folder, tmp_path):
    source, _ = folder
    told = []
    made = deidentify(
        source, tmp_path / "out", KEY, mapping=tmp_path / "map.csv", progress=lambda a, b: told.append((a, b))
    )
    assert (made.clean, made.quarantined, made.other) == (3, 1, 1)
    assert told[-1] == (5, 5)
    files = clean_files(tmp_path / "out")
    assert {f.relative_to(tmp_path / "out" / "images").parts[0] for f in files} == {
        KEY.patient("MRN00871"),
        KEY.patient("MRN2"),
    }
    first = read_dicom(files[0])
    assert first.header.burned_in == "NO"
    original = stored_values(source / "Meierhofer_1.dcm")
    assert any(np.array_equal(stored_values(f), original) for f in files)
    everything = b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())
    for word in (b"Meierhofer", b"MRN00871", b"ACC4711", b"1.2.99.1", b"Oduya", b"19280131", KEY.secret):
        assert word not in everything, word
    kept = pl.read_csv(made.quarantine)
    assert [Path(p).name for p in kept["source"]] == ["cut.dcm", "note.txt"]
    assert made.quarantine.parent == tmp_path
    audit = pl.read_parquet(tmp_path / "out" / "audit.parquet")
    assert set(audit.filter(tag="0010,0010")["action"]) == {"replaced"}
    assert audit["path"].n_unique() == 3
    assert pl.read_csv(tmp_path / "map.csv").rows() == [
        ("patient", "MRN00871", KEY.patient("MRN00871")),
        ("patient", "MRN2", KEY.patient("MRN2")),
        ("accession", "ACC4711", KEY.word("ACC4711")),
    ]
    assert not (tmp_path / "out-work").exists()


def kept_in(out):
    return sorted(p.relative_to(out / "images").as_posix() for p in (out / "images").rglob("*") if p.is_file())


@needs_tesseract
def test_images_holds_what_this_run_found_clean_and_nothing_else(folder, tmp_path, monkeypatch):
    source, _ = folder
    deidentify(source, tmp_path / "out", KEY)
    before = {p: p.read_bytes() for p in source.rglob("*")}
    first = kept_in(tmp_path / "out")
    (source / "2.dcm").unlink()  # a file that the second run does not find
    old = tmp_path / "out" / "images" / first[0]
    old.write_bytes(b"of an earlier version")
    stray = tmp_path / "out" / "images" / KEY.patient("x") / "2.25.1" / "2.25.2.dcm"
    stray.parent.mkdir(parents=True)
    stray.touch()
    made = deidentify(source, tmp_path / "out", KEY)
    audit = pl.read_csv(tmp_path / "out" / "audit.csv")
    assert made.clean == 2
    assert kept_in(tmp_path / "out") == sorted(audit["path"].unique()) == [p for p in first if p in set(audit["path"])]
    assert not stray.parent.parent.exists()
    assert {p: p.read_bytes() for p in source.rglob("*")} == {p: d for p, d in before.items() if p.name != "2.dcm"}
    monkeypatch.setattr("overread.images.deidentification.pixels.tesseract", lambda: None)
    assert deidentify(source, tmp_path / "out", KEY).clean == 0  # rules that became stricter
    assert kept_in(tmp_path / "out") == []


@needs_tesseract
def test_a_folder_of_another_run_is_refused_and_stays(folder, tmp_path):
    source, _ = folder
    shutil.copytree(source, tmp_path / "other")
    deidentify(source, tmp_path / "out", KEY)
    held = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    for changed, place, key, options in [
        ("device", source, KEY, Deidentification(device=False)),
        ("source", tmp_path / "other", KEY, None),
        ("key, source", source, Key(bytes(range(1, 33))), None),
    ]:
        with pytest.raises(InputError, match=f"found a run with another {changed}. Give a new folder"):
            deidentify(place, tmp_path / "out", key, options)
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == held


def test_images_of_others_are_never_removed(folder, tmp_path):
    source, _ = folder
    (tmp_path / "out" / "images").mkdir(parents=True)
    (tmp_path / "out" / "images" / "original.dcm").write_bytes(b"x")
    with pytest.raises(InputError, match=r"files of an earlier run alone; found 1 others \(original.dcm\)"):
        deidentify(source, tmp_path / "out", KEY)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "images").symlink_to(source)
    with pytest.raises(InputError, match="a folder of an earlier run; found a link or a file"):
        deidentify(source, tmp_path / "linked", KEY)
    assert len(list(source.iterdir())) == 5


@needs_tesseract
def test_what_names_patients_is_read_by_its_owner_alone(folder, tmp_path):
    source, _ = folder
    made = deidentify(source, tmp_path / "out", KEY, mapping=tmp_path / "map.csv")
    for path in (made.quarantine, tmp_path / "map.csv"):
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert (tmp_path / "out" / "audit.csv").stat().st_mode & 0o777 == 0o644


@needs_tesseract
def test_several_values_of_a_number_are_joined_as_dicom_does(folder, tmp_path):
    source, write = folder
    write(
        "several.dcm",
        PatientID=["AB1", "x"],
        IssuerOfPatientID=["hosp", "x"],
        AccessionNumber=["C1", "C2"],
        SOPInstanceUID="1.2.99.9",
    )
    deidentify(source, tmp_path / "out", KEY, mapping=tmp_path / "map.csv")
    pairs = pl.read_csv(tmp_path / "map.csv")
    assert ("patient", "hosp\\x:AB1\\x", KEY.patient("hosp\\x:AB1\\x")) in pairs.rows()
    assert ("accession", "C1\\C2", KEY.word("C1\\C2")) in pairs.rows()


@needs_tesseract
def test_again_gives_the_same_bytes_and_its_own_output_is_refused(folder, tmp_path):
    source, _ = folder
    for name in ("one", "two"):
        deidentify(source, tmp_path / name, KEY, workers=2 if name == "two" else 1)
    one, two = ({f.name: f.read_bytes() for f in clean_files(tmp_path / n)} for n in ("one", "two"))
    assert one == two
    deidentify(source, tmp_path / "one", KEY)
    assert {f.name: f.read_bytes() for f in clean_files(tmp_path / "one")} == one
    again = deidentify(tmp_path / "one" / "images", tmp_path / "three", KEY)
    assert (again.clean, again.quarantined) == (0, 3)
    assert set(pl.read_csv(again.quarantine)["reason"]) == {"de-identified already"}


@needs_tesseract
@pytest.mark.parametrize("bits", ["plain", "compressed"])
def test_burned_in_text_is_blacked_out_or_its_file_kept_back(folder, tmp_path, bits):
    source, write = folder
    path = write("text.dcm", lettered("HANNELORE 4711822"), SOPInstanceUID="1.2.99.9", PatientID="MRN9")
    if bits == "compressed":
        held = pydicom.dcmread(path)
        held.compress(pydicom.uid.RLELossless)
        held.save_as(path)
    made = deidentify(source, tmp_path / "out", KEY)
    audit = pl.read_parquet(tmp_path / "out" / "audit.parquet").filter(action="text blacked out")
    assert audit.height == 1
    values = stored_values(tmp_path / "out" / "images" / audit["path"].item())
    assert values[190:].max() < 4095
    np.testing.assert_array_equal(values[:150], lettered("HANNELORE 4711822")[:150])
    assert made.clean == 4
    kept = deidentify(source, tmp_path / "kept", KEY, Deidentification(pixels="quarantine"))
    assert kept.clean == 3
    assert "1 lines of text are burned in" in pl.read_csv(kept.quarantine)["reason"].to_list()


@needs_tesseract
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_text_that_stands_on_its_side_is_found(quarters):
    picture = np.rot90((lettered("HANNELORE 4711822") >> 4).astype(np.uint8), quarters)
    boxes = texts.find_text(picture)
    assert len(boxes) == 1
    box = boxes[0]
    bright = np.argwhere(picture >= 250)
    inside = [(box.top <= r < box.bottom) and (box.left <= c < box.right) for r, c in bright]
    assert np.mean(inside) > 0.98


@needs_tesseract
def test_a_file_that_says_it_holds_text_does_not_pass_unread(folder, tmp_path):
    source, write = folder
    write("says.dcm", SOPInstanceUID="1.2.99.9", PatientID="MRN9", BurnedInAnnotation="YES")
    made = deidentify(source, tmp_path / "out", KEY)
    assert (
        "the file says that text is burned in, and none was found" in pl.read_csv(made.quarantine)["reason"].to_list()
    )


@needs_tesseract
def test_copies_are_counted_apart(folder, tmp_path):
    source, _ = folder
    shutil.copy(source / "2.dcm", source / "again.dcm")
    made = deidentify(source, tmp_path / "out", KEY)
    assert (made.clean, made.copies) == (3, 1)
    assert "the same as a file that is clean already" in pl.read_csv(made.quarantine)["reason"].to_list()
    audit = pl.read_parquet(tmp_path / "out" / "audit.parquet")
    assert audit.equals(audit.unique(maintain_order=True))


@needs_tesseract
def test_side_markers_stay(folder, tmp_path):
    source, write = folder
    write("marker.dcm", lettered("R  PA"), SOPInstanceUID="1.2.99.9", PatientID="MRN9")
    deidentify(source, tmp_path / "out", KEY)
    assert "text blacked out" not in pl.read_parquet(tmp_path / "out" / "audit.parquet")["action"].to_list()


@needs_tesseract
def test_a_short_name_counts_where_it_is_the_patients():
    picture = (lettered("LEE ANN") >> 4).astype(np.uint8)
    assert [b.text for b in texts.find_text(picture, frozenset({"lee"}))] != []


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("NG BO", True),
        ("Bo", True),
        ("bo ng", True),
        ("NG PA", False),
        ("PA", False),
        ("BO 7", False),
        ("", False),
        ("PA Lee", True),
    ],
)
def test_words_of_two_letters_of_the_name_count_where_they_are_the_line(line, counts):
    assert texts._tells(line, known_words(dataset(PatientName="Ng^Bo^Lee", PatientID="PA"))) is counts


@needs_tesseract
def test_a_name_of_two_letters_is_blacked_out(folder, tmp_path):
    source, write = folder
    write("short.dcm", lettered("NG BO"), SOPInstanceUID="1.2.99.9", PatientID="MRN9", PatientName="Ng^Bo")
    deidentify(source, tmp_path / "out", KEY)
    path = next((tmp_path / "out" / "images" / KEY.patient("MRN9")).rglob("*.dcm"))
    assert stored_values(path)[190:].max() < 4095


def test_without_tesseract_no_picture_passes(folder, tmp_path, monkeypatch):
    source, _ = folder
    monkeypatch.setattr("overread.images.deidentification.pixels.tesseract", lambda: None)
    made = deidentify(source, tmp_path / "out", KEY)
    assert (made.clean, made.quarantined) == (0, 4)
    reasons = pl.read_csv(made.quarantine).filter(pl.col("kind") == "quarantined")["reason"].to_list()
    assert reasons.count("the pixels could not be checked for text: Tesseract is not installed") == 4


@needs_tesseract
@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"PatientID": ""}, "no patient ID"),
        ({"NumberOfFrames": 3}, "could not be checked for text: 3 frames"),
        ({"StudyInstanceUID": ""}, "no StudyInstanceUID"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "an object of a class that is not cleaned"),
    ],
)
def test_files_that_cannot_be_cleaned_are_kept_back_and_why(folder, tmp_path, tags, reason):
    source, write = folder
    write("odd.dcm", **{"SOPInstanceUID": "1.2.99.9", **tags})
    made = deidentify(source, tmp_path / "out", KEY)
    rows = pl.read_csv(made.quarantine).filter(pl.col("source").str.ends_with("odd.dcm"))
    assert reason in rows["reason"].item()
    assert made.clean == 3


@needs_tesseract
def test_overlays_in_unused_bits_are_wiped(folder, tmp_path):
    source, write = folder
    drawn = noise(seed=3)
    drawn[50:60, 50:90] |= 1 << 15
    write("overlay.dcm", drawn, SOPInstanceUID="1.2.99.9", PatientID="MRN9")
    deidentify(source, tmp_path / "out", KEY)
    path = next((tmp_path / "out" / "images" / KEY.patient("MRN9")).rglob("*.dcm"))
    raw = np.frombuffer(pydicom.dcmread(path).PixelData, "<u2")
    assert raw.max() < 4096
    np.testing.assert_array_equal(raw.reshape(240, 300), noise(seed=3))


PROGRAM = """
import sys
from pathlib import Path
from overread.images.deidentification import Key, deidentify
if __name__ == "__main__":
    deidentify(sys.argv[1], sys.argv[2], Key(bytes(range(32))), progress=lambda a, b: print(a, flush=True))
"""


@needs_tesseract
def test_a_run_that_was_killed_leaves_only_clean_files_and_goes_on(folder, tmp_path):
    source, write = folder
    for i in range(20):
        write(f"n{i:02d}.dcm", noise(seed=i), SOPInstanceUID=f"1.2.98.{i}")
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py"), str(source), str(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while int(process.stdout.readline()) < 8:
        pass
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = {f.name: f.read_bytes() for f in clean_files(tmp_path / "killed")}
    whole = deidentify(source, tmp_path / "whole", KEY)
    wanted = {f.name: f.read_bytes() for f in clean_files(tmp_path / "whole")}
    assert left
    assert all(wanted[name] == data for name, data in left.items())
    done = []
    made = deidentify(source, tmp_path / "killed", KEY, progress=lambda a, b: done.append(a))
    assert done[0] >= 8
    assert made.clean == whole.clean == 23
    assert {f.name: f.read_bytes() for f in clean_files(tmp_path / "killed")} == wanted
    audits = [pl.read_parquet(tmp_path / n / "audit.parquet") for n in ("killed", "whole")]
    assert audits[0].equals(audits[1])


@needs_tesseract
def test_every_clean_file_is_recorded_and_one_that_was_altered_is_named(folder, tmp_path):
    source, write = folder
    for i in range(10):
        write(f"n{i:02d}.dcm", noise(seed=i), SOPInstanceUID=f"1.2.98.{i}")
    deidentify(source, tmp_path / "out", KEY)
    outputs = runs.check(tmp_path / "out")["outputs"]
    clean = {f.relative_to(tmp_path / "out").as_posix(): f for f in clean_files(tmp_path / "out")}
    assert set(outputs) == {"audit.parquet", "audit.csv", *clean}
    name, path = next(iter(clean.items()))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: changed"):
        runs.check(tmp_path / "out")


@needs_tesseract
def test_a_clean_file_that_was_altered_while_a_run_was_interrupted_is_refused(folder, tmp_path):
    source, write = folder
    for i in range(20):
        write(f"n{i:02d}.dcm", noise(seed=i), SOPInstanceUID=f"1.2.98.{i}")

    def stop(done, total):
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deidentify(source, tmp_path / "out", KEY, progress=stop)
    path = clean_files(tmp_path / "out")[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"{path.name}: changed\). Remove them to have them made again"):
        deidentify(source, tmp_path / "out", KEY)


def test_places_that_cannot_be_are_said(folder, tmp_path):
    source, _ = folder
    with pytest.raises(InputError, match="a folder apart from the source"):
        deidentify(source, source / "out", KEY)
    with pytest.raises(InputError, match="a folder apart from the source"):
        deidentify(source, source, KEY)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.doc").touch()
    with pytest.raises(InputError, match=r"other things in it \(thesis.doc\)"):
        deidentify(source, tmp_path / "used", KEY)
    (tmp_path / "out").mkdir()
    new_key(tmp_path / "out" / "key")
    os.rename(tmp_path / "out", tmp_path / "with_key")
    with pytest.raises(InputError, match="a key outside the folder that leaves the hospital"):
        deidentify(source, tmp_path / "with_key", tmp_path / "with_key" / "key")
    with pytest.raises(InputError, match="a mapping outside the folder that leaves the hospital"):
        deidentify(source, tmp_path / "out", KEY, mapping=tmp_path / "out" / "map.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="DICOM files; found none among 0 files"):
        deidentify(tmp_path / "empty", tmp_path / "out", KEY)
    with pytest.raises(InputError, match=r"shift or remove: expected|deidentification.dates: expected shift or remove"):
        Deidentification(dates="keep")


@needs_tesseract
def test_a_full_disk_is_said_and_nothing_half_is_left(folder, tmp_path, monkeypatch):
    source, _ = folder

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_run.tables, "write_frame", full)
    with pytest.raises(OSError, match="No space left"):
        deidentify(source, tmp_path / "out", KEY)
    for path in clean_files(tmp_path / "out"):
        assert pydicom.dcmread(path).PatientIdentityRemoved == "YES"
