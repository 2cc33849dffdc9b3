"""De-identification: files per second and core, with the pixels checked for text and without; ten are asked.

    python benchmarks/deidentify.py [--files 60] [--side 2000]

Radiographs are simulated, 12 bits, uncompressed, of the size of a detector; none has text burned in, as most have not.
The floor beside it: reading the file with pydicom and writing it again. Two versions are compared by running the
program with either in PYTHONPATH, in turns.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset

from overread import simulation
from overread.images.deidentification import Deidentification, Key, deidentify, single_file
from overread.images.dicom.radiographs import stored_of


def write(folder: Path, n: int, side: int) -> None:
    small = [
        simulation.radiograph(simulation.Patient(anatomy=i), size=512, rng=np.random.default_rng(i)).pixels
        for i in range(4)
    ]
    for i in range(n):
        large = np.asarray(Image.fromarray(small[i % 4]).resize((side, side), Image.Resampling.BICUBIC))
        noise = np.random.default_rng(i).normal(0, 12, large.shape)
        values = np.clip(large.astype(np.float32) * 15 + noise, 0, 4095).astype(np.uint16)
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{i}"
        dataset.PatientID, dataset.PatientName, dataset.Modality = f"M{i:05d}", "Doe^Jane", "DX"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.StudyDate = f"1.2.4.{i}", f"1.2.5.{i}", "20200131"
        dataset.Rows, dataset.Columns = values.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
        dataset.PixelData = values.tobytes()
        dataset["PixelData"].VR = "OW"
        pydicom.dcmwrite(folder / f"{i}.dcm", dataset, enforce_file_format=True)


def rate(source: Path, out: Path, n: int) -> float:
    begun = time.perf_counter()
    made = deidentify(source, out, Key(bytes(range(32))), Deidentification())
    assert made.clean == n, made
    return n / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--side", type=int, default=2000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as held:
        source = Path(held) / "in"
        source.mkdir()
        write(source, given.files, given.side)
        begun = time.perf_counter()
        for path in source.iterdir():
            pydicom.dcmread(path).save_as(Path(held) / "copy.dcm")
        print(f"read and write alone: {given.files / (time.perf_counter() - begun):.1f} per second")
        print(f"with the text check: {rate(source, Path(held) / 'a', given.files):.1f} per second, one process")
        single_file.examined = lambda dataset, path, options: (stored_of(dataset, path), [])  # type: ignore[assignment]
        print(f"without it: {rate(source, Path(held) / 'b', given.files):.1f} per second")


if __name__ == "__main__":
    main()
