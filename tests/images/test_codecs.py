import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate

from overread.errors import InputError
from overread.images.dicom import decode_dicom, stored_values

ENCODERS = {
    "1.2.840.10008.1.2.4.70": lambda v: imagecodecs.ljpeg_encode(v, bitspersample=12),
    "1.2.840.10008.1.2.4.80": lambda v: imagecodecs.jpegls_encode(v),
    "1.2.840.10008.1.2.4.90": lambda v: imagecodecs.jpeg2k_encode(v, level=0, codecformat="j2k"),
}


@pytest.fixture
def encoded(write_dicom):
    def write(values, syntax, stream, **tags):
        path = write_dicom(values, **tags)
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([stream])
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(path)
        return path

    return write


@pytest.mark.parametrize("syntax", ENCODERS)
def test_lossless_encodings_come_back_bit_for_bit(encoded, syntax):
    values = np.random.default_rng(1).integers(0, 4096, (40, 56)).astype(np.uint16)
    path = encoded(values, syntax, ENCODERS[syntax](values))
    np.testing.assert_array_equal(stored_values(path), values)


def test_rle_equals_pydicom(write_dicom):
    values = np.random.default_rng(2).integers(0, 4096, (40, 56)).astype(np.uint16)
    path = write_dicom(values)
    dataset = pydicom.dcmread(path)
    dataset.compress(pydicom.uid.RLELossless)
    dataset.save_as(path)
    np.testing.assert_array_equal(stored_values(path), values)
    np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array, values)


def test_big_endian_and_deflated_go_through_pydicom(write_dicom):
    values = np.random.default_rng(3).integers(0, 4096, (40, 56)).astype(np.uint16)
    path = write_dicom(values)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    np.testing.assert_array_equal(stored_values(path), values)


def test_a_stream_without_its_end_is_not_served_half_grey(encoded):
    values = np.random.default_rng(4).integers(0, 4096, (200, 200)).astype(np.uint16)
    stream = ENCODERS["1.2.840.10008.1.2.4.70"](values)
    path = encoded(values, "1.2.840.10008.1.2.4.70", stream[: len(stream) * 2 // 3])
    with pytest.raises(InputError, match="no end marker: the file is truncated"):
        stored_values(path)


def test_a_stream_of_another_shape_is_said(encoded):
    values = np.zeros((40, 56), np.uint16)
    path = encoded(values, "1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode(np.zeros((30, 30), np.uint16)))
    with pytest.raises(InputError, match=r"imagecodecs: \(30, 30\) values for \(40, 56\)"):
        stored_values(path)


def test_short_plain_pixel_data_is_said(write_dicom):
    data = write_dicom(np.zeros((40, 56), np.uint16)).read_bytes()
    with pytest.raises(InputError, match=r"4,480 bytes of pixel data.*4,470: the file is truncated"):
        decode_dicom(data[:-10], "a.dcm")
