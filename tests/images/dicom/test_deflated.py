import zlib

import numpy as np
import pydicom
import pytest

from overread.errors import InputError
from overread.images.dicom.deflated import SYNTAX, inflated
from overread.images.dicom.header_scan import scan
from overread.images.dicom.headers import read_header
from overread.images.dicom.radiographs import stored_values

NOISE = np.random.default_rng(6).integers(0, 4096, (1200, 1000)).astype(np.uint16)


@pytest.fixture
def deflated(write_dicom):
    def write(values):
        path = write_dicom(values, PatientName="Doe^Jane")
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = SYNTAX
        dataset.save_as(path)
        return path

    return write


def test_a_deflated_file_is_read_and_says_its_own_syntax(deflated):
    path = deflated(NOISE)
    np.testing.assert_array_equal(stored_values(path), NOISE)
    assert read_header(path).transfer_syntax == SYNTAX


def test_its_header_is_read_from_the_first_bytes_alone(deflated):
    path = deflated(NOISE)
    assert path.stat().st_size > 1 << 20
    header = read_header(path)
    assert (header.patient_id, header.rows, header.columns) == ("17", 1200, 1000)
    assert scan([path])["rows"].to_list() == [1200]


def test_a_file_that_is_not_deflated_is_left_as_it_is(write_dicom):
    data = write_dicom(NOISE).read_bytes()
    assert inflated(data, "a.dcm", most=10, whole=True) is None


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("length", [None, b"\xff\xff\x00\x00"])
def test_a_bomb_is_found_whatever_the_meta_information_says_of_its_length(deflated, bare, length):
    data = deflated(NOISE[:50]).read_bytes()
    start = 144 + int.from_bytes(data[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    meta = data[:140] + (length or data[140:144]) + data[144:start]
    bomb = meta[132 if bare else 0 :] + packer.compress(bytes(5_000_000)) + packer.flush()
    with pytest.raises(InputError, match="at most 1,000,000 bytes when inflated; found more"):
        inflated(bomb, "bomb.dcm", most=1_000_000, whole=True)


def test_a_cut_or_broken_stream_is_said(deflated):
    data = deflated(NOISE[:50]).read_bytes()
    with pytest.raises(InputError, match="a stream without its end: the file is truncated"):
        inflated(data[:-50], "a.dcm", most=1 << 20, whole=True)
    start = 144 + int.from_bytes(data[140:144], "little")
    with pytest.raises(InputError, match="found a broken stream"):
        inflated(data[:start] + b"\xff" * 50, "a.dcm", most=1 << 20, whole=True)
