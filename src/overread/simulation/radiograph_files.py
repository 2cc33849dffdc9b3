"""Writing of simulated radiographs as 8-bit PNG or as DICOM DX images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from overread import tables
from overread.simulation.patient_visits import Visit
from overread.simulation.rendering import Radiography

# 12-bit stored values: the window lies inside the range, so that a reader which ignores it gets another picture.
CENTER, WIDTH = 1900, 3200


def write_png(picture: Radiography, path: Path) -> None:
    """Write a radiograph as 8-bit PNG, atomically."""
    with tables.replacing(path) as part:
        Image.fromarray(picture.pixels).save(part, format="PNG")


def write_dicom(picture: Radiography, visit: Visit, path: Path) -> None:
    """Write a DX image: Explicit VR Little Endian, 12 bits, MONOCHROME1 (high = dark), with a window."""
    with tables.replacing(path) as part:
        dataset(picture, visit).save_as(part, enforce_file_format=True)


def dataset(picture: Radiography, visit: Visit) -> Dataset:
    """DICOM data set of a visit's radiograph; UIDs depend only on the image id."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["image", visit.image_id])
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.StudyInstanceUID = generate_uid(entropy_srcs=["study", visit.image_id])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=["series", visit.image_id])
    ds.PatientID, ds.PatientName = visit.patient_id, f"Simulated^{visit.patient_id}"
    ds.PatientSex, ds.PatientAge = visit.patient.sex, f"{int(visit.patient.age_years):03d}Y"
    ds.PatientBirthDate = ""
    ds.StudyDate = ds.AcquisitionDate = ds.ContentDate = visit.acquired.strftime("%Y%m%d")
    ds.StudyTime = ds.ContentTime = "120000"
    ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = visit.image_id[:16], "1", ""
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "DX", 1, 1
    ds.Manufacturer = visit.acquisition.device.manufacturer
    ds.ManufacturerModelName = visit.acquisition.device.model
    ds.InstitutionName = visit.site
    ds.BodyPartExamined, ds.ViewPosition, ds.ImageLaterality = "CHEST", visit.acquisition.view, "U"
    ds.PatientOrientation = ["L", "F"]
    ds.ImageType, ds.PresentationIntentType = ["ORIGINAL", "PRIMARY"], "FOR PRESENTATION"
    ds.BurnedInAnnotation, ds.LossyImageCompression = "YES", "00"
    _pixels(ds, picture, visit)
    return ds


def _pixels(ds: Dataset, picture: Radiography, visit: Visit) -> None:
    ds.Rows = ds.Columns = picture.display.shape[0]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME1"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", 1
    ds.PresentationLUTShape, ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "INVERSE", "0", "1", "US"
    ds.WindowCenter, ds.WindowWidth = str(CENTER), str(WIDTH)
    spacing = round(visit.acquisition.field_cm * 10.0 / ds.Rows, 5)
    ds.ImagerPixelSpacing = ds.PixelSpacing = [spacing, spacing]
    # The linear window runs from centre - 0.5 - (width - 1) / 2 to centre - 0.5 + (width - 1) / 2 (PS3.3 C.11.2.1.2).
    stored = CENTER - 0.5 + (WIDTH - 1) * (0.5 - picture.display.astype(np.float64))
    ds.PixelData = np.round(stored).astype("<u2").tobytes()


def write_regions(picture: Radiography, path: Path) -> None:
    """Write the regions of the findings beside the image: finding -> boxes (x, y, width, height in pixels)."""
    found = {f: [(b.x, b.y, b.width, b.height) for b in picture.boxes(f)] for f in picture.masks}
    tables.write_text(path, json.dumps(found, sort_keys=True))
