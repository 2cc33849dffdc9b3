"""The headers of many DICOM files: at least 2,000 per second and core are asked; beside pydicom and the bare read.

    python benchmarks/headers.py [--files 20000] [--workers 1]

Files are copies of one simulated radiograph with a header of usual length, each under its own instance UID.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

from overread.images.dicom.header_scan import scan


def write(folder: Path, n: int) -> list[Path]:
    rng = np.random.default_rng(0)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.840.99999999.1000000"
    tags = {
        "PatientID": "MRN1",
        "PatientName": "Doe^Jane",
        "PatientSex": "F",
        "PatientAge": "055Y",
        "Modality": "DX",
        "StudyDate": "20200131",
        "AccessionNumber": "A1",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.4",
        "Manufacturer": "SIEMENS",
        "ManufacturerModelName": "Ysio",
        "StationName": "R1",
        "ViewPosition": "PA",
        "BodyPartExamined": "CHEST",
        "ImagerPixelSpacing": [0.14, 0.14],
        "KVP": 120,
        "Exposure": 2,
        "StudyDescription": "CHEST",
        "SeriesDescription": "PA",
        "ProtocolName": "Chest",
        "DetectorID": "D1",
        "InstitutionName": "H",
        "ImageComments": "x" * 400,
        "DerivationDescription": "y" * 300,
    }
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 128, 128, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = rng.integers(0, 4096, (128, 128)).astype(np.uint16).tobytes()
    dataset["PixelData"].VR = "OW"
    pydicom.dcmwrite(folder / "one", dataset, enforce_file_format=True)
    data = (folder / "one").read_bytes()
    paths = []
    for i in range(n):
        path = folder / f"{i:06d}.dcm"
        path.write_bytes(data.replace(b"1.2.840.99999999.1000000", f"1.2.840.99999999.1{i:06d}".encode()))
        paths.append(path)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as held:
        paths = write(Path(held), given.files)
        some = paths[: min(3000, given.files)]
        begun = time.perf_counter()
        for path in some:
            with path.open("rb", buffering=0) as file:
                file.read(8192)
        bare = len(some) / (time.perf_counter() - begun)
        begun = time.perf_counter()
        for path in some:
            pydicom.dcmread(path, stop_before_pixels=True).get("PatientID")
        theirs = len(some) / (time.perf_counter() - begun)
        begun = time.perf_counter()
        found = scan(paths, workers=given.workers)
        ours = len(paths) / (time.perf_counter() - begun)
        assert found["image"].n_unique() == given.files
    print(f"bare read of 8 kB: {bare:,.0f} per second; pydicom, header alone: {theirs:,.0f}")
    print(f"scan, {given.workers} process(es): {ours:,.0f} per second, {ours / theirs:.2f}x pydicom (no values read)")


if __name__ == "__main__":
    main()
