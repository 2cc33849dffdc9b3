import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate

from overread.errors import InputError
from overread.images.dicom import headers
from overread.images.dicom.radiographs import decode_dicom, stored_values

ENCODERS = {
    "1.2.840.10008.1.2.4.70": lambda v: imagecodecs.ljpeg_encode(v, bitspersample=12),
    "1.2.840.10008.1.2.4.80": lambda v: imagecodecs.jpegls_encode(v),
    "1.2.840.10008.1.2.4.90": lambda v: imagecodecs.jpeg2k_encode(v, level=0, codecformat="j2k"),
    "1.2.840.10008.1.2.4.201": lambda v: imagecodecs.htj2k_encode(v, reversible=True),
    "1.2.840.10008.1.2.4.202": lambda v: imagecodecs.htj2k_encode(v, reversible=True),
}
LOSSY = {
    "1.2.840.10008.1.2.4.50": (8, lambda v: imagecodecs.jpeg8_encode(v, level=98)),
    "1.2.840.10008.1.2.4.51": (12, lambda v: imagecodecs.jpeg8_encode(v, level=98, bitspersample=12)),
    "1.2.840.10008.1.2.4.81": (12, lambda v: imagecodecs.jpegls_encode(v, level=2)),
    "1.2.840.10008.1.2.4.91": (12, lambda v: imagecodecs.jpeg2k_encode(v, level=85, codecformat="j2k")),
    "1.2.840.10008.1.2.4.203": (12, lambda v: imagecodecs.htj2k_encode(v, reversible=False)),
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


@pytest.mark.parametrize("syntax", LOSSY)
def test_lossy_encodings_stay_within_a_few_levels(encoded, syntax):
    bits, encode = LOSSY[syntax]
    ramp = np.add.outer(np.arange(64), np.arange(96)) * ((1 << bits) - 1) // (63 + 95)
    values = ramp.astype(np.uint8 if bits == 8 else np.uint16)
    found = stored_values(encoded(values, syntax, encode(values), bits=bits))
    assert found.dtype == values.dtype
    assert np.abs(found.astype(int) - values).max() <= max(2, (1 << bits) // 100)


def test_a_lossy_value_above_the_stored_bits_is_clipped_not_wrapped(encoded):
    values = np.full((64, 64), 1023, np.uint16)
    values[::7, ::5] = 0
    stream = imagecodecs.jpeg8_encode(values, level=60, bitspersample=12)
    assert imagecodecs.jpeg8_decode(stream).max() > 1023
    assert stored_values(encoded(values, "1.2.840.10008.1.2.4.51", stream, bits=10)).max() == 1023


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("name", ["ExplicitVRBigEndian", "DeflatedExplicitVRLittleEndian", "ImplicitVRLittleEndian"])
def test_every_plain_encoding_comes_back_bit_for_bit(tmp_path, write_dicom, name, bits):
    rng = np.random.default_rng(3)
    values = rng.integers(0, 1 << bits, (40, 56)).astype(np.uint8 if bits == 8 else np.uint16)
    dataset = pydicom.dcmread(write_dicom(values, bits=bits))
    syntax = getattr(pydicom.uid, name)
    if name == "ExplicitVRBigEndian" and bits > 8:
        dataset.PixelData = values.astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(
        tmp_path / "b.dcm",
        dataset,
        enforce_file_format=True,
        little_endian=syntax.is_little_endian,
        implicit_vr=syntax.is_implicit_VR,
    )
    np.testing.assert_array_equal(stored_values(tmp_path / "b.dcm"), values)


def test_a_broken_htj2k_stream_is_not_served_half_black(encoded):
    values = np.random.default_rng(5).integers(0, 4096, (64, 64)).astype(np.uint16)
    stream = imagecodecs.htj2k_encode(values, reversible=True)
    cut = stream[: len(stream) // 2] + b"\xff\xd9"
    with pytest.raises(InputError, match=r"High-Throughput JPEG 2000.*cannot be decoded"):
        stored_values(encoded(values, "1.2.840.10008.1.2.4.201", cut))


def test_a_deflate_bomb_is_refused(write_dicom, monkeypatch):
    path = write_dicom(np.zeros((400, 560), np.uint16))
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    monkeypatch.setattr(headers, "_LARGEST", 100_000)
    with pytest.raises(InputError, match="at most 100,000 bytes when inflated; found more"):
        stored_values(path)


@pytest.mark.parametrize(
    ("syntax", "stream", "message"),
    [
        (
            "1.2.840.10008.1.2.4.50",
            b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00\xff\xd9",
            "the stream is of 65535 x 65535 pixels, the file states 40 x 56",
        ),
        ("1.2.840.10008.1.2.4.90", b"\xff\x4f\xff\x51" + bytes(60) + b"\xff\xd9", "0 components, the file states 1"),
        ("1.2.840.10008.1.2.4.80", b"\xff\xd8\xff\xd9", "the stream has no frame header"),
        ("1.2.840.10008.1.2.4.70", b"GIF89a\xff\xd9", "begins with 47 49 46 38: neither JPEG nor JPEG 2000"),
    ],
)
def test_forged_streams_are_refused_before_they_are_decoded(encoded, syntax, stream, message):
    with pytest.raises(InputError, match=message):
        stored_values(encoded(np.zeros((40, 56), np.uint16), syntax, stream))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201"])
@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (24, 0, "tiles that do not cover it"),  # tiles of width 0: OpenJPH divides by it and ends the process
        (28, 0, "tiles that do not cover it"),
        (32, 57, "tiles that do not cover it"),  # the first tile begins behind the image
        (24, 1, "more than 65,535 tiles"),
    ],
)
def test_a_jpeg_2000_grid_that_no_decoder_survives_is_refused(encoded, syntax, place, value, message):
    values = np.zeros((2000, 56) if value == 1 else (40, 56), np.uint16)
    stream = bytearray(ENCODERS[syntax](values))
    stream[place : place + 4] = value.to_bytes(4, "big")
    if value == 1:
        stream[28:32] = (1).to_bytes(4, "big")
    with pytest.raises(InputError, match=message):
        stored_values(encoded(values, syntax, bytes(stream)))


@pytest.mark.parametrize("step", [43, 44])
def test_a_jpeg_2000_component_without_resolution_is_refused(encoded, step):
    values = np.zeros((40, 56), np.uint16)
    stream = bytearray(imagecodecs.jpeg2k_encode(values, 0, codecformat="j2k"))
    stream[step] = 0
    with pytest.raises(InputError, match="components of no resolution"):
        stored_values(encoded(values, "1.2.840.10008.1.2.4.90", bytes(stream)))


def test_the_scan_header_of_an_extended_jpeg_must_be_that_of_a_sequential_one(encoded):
    values = np.zeros((40, 56), np.uint16)
    stream = imagecodecs.jpeg8_encode(values, level=95, bitspersample=12)
    scan = stream.index(b"\xff\xda")
    broken = stream[: scan + 8] + b"\x00" + stream[scan + 9 :]
    with pytest.raises(InputError, match="the scan header states coefficients 0 to 0, a sequential JPEG has 0 to 63"):
        stored_values(encoded(values, "1.2.840.10008.1.2.4.51", broken))


def test_a_stream_without_its_end_is_not_served_half_grey(encoded):
    values = np.random.default_rng(4).integers(0, 4096, (200, 200)).astype(np.uint16)
    stream = ENCODERS["1.2.840.10008.1.2.4.70"](values)
    path = encoded(values, "1.2.840.10008.1.2.4.70", stream[: len(stream) * 2 // 3])
    with pytest.raises(InputError, match="no end marker: the file is truncated"):
        stored_values(path)


def test_a_stream_of_another_shape_is_said(encoded):
    values = np.zeros((40, 56), np.uint16)
    path = encoded(values, "1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode(np.zeros((30, 30), np.uint16)))
    with pytest.raises(InputError, match=r"the stream is of 30 x 30 pixels, the file states 40 x 56"):
        stored_values(path)


def test_short_plain_pixel_data_is_said(write_dicom):
    data = write_dicom(np.zeros((40, 56), np.uint16)).read_bytes()
    with pytest.raises(InputError, match=r"4,480 bytes of pixel data.*4,470: the file is truncated"):
        decode_dicom(data[:-10], "a.dcm")
