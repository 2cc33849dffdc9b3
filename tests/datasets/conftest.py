import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset


@pytest.fixture
def dicom_file():
    """Write a small DICOM radiograph; keywords are tags."""

    def write(path, stored=None, **tags):
        values = np.arange(64, dtype=np.uint8).reshape(8, 8) if stored is None else stored
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
        uid = tags.pop("SOPInstanceUID", pydicom.uid.generate_uid(entropy_srcs=[str(path)]))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
        dataset.Modality = "DX"
        dataset.Rows, dataset.Columns = values.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation = 7, 0
        for tag, value in tags.items():
            setattr(dataset, tag, value)
        dataset.PixelData = values.tobytes()
        dataset["PixelData"].VR = "OB"
        path.parent.mkdir(parents=True, exist_ok=True)
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)
        return path

    return write
