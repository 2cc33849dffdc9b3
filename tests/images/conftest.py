import struct

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian


@pytest.fixture
def write_dicom(tmp_path):
    """Write a small DX file; keywords are tags."""

    def write(stored, name="a.dcm", *, bits=12, photometric="MONOCHROME2", **tags):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
        dataset.PatientID, dataset.Modality = "17", "DX"
        dataset.Rows, dataset.Columns = stored.shape[:2]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
        dataset.BitsAllocated = 8 * stored.dtype.itemsize
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.PixelRepresentation = int(stored.dtype.kind == "i")
        dataset.PixelData = np.ascontiguousarray(stored).tobytes()
        dataset["PixelData"].VR = "OB" if stored.dtype.itemsize == 1 else "OW"
        for tag, value in tags.items():
            setattr(dataset, tag, value)
        path = tmp_path / name
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def write_raw(write_dicom):
    """Write a small DX file whose elements have these bytes, whatever their type allows; keywords are tags.

    A value is (type, bytes); an item of `sequences` is a tag and the data set that is its only item.
    """

    def write(stored, name="a.dcm", *, bits=12, big=False, sequences=(), **raw):
        path = write_dicom(stored, name, bits=bits)
        if sequences or big:
            dataset = pydicom.dcmread(path)
            for keyword, item in sequences:
                setattr(dataset, keyword, [item])
            if big:
                dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
                dataset.PixelData = stored.astype(stored.dtype.newbyteorder(">")).tobytes()
            pydicom.dcmwrite(path, dataset, implicit_vr=False, little_endian=not big)
        data = path.read_bytes()
        read = pydicom.dcmread(path)
        elements = {e.tag: (e.VR, e.value) for e in map(read.get_item, read.keys())}
        elements |= {pydicom.tag.Tag(keyword): element for keyword, element in raw.items()}
        start = 144 + int.from_bytes(data[140:144], "little")
        body = (_element(tag, *elements[tag], ">" if big else "<") for tag in sorted(elements))
        path.write_bytes(data[:start] + b"".join(body))
        return path

    return write


def _element(tag, kind, value, order):
    """An element with explicit type (PS3.5, 7.1.2)."""
    value = value or b""
    long = kind in ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UN", "UR", "UT")
    head = struct.pack(f"{order}HH", tag.group, tag.element) + kind.encode()
    return head + (bytes(2) if long else b"") + struct.pack(f"{order}{'I' if long else 'H'}", len(value)) + value
