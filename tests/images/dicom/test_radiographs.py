import csv
import hashlib

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from overread.errors import InputError
from overread.images.dicom.headers import read_header
from overread.images.dicom.radiographs import decode_dicom, read_dicom, stored_values

RAMP = np.arange(0, 4096, dtype=np.uint16).reshape(64, 64)


def references(shared):
    with shared("real/dicom/decoded_reference.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_stored_values_of_public_files_have_the_published_hashes(shared):
    checked = 0
    for row in references(shared):
        if row["decoded"] != "yes":
            continue
        values = stored_values(shared(f"real/dicom/{row['file']}"))
        assert values.shape == (int(row["rows"]), int(row["columns"])), row["file"]
        digest = hashlib.sha256(np.ascontiguousarray(values).astype("<u2").tobytes()).hexdigest()
        assert digest == row["pixel_sha256_as_uint16le"], row["file"]
        checked += 1
    assert checked == 10


def test_a_stream_that_no_decoder_takes_is_said(shared):
    path = shared("real/dicom/RG3_leg_JPEG_extended12.dcm")
    with pytest.raises(
        InputError, match=r"JPEG Extended.*the scan header states coefficients 0 to 0, a sequential JPEG has 0"
    ):
        read_dicom(path)


def test_public_files_are_shown_with_air_dark(shared):
    """The corners of these chest films hold the most air; the mediastinum is bright."""
    chest = read_dicom(shared("real/dicom/RG1_chest_J2K_lossy.dcm"))
    rows, columns = chest.pixels.shape
    lung = np.median(chest.pixels[rows // 3 : rows // 2, columns // 5 : columns // 4])
    spine = np.median(chest.pixels[rows // 2 : rows * 3 // 5, columns * 9 // 20 : columns // 2])
    assert spine > lung
    assert chest.header.view == "PA"
    assert 64 < chest.header.age_years < 65


def test_no_preamble_and_no_meta_information_is_read(shared):
    header = read_header(shared("real/dicom/CR-MONO1-10-chest.dcm"))
    assert (header.rows, header.columns, header.modality, header.photometric) == (440, 440, "CR", "MONOCHROME1")


def test_every_cut_of_every_public_file_is_refused(shared):
    """A truncated file is never served half grey."""
    for row in references(shared):
        data = shared(f"real/dicom/{row['file']}").read_bytes()
        for share in (0.01, 0.4, 0.95, 0.999):
            with pytest.raises(InputError):
                decode_dicom(data[: int(len(data) * share)], row["file"])


def test_signed_values_and_high_bit(write_dicom):
    signed = (RAMP.astype(np.int16) - 2048) & 0x0FFF  # as 12 stored bits lie in 16
    assert stored_values(write_dicom(signed.astype(np.int16))).min() == -2048
    np.testing.assert_array_equal(read_dicom(write_dicom(signed.astype(np.int16))).pixels, (RAMP - 2048.0))
    high = write_dicom(RAMP << 4, HighBit=15)
    np.testing.assert_array_equal(stored_values(high), RAMP)


@pytest.mark.parametrize(("age", "years"), [("034Y", 34), ("018M", 1.5), ("026W", 26 * 7 / 365.25), ("999Y", None)])
def test_header_says_what_it_says(write_dicom, age, years):
    tags = {
        "PatientAge": age,
        "PatientSex": "F",
        "ViewPosition": "LL",
        "ImagerPixelSpacing": [0.14, 0.14],
        "Manufacturer": "M ",
        "ManufacturerModelName": "D",
        "StudyDate": "20200131",
    }
    header = read_header(write_dicom(RAMP, **tags))
    assert header.age_years == (None if years is None else pytest.approx(years))
    assert (header.sex, header.view, header.pixel_mm, header.manufacturer, header.device) == (
        "F",
        "LATERAL",
        0.14,
        "M",
        "D",
    )
    assert header.acquired.isoformat() == "2020-01-31"


def test_age_from_birth_to_study(write_dicom):
    header = read_header(write_dicom(RAMP, PatientBirthDate="19500131", StudyDate="20200131"))
    assert header.age_years == pytest.approx(70, abs=0.01)


def test_what_is_no_radiograph_is_said(write_dicom, tmp_path):
    with pytest.raises(InputError, match=r"one radiograph; found 3 frames \(0028,0008\)"):
        read_dicom(write_dicom(RAMP, NumberOfFrames=3))
    with pytest.raises(InputError, match="PALETTE COLOR, a radiograph is grey"):
        read_dicom(write_dicom(RAMP, photometric="PALETTE COLOR"))
    dataset = pydicom.dcmread(write_dicom(RAMP))
    for tag in ("PixelData", "Rows", "Columns"):
        del dataset[tag]
    dataset.save_as(tmp_path / "report.dcm")
    with pytest.raises(InputError, match="a DICOM object without pixels"):
        read_dicom(tmp_path / "report.dcm")
    (tmp_path / "a.png").write_bytes(b"%PDF-1.4")
    with pytest.raises(InputError, match="expected a DICOM file; found a file whose content is PDF"):
        read_dicom(tmp_path / "a.png")


def deep(tmp_path, values, **tags):
    """A file of 32 bits per pixel."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 32, 32, 31
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    dataset.PixelData = values.tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    pydicom.dcmwrite(tmp_path / "deep.dcm", dataset, enforce_file_format=True)
    return tmp_path / "deep.dcm"


@pytest.mark.parametrize("offset", [0, 70_000, -5, (1 << 31) - 4096])
def test_32_stored_bits_are_read_where_their_values_are_few_enough(tmp_path, offset):
    values = (RAMP.astype(np.int64) + offset).astype(np.int32)
    np.testing.assert_array_equal(stored_values(deep(tmp_path, values)), values)
    got = read_dicom(deep(tmp_path, values, WindowCenter=offset + 2048, WindowWidth=4096))
    np.testing.assert_allclose(got.pixels / 65535, RAMP / 4095, atol=1e-4)
    np.testing.assert_allclose(read_dicom(deep(tmp_path, values)).pixels - float(offset), RAMP, atol=64)


def test_32_stored_bits_of_too_many_values_are_refused_before_a_table_is_made(tmp_path):
    values = np.array([[0, 1], [7, (1 << 32) - 1]], np.uint32)
    with pytest.raises(InputError, match=r"stored values of 32 bits from 0 to 4,294,967,295, a radiograph has at most"):
        read_dicom(deep(tmp_path, values))


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_floating_point_pixels_are_refused_as_such(write_dicom, keyword):
    dataset = pydicom.dcmread(write_dicom(RAMP))
    del dataset.PixelData
    setattr(dataset, keyword, RAMP.astype(np.float32 if keyword.startswith("F") else np.float64).tobytes())
    dataset.save_as(dataset.filename)
    with pytest.raises(InputError, match=r"Pixel Data \(7FE0,000[89]\): a map of floating-point numbers"):
        read_dicom(dataset.filename)


def test_a_file_that_was_sent_without_pixels_is_not_called_truncated(write_dicom):
    path = write_dicom(RAMP, BurnedInAnnotation="NO")
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)
    with pytest.raises(InputError, match=r"a DICOM object without pixels \(modality DX\)"):
        read_dicom(path)
    data = path.read_bytes()
    with pytest.raises(InputError, match="ends before its pixel data: it is truncated"):
        decode_dicom(data[:-1], "a.dcm")
