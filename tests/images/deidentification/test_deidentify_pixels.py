"""Pixel data made anew: the same stored values, and nothing else of what was delivered."""

import importlib.util
from pathlib import Path

import numpy as np
import pydicom
import pytest

from overread.images.deidentification import Deidentification, Key, deidentify
from overread.images.deidentification.burned_in_text import tesseract
from overread.images.deidentification.single_file import deidentify_file
from overread.images.dicom.radiographs import read_dicom, stored_values

KEY = Key(bytes(range(32)))
needs_tesseract = pytest.mark.skipif(tesseract() is None, reason="needs Tesseract: apt-get install tesseract-ocr")
pytestmark = needs_tesseract


@pytest.fixture(scope="module")
def hidden():
    """The program that measures hidden names; the test uses its files and its search."""
    path = Path(__file__).parents[3] / "validation" / "hidden_names.py"
    spec = importlib.util.spec_from_file_location("hidden_names", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def clean(tmp_path, path):
    (tmp_path / "aside").mkdir(exist_ok=True)
    made = deidentify_file(path, (tmp_path / "clean", tmp_path / "aside"), KEY, Deidentification())
    assert made.kind == "clean", made.reason
    return tmp_path / "clean" / made.path


SYNTAXES = [
    "explicit",
    "implicit",
    "big endian",
    "deflated",
    "RLE",
    "JPEG baseline",
    "JPEG extended",
    "JPEG lossless",
    "JPEG-LS",
    "JPEG 2000",
    "HTJ2K",
]


@pytest.mark.slow
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_stored_values_are_the_same_in_every_transfer_syntax(hidden, tmp_path, syntax):
    hidden.write(tmp_path, 3, "Latin", syntax, "")
    path = clean(tmp_path, tmp_path / "00003.dcm")
    np.testing.assert_array_equal(stored_values(path), stored_values(tmp_path / "00003.dcm"))
    held = pydicom.dcmread(path)
    assert held.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert len(held.PixelData) == held.Rows * held.Columns * held.BitsAllocated // 8
    assert held.HighBit == held.BitsStored - 1


@pytest.mark.parametrize("place", ["overlay bits", "signed overlay bits"])
@pytest.mark.parametrize("syntax", ["explicit", "big endian", "RLE", "JPEG lossless", "JPEG-LS", "JPEG 2000"])
def test_bits_that_are_not_stored_do_not_leave(hidden, tmp_path, syntax, place):
    hidden.write(tmp_path, 3, "Latin", syntax, place)
    raw = np.frombuffer(pydicom.dcmread(clean(tmp_path, tmp_path / "00003.dcm")).PixelData, "<u2").reshape(160, 160)
    values = hidden.picture(3, 12, signed=place.startswith("signed"))
    np.testing.assert_array_equal(raw, values.view(np.uint16))


@pytest.mark.slow
def test_no_name_is_found_in_what_leaves_by_an_independent_search(hidden, tmp_path):
    every = list(hidden.places())
    lines = hidden.report(tmp_path, every[:: max(1, len(every) // 60)])
    assert lines[1] == "0 names found", "\n".join(lines)
    assert next(line for line in lines if line.startswith("quarantined")).split(", ")[1].startswith("0 of ")


def test_a_colour_picture_is_examined_in_every_plane_and_keeps_its_values(tmp_path, write_dicom, hidden):
    grey = hidden.picture(5, 8)
    values = np.stack([grey, grey[::-1], grey.T], axis=-1)
    tags = {
        "SamplesPerPixel": 3,
        "PlanarConfiguration": 0,
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.4",
        "StudyInstanceUID": "1.2.9.1",
    }
    path = write_dicom(values, bits=8, photometric="RGB", **tags)
    held = clean(tmp_path, path)
    np.testing.assert_array_equal(pydicom.dcmread(held).pixel_array, values)


def test_planes_of_several_frames_and_palettes_are_quarantined(tmp_path, write_dicom, hidden):
    (tmp_path / "aside").mkdir()
    folders, study = (tmp_path / "clean", tmp_path / "aside"), {"StudyInstanceUID": "1.2.9.1"}
    many = write_dicom(hidden.picture(5, 12), "many.dcm", NumberOfFrames=2, **study)
    assert "2 frames" in deidentify_file(many, folders, KEY, Deidentification()).reason
    palette = write_dicom(hidden.picture(5, 8), "p.dcm", bits=8, photometric="PALETTE COLOR", **study)
    assert "PALETTE COLOR" in deidentify_file(palette, folders, KEY, Deidentification()).reason


@pytest.mark.slow
def test_real_files_show_the_same_picture(shared, tmp_path):
    source = shared("real/dicom")
    names = ["CR-ModalitySequenceLUT_teeth.dcm", "highdicom_dx_thorax_small.dcm", "RG3_leg_JPEG_lossless.dcm"]
    for name in names:
        (tmp_path / name).mkdir()
        path = clean(tmp_path / name, source / name)
        before, after = read_dicom(source / name), read_dicom(path)
        np.testing.assert_array_equal(before.pixels, after.pixels)
        assert before.header.view == after.header.view
        assert before.header.pixel_mm == after.header.pixel_mm


@pytest.mark.slow
def test_a_folder_with_an_issuer_in_some_files_has_one_pseudonym_a_patient(tmp_path, write_dicom, hidden):
    (tmp_path / "in").mkdir()
    for k, issuer in enumerate(["", "Hospital", ""]):
        tags = {"IssuerOfPatientID": issuer} if issuer else {}
        path = write_dicom(hidden.picture(k, 12), SOPInstanceUID=f"1.2.9.{k}", StudyInstanceUID="1.2.9.9", **tags)
        path.rename(tmp_path / "in" / f"{k}.dcm")
    made = deidentify(tmp_path / "in", tmp_path / "out", KEY)
    assert made.clean == 3
    assert len(list((tmp_path / "out" / "images").iterdir())) == 1
