"""What leaves by its kind: classes of objects, value representations, coded entries, look-up tables, patients."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from overread.images.deidentification import Deidentification, Key
from overread.images.deidentification.cleaning import Unclean, cleaned
from overread.images.deidentification.coded_entries import standard_code
from overread.images.deidentification.patients import AMBIGUOUS, patient_of, read_patients
from overread.images.deidentification.profile import action, image_classes, keeps_text
from overread.images.deidentification.single_file import deidentify_file
from overread.images.deidentification.values import BYTES, checked

KEY = Key(bytes(range(32)))
OPTIONS = Deidentification()
FREE_TEXT = ("SH", "LO", "ST", "LT", "UT", "UC", "UR", "AE", "PN")


def header(**tags):
    made = Dataset()
    made.SOPClassUID, made.Modality = "1.2.840.10008.5.1.4.1.1.1", "CR"
    made.PatientID, made.SOPInstanceUID, made.StudyInstanceUID = "MRN00871", "1.2.99.3", "1.2.99.1"
    for word, value in tags.items():
        setattr(made, word, value)
    return made


def attributes(*kinds):
    """Every attribute of the dictionary with one of these value representations, without groups below 0008."""
    held = ((t, vr) for t, (vr, *_) in DicomDictionary.items() if vr in kinds and t >= 0x00080000)
    return [(t, vr) for t, vr in held if t not in (0x7FE00010, 0x00080005)]


def outcome(tmp_path, path):
    (tmp_path / "aside").mkdir(exist_ok=True)
    return deidentify_file(path, (tmp_path / "clean", tmp_path / "aside"), KEY, OPTIONS)


def test_free_text_of_every_attribute_that_no_option_keeps_is_gone():
    made = header()
    for tag, vr in attributes(*FREE_TEXT, "CS"):
        made.add_new(tag, vr, "DAUGHTER GUDRUN" if vr != "UR" else "http://gudrun")
    clean, _ = cleaned(made, KEY, OPTIONS)
    left = {int(e.tag) for e in clean if "GUDRUN" in str(e.value).upper()}
    kept = {t for t in left if action(t >> 16, t & 0xFFFF, OPTIONS) == "K" and keeps_text(t >> 16, t & 0xFFFF, OPTIONS)}
    assert left == kept
    assert {keyword_for_tag(t) for t in left} == {"EthnicGroup"}  # device text: a pseudonym, or removed as a name
    bare, _ = cleaned(made, KEY, Deidentification(device=False, patient=False, dates="remove", descriptors=False))
    assert "GUDRUN" not in str(bare).upper()


def test_no_attribute_of_bytes_leaves():
    made = header()
    for tag, vr in attributes(*BYTES):
        made.add_new(tag, vr, b"GUDRUN  ")
    made.add_new(0x00091010, "UN", b"GUDRUN  ")
    clean, _ = cleaned(made, KEY, OPTIONS)
    assert [e for e in clean if e.VR in BYTES] == []


def test_every_uid_that_is_none_of_the_standards_is_new():
    made = header()
    for tag, vr in attributes("UI"):
        made.add_new(tag, vr, "1.2.3.4711822")
    clean, _ = cleaned(made, KEY, Deidentification(device=False))
    assert "4711822" not in str(clean)
    assert cleaned(header(), KEY, OPTIONS)[0].SOPClassUID == "1.2.840.10008.5.1.4.1.1.1"


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(attributes("DS", "IS", "TM", "AS", "DA", "DT", "AT", "CS"))), st.integers(0, 3))
def test_text_does_not_pass_in_an_attribute_for_something_else(attribute, depth):
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    tag, vr = attribute
    inner = Dataset()
    inner._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, 12, b"GUDRUN MEIER", 0, False, True)
    for _ in range(depth):
        outer = Dataset()
        outer.ReferencedImageSequence = Sequence([inner])
        inner = outer
    inner.PatientID, inner.SOPInstanceUID = "MRN00871", "1.2.99.3"
    with pydicom.config.disable_value_validation():
        clean, _ = cleaned(inner, KEY, OPTIONS)
        assert "GUDRUN" not in str(clean)


def test_numbers_stay_as_they_were_and_lists_longer_than_the_standard_allows_do_not():
    made = header(KVP="120", PixelSpacing=["0.143", "0.143"], Rows=2048, RescaleSlope="1", WindowCenter=["50", "60"])
    made.add_new(0x00280030 + 0x100, "US", 16)
    clean, _ = cleaned(made, KEY, OPTIONS)
    assert (clean.KVP, clean.PixelSpacing, clean.Rows, clean.WindowCenter) == (120, [0.143, 0.143], 2048, [50, 60])
    assert checked(0x00280010, "US", [1, 2]) is None
    assert checked(0x00281050, "DS", ["1"] * 40) is None
    assert checked(0x00280008, "IS", ["12abc"]) is None


def test_a_decimal_comma_is_read_as_a_point():
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    made = header()
    made._dict[Tag(0x00280030)] = RawDataElement(Tag(0x00280030), "DS", 12, b"0,143\\0,143 ", 0, False, True)
    assert cleaned(made, KEY, OPTIONS)[0].PixelSpacing == [0.143, 0.143]


def test_code_strings_keep_defined_terms_only():
    made = header(ImageType=["DERIVED", "PRIMARY", "FRAU GUDRUN"], ViewPosition="PA", CassetteSize="35CMX43CM")
    made.PatientOrientation, made.PresentationIntentType = ["L", "F"], "FOR PRESENTATION"
    clean, _ = cleaned(made, KEY, OPTIONS)
    assert list(clean.ImageType) == ["DERIVED", "PRIMARY", ""]
    assert (clean.ViewPosition, clean.CassetteSize, clean.Modality) == ("PA", "35CMX43CM", "CR")


def test_coded_entries_are_made_anew_from_their_terminology():
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "R-10206", "SNM3", "AP, Frau Gudrun"
    local = Dataset()
    local.CodeValue, local.CodingSchemeDesignator, local.CodeMeaning = "G1", "99LOCAL", "Gudrun"
    clean, _ = cleaned(header(ViewCodeSequence=Sequence([code, local])), KEY, OPTIONS)
    assert len(clean.ViewCodeSequence) == 1
    assert clean.ViewCodeSequence[0].CodeValue == "R-10206"
    assert "antero-posterior" in clean.ViewCodeSequence[0].CodeMeaning.lower()
    assert standard_code(local) is None


def table(entries, descriptor, vr="OW"):
    item = Dataset()
    item.add_new(0x00283002, "US", descriptor)
    item.LUTExplanation = "Gudrun"
    item.add_new(0x00283006, vr, np.asarray(entries, "<u2").tobytes() + b"GUDRUN" if vr == "OW" else entries)
    return item


@pytest.mark.parametrize("vr", ["OW", "US"])
def test_a_look_up_table_is_made_anew_from_its_entries(vr):
    entries = [0, 10, 400, 4095]
    clean, _ = cleaned(header(VOILUTSequence=Sequence([table(entries, [4, 0, 12], vr)])), KEY, OPTIONS)
    item = clean.VOILUTSequence[0]
    assert np.frombuffer(item.LUTData, "<u2").tolist() == entries
    assert list(item.LUTDescriptor) == [4, 0, 12]
    assert "LUTExplanation" not in item


def test_a_look_up_table_that_may_be_text_is_quarantined():
    letters = np.frombuffer("GUDRUN MEIER".encode("utf_16_le"), "<u2").tolist()
    with pytest.raises(Unclean, match="neither rise nor fall"):
        cleaned(header(ModalityLUTSequence=Sequence([table(letters, [12, 0, 16])])), KEY, OPTIONS)


@pytest.mark.parametrize(
    ("uid", "name"),
    [
        ("1.2.840.10008.5.1.4.1.1.88.11", "Basic Text SR"),
        ("1.2.840.10008.5.1.4.1.1.9.1.1", "12-lead ECG"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "Segmentation"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "Encapsulated PDF"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "Grayscale Softcopy Presentation State"),
        ("1.2.826.0.1.99", "1.2.826.0.1.99"),
        ("1.2.840.10008.5.1.4.1.1.481.5", "RT Plan"),
        ("1.2.840.10008.5.1.4.1.1.66", "Raw Data"),
    ],
)
def test_objects_that_are_no_image_are_quarantined(tmp_path, write_dicom, uid, name):
    made = outcome(tmp_path, write_dicom(np.zeros((40, 40), np.uint16), SOPClassUID=uid, StudyInstanceUID="1.2.99.1"))
    assert made.kind == "quarantined"
    assert f"an object of a class that is not cleaned: {name}" in made.reason
    assert uid not in image_classes()


def test_an_image_object_without_pixels_is_quarantined(tmp_path):
    made = header(ContentSequence=Sequence([header(TextValue="Gudrun")]))
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    made.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert outcome(tmp_path, tmp_path / "a.dcm").reason == "no pixel data (7FE0,0010)"


def written(tmp_path, write_dicom, *pairs):
    paths = []
    for k, (number, issuer) in enumerate(pairs):
        tags = {"PatientID": number} | ({"IssuerOfPatientID": issuer} if issuer else {})
        path = write_dicom(np.zeros((8, 8), np.uint16), "x.dcm", SOPInstanceUID=f"1.2.99.{k}", **tags)
        paths.append(Path(shutil.move(path, tmp_path / f"{k}.dcm")))
    return paths


def test_an_issuer_in_some_files_only_is_one_patient(tmp_path, write_dicom):
    found = read_patients(written(tmp_path, write_dicom, ("7", "Hospital"), ("7", ""), ("7 ", "HOSPITAL"), ("8", "")))
    assert len({p.identity for p in found[:3]}) == 1
    assert found[3].identity == "8"


def test_two_issuers_are_two_patients_and_a_file_without_one_is_quarantined(tmp_path, write_dicom):
    found = read_patients(written(tmp_path, write_dicom, ("7", "A"), ("7", "B"), ("7", ""), ("", "A")))
    assert found[0].identity != found[1].identity != ""
    assert found[2].reason == AMBIGUOUS
    assert "no patient ID" in found[3].reason


def test_a_configured_issuer_keeps_the_pseudonym_in_every_run(tmp_path, write_dicom):
    alone = read_patients(written(tmp_path, write_dicom, ("7", "")), "Hospital")
    stated = read_patients(written(tmp_path, write_dicom, ("7", "Hospital"), ("7", "B")), "Hospital")
    assert alone[0] == stated[0] != stated[1]
    assert patient_of(header(), "A").identity == "a:MRN00871"


@pytest.mark.parametrize("number", ["", "  ", "NA", "None", "unknown", "\u00a0"])
def test_a_missing_number_is_no_patient(number):
    assert "no patient ID" in patient_of(header(PatientID=number)).reason
