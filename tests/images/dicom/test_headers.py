import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from overread.errors import InputError
from overread.images.dicom.headers import TAGS, dataset_of, header_of, read_header

FLAT = np.zeros((8, 8), np.uint16)


def code(value, scheme="SCT"):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, "x"
    return [item]


@pytest.mark.parametrize(
    ("tags", "view", "note"),
    [
        ({"ViewPosition": "PA"}, "PA", ""),
        ({"ViewPosition": "ap"}, "AP", ""),
        ({"ViewPosition": "RL"}, "LATERAL", ""),
        ({"ViewCodeSequence": code("272479007")}, "PA", "view taken from the view code"),
        ({"ViewCodeSequence": code("R-10206", "SRT")}, "AP", "view taken from the view code"),
        ({"ViewPosition": "", "ViewCodeSequence": code("399173006")}, "LATERAL", "view taken from the view code"),
        (
            {"ViewPosition": "PA", "ViewCodeSequence": code("399348003")},
            "PA",
            "view position says PA, view code AP: PA is taken",
        ),
        ({"ViewPosition": "LLO"}, "UNKNOWN", "view position 'LLO' is none of PA, AP, lateral: UNKNOWN"),
        ({}, "UNKNOWN", ""),
    ],
)
def test_the_view_comes_from_the_position_then_the_code(write_dicom, tags, view, note):
    header = read_header(write_dicom(FLAT, **tags))
    assert (header.view, "; ".join(header.notes)) == (view, note)


@pytest.mark.parametrize(
    ("tags", "size", "note"),
    [
        ({"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.1, 0.1]}, 0.2, ""),
        ({"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": 1.25}, 0.16, "magnification"),
        (
            {
                "PixelSpacing": [0.2, 0.2],
                "ImagerPixelSpacing": [0.2, 0.2],
                "EstimatedRadiographicMagnificationFactor": 1.25,
            },
            0.16,
            "magnification",
        ),
        (
            {
                "PixelSpacing": [0.2, 0.2],
                "ImagerPixelSpacing": [0.2, 0.2],
                "PixelSpacingCalibrationType": "FIDUCIAL",
                "EstimatedRadiographicMagnificationFactor": 1.25,
            },
            0.2,
            "",
        ),
        ({"PixelSpacing": [0, 0], "NominalScannedPixelSpacing": [0.3, 0.3]}, 0.3, "that of the film scanner"),
        ({"PixelSpacing": [0.2, 0.3]}, 0.2, "not square"),
        ({}, None, ""),
    ],
)
def test_the_pixel_size_comes_from_its_right_tag(write_dicom, tags, size, note):
    header = read_header(write_dicom(FLAT, **tags))
    assert header.pixel_mm == (None if size is None else pytest.approx(size))
    assert note in "; ".join(header.notes)


def test_secondary_captures_are_marked_whatever_their_modality(write_dicom):
    assert not read_header(write_dicom(FLAT)).secondary
    path = write_dicom(FLAT)
    dataset = pydicom.dcmread(path)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.save_as(path)
    assert read_header(path).secondary
    assert read_header(write_dicom(FLAT, ConversionType="DF")).secondary


def test_what_is_odd_is_noted(write_dicom):
    header = read_header(write_dicom(FLAT, PatientSex="2", PatientAge="411Y", BurnedInAnnotation="Yes"))
    assert header.notes == ("patient sex '2' is none of F, M, O: not stated", "age 411 years: not stated")
    assert (header.sex, header.age_years, header.burned_in) == (None, None, "YES")
    assert read_header(write_dicom(FLAT, PatientSex="O")).notes == ()
    bare = read_header(write_dicom(FLAT, PatientAge="58"))
    assert (bare.age_years, bare.notes) == (58, ("age without a unit: taken as years",))
    old = read_header(write_dicom(FLAT, PatientAge="155"))
    assert (old.age_years, old.notes[1]) == (None, "age 155 years: not stated")


def test_a_file_without_preamble_and_meta_information_is_read_and_noted(write_dicom):
    data = write_dicom(FLAT, PatientID="17").read_bytes()
    start = 144 + int.from_bytes(data[140:144], "little")
    header = header_of(dataset_of(data[start:], "bare", with_pixels=False), "bare")
    assert header.patient_id == "17"
    assert header.notes == ("no preamble", "no file meta information: the encoding was found out")


def test_the_named_tags_are_all_that_the_header_needs(write_dicom):
    path = write_dicom(
        FLAT,
        ViewCodeSequence=code("272479007"),
        ImagerPixelSpacing=[0.2, 0.2],
        PatientAge="034Y",
        PatientSex="F",
        AccessionNumber="A1",
        StudyDate="20200131",
        StationName="S",
        IssuerOfPatientID="H",
        ImageLaterality="L",
        BodyPartExamined="CHEST",
        BurnedInAnnotation="NO",
        NumberOfFrames=1,
        SeriesInstanceUID="1.2.5",
    )
    data = path.read_bytes()
    few = header_of(dataset_of(data, path, with_pixels=False, tags=TAGS), path)
    assert few == read_header(path)
    assert (few.accession, few.issuer, few.series, few.view) == ("A1", "H", "1.2.5", "PA")


def test_files_that_are_not_there_or_no_dicom_are_said(tmp_path):
    with pytest.raises(InputError, match="one that cannot be opened: No such file"):
        read_header(tmp_path / "a.dcm")
    (tmp_path / "a.dcm").write_bytes(b"%PDF")
    with pytest.raises(InputError, match="content is PDF"):
        read_header(tmp_path / "a.dcm")


@pytest.mark.parametrize(
    ("tags", "years", "note"),
    [
        ({"PatientBirthDate": "19000101"}, None, "birth date '19000101' is a placeholder: not stated"),
        ({"PatientBirthDate": "18991230"}, None, "birth date '18991230' is a placeholder: not stated"),
        ({"PatientBirthDate": "00010101"}, None, "birth date '00010101' is a placeholder: not stated"),
        ({"PatientBirthDate": "11111111"}, None, "birth date '11111111' is a placeholder: not stated"),
        ({"PatientBirthDate": "99991231"}, None, "years: not stated"),
        ({"PatientBirthDate": "19000102"}, 120, ""),
        ({"PatientAge": "000Y"}, None, "age '000Y' is a placeholder: not stated"),
        ({"PatientAge": "0"}, None, "age '0' is a placeholder: not stated"),
        ({"PatientAge": "000D"}, 0, ""),
        ({"PatientAge": "000Y", "PatientBirthDate": "20190901"}, 0.33, "age '000Y' is a placeholder: not stated"),
        ({"PatientAge": "000Y", "PatientBirthDate": "19000101"}, None, "birth date '19000101' is a placeholder"),
        ({"PatientAge": "unk", "PatientBirthDate": "19500101"}, 70, "age 'UNK' is not a number of years"),
        ({"PatientAge": "", "PatientBirthDate": ""}, None, ""),
    ],
)
def test_placeholders_are_no_ages(write_dicom, tags, years, note):
    header = read_header(write_dicom(FLAT, StudyDate="20200101", **tags))
    assert header.age_years == (None if years is None else pytest.approx(years, abs=0.01))
    assert (note in "; ".join(header.notes)) if note else header.notes == ()
