"""Numbers of the patient in values that stay (measurements, code strings, device text), and notes on look-alikes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from overread import runs
from overread.images.deidentification import Deidentification, Key, deidentify
from overread.images.deidentification.cleaning import cleaned
from overread.images.deidentification.search.digits import in_numbers, in_text, numbers_of
from overread.images.deidentification.search.residual_check import residual

KEY = Key(bytes(range(32)))
WHO = {
    "PatientID": "MRN-0087122",
    "PatientName": "Meierhofer^Hannelore",
    "AccessionNumber": "ACC 4711.83",
    "PatientTelephoneNumbers": "+49 30 123-4567",
    "StudyInstanceUID": "1.2.99.1",
    "SeriesInstanceUID": "1.2.99.2",
    "SOPInstanceUID": "1.2.99.3",
    "MedicalRecordLocator": "5550123",
}
ORDINARY = {
    "PatientWeight": "71.5",
    "PatientSize": "1.68",
    "KVP": "125",
    "ExposureInuAs": "12500",
    "ExposureTime": "8",
    "DistanceSourceToDetector": "1800.00",
    "DistanceSourceToPatient": "1750",
    "ImagerPixelSpacing": ["0.1389", "0.1389"],
    "WindowCenter": "2047.5",
    "WindowWidth": "4096",
    "RescaleSlope": "1",
    "RescaleIntercept": "-1024",
    "Sensitivity": "400.123",
    "RelativeXRayExposure": "1234",
    "ImageAndFluoroscopyAreaDoseProduct": "0.87123",
    "Manufacturer": "SIEMENS",
    "ManufacturerModelName": "Fluorospot Compact FD 43",
    "SoftwareVersions": "VF22A 4.1.5.17",
    "ImageType": ["ORIGINAL", "PRIMARY", "", "35CMX43CM"],
    "SeriesNumber": "12",
    "InstanceNumber": "1",
}


def left_in(**tags):
    """What the residual check finds where these attributes hold what they say."""
    given_ = Dataset()
    given_.SOPClassUID, given_.Modality = "1.2.840.10008.5.1.4.1.1.1.1", "DX"
    for name, value in {**WHO, **ORDINARY, **tags}.items():
        setattr(given_, name, value)
    other = Dataset()
    other.PatientID = "77-00911-3"
    given_.OtherPatientIDsSequence = Sequence([other])
    made, state = cleaned(given_, KEY, Deidentification())
    return residual(made, state.removed)


def test_ordinary_values_hold_no_number_of_the_patient():
    assert left_in() == []


@pytest.mark.parametrize(
    ("keyword", "value", "tag"),
    [
        ("WindowCenter", "87122", "0028,1050"),  # the patient's number without letters and zeros, as a decimal string
        ("WindowCenter", "087122.00", "0028,1050"),
        ("Exposure", "87122", "0018,1152"),  # integer string
        ("PatientWeight", "8.7122E4", "0010,1030"),
        ("Sensitivity", "471.183", "0018,6000"),  # the accession number around the point
        ("ImagerPixelSpacing", ["471", "183"], "0018,1164"),  # in a list
        ("RescaleSlope", "301234567", "0028,1053"),  # the telephone without the code of the country
        ("RescaleSlope", "-0301234567", "0028,1053"),
        ("RescaleIntercept", "1234567", "0028,1052"),  # and without that of the city
        ("RescaleIntercept", "4930123456.7", "0028,1052"),
        ("KVP", "9995550123", "0018,0060"),
        ("ExposureInuAs", "77009113", "0018,1153"),  # another number of the patient, nested
        ("DistanceSourceToDetector", "8577009113.25", "0018,1110"),  # within a longer number, as it is long
        ("SoftwareVersions", "VF 87-122", "0018,1020"),
        ("ManufacturerModelName", "Ysio 471-183", "0008,1090"),
        ("SoftwareVersions", "٨٧١٢٢", "0018,1020"),  # digits of another script
        ("ImageType", ["ORIGINAL", "PRIMARY", "871", "22"], "0008,0008"),
    ],
)
def test_a_number_of_the_patient_is_found_whatever_separates_its_digits(keyword, value, tag):
    expected = [] if keyword == "KVP" else [tag]  # 5550123 within a longer number is not told from chance
    assert left_in(**{keyword: value}) == expected


@given(st.integers(10_000, 10**12), st.sampled_from(["{}", "0{}", "{}.0", "-{}", "{}E0"]), st.booleans())
@settings(max_examples=100, deadline=None)
def test_every_number_of_five_digits_is_found_as_a_measurement_and_in_text(number, form, spaced):
    digits = numbers_of("-".join(str(number)) if spaced else f"ID {number}")
    assert digits == {str(number)}
    assert in_numbers([form.format(number)], digits)
    assert in_text(f"unit {' '.join(str(number))}, room", digits)
    if number < 10_000_000:  # longer ones count within others
        assert not in_numbers([form.format(number + 1)], digits)


@given(st.integers(10_000, 9_999_999), st.lists(st.integers(0, 9999).map(lambda v: f"0.{v:04d}"), max_size=32))
@settings(max_examples=100, deadline=None)
def test_short_numbers_do_not_count_within_longer_ones(number, values):
    found = in_numbers(values, {str(number)})
    exact = {v.split(".")[1].lstrip("0") for v in values} | {"".join(v.replace(".", "") for v in values).lstrip("0")}
    assert found == (str(number) in exact)


def test_look_up_tables_are_not_searched():
    assert not in_numbers([str(v) for v in range(10_000, 10_100)], {"10050"})


def test_only_what_was_done_is_stated_by_code():
    for options, said in ((Deidentification(), 2), (Deidentification(device=False), 1)):
        made, _ = cleaned(pydicom.Dataset(), KEY, options, identity="1")
        codes = {c.CodeValue for c in made.DeidentificationMethodCodeSequence}
        assert "113109" not in codes  # serial numbers and station names are not retained
        assert {"113100", "113101"} <= codes
        held = made["DeidentificationMethod"]
        assert said == held.VM
        assert all(len(text) <= 64 for text in (held.value if said > 1 else [held.value]))


def test_numbers_that_look_alike_get_pseudonyms_of_their_own_and_a_note(tmp_path, write_dicom):
    source = tmp_path / "in"
    source.mkdir()
    values = np.random.default_rng(1).integers(500, 1500, (60, 60)).astype(np.uint16)
    for k, number in enumerate(("P100", "p100", "P200", "0300", "300")):
        tags = {"PatientID": number, "StudyInstanceUID": f"1.2.99.{k}", "SOPInstanceUID": f"1.2.98.{k}"}
        path = write_dicom(values, "x.dcm", **{**WHO, **tags})
        shutil.move(path, source / f"{k}.dcm")
    made = deidentify(source, tmp_path / "out", KEY)
    note = next(str(n) for n in made.notes if n.column == "patient_id")
    assert "2 identifiers in 'patient_id' occur in several spellings" in note
    assert "'P100' and 'p100'" in note
    assert "'0300' and '300'" in note
    assert runs.read(tmp_path / "out")["notes"]["similar numbers"] == 2
    leaving = [p for p in Path(tmp_path / "out").rglob("*") if p.suffix in (".json", ".csv")]
    assert leaving
    assert not any("P100" in p.read_text() or "p100" in p.read_text() for p in leaving)
