"""De-identification attributes of a cleaned file (PS3.15 E.1.1 and CID 7050), and its file meta information."""

from __future__ import annotations

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from overread.images.deidentification.profile import Deidentification

METHOD = "overread: PS3.15 Annex E, Basic Profile and options by code"
# CID 7050 has no code for the option `device`: 113109 states that the identity of the device is retained, and serial
# numbers, station names and the like are not.
DEVICE = "Product names retained, other text of devices pseudonymised"
_METHODS = {
    "basic": ("113100", "Basic Application Confidentiality Profile"),
    "pixels": ("113101", "Clean Pixel Data Option"),
    "descriptors": ("113105", "Clean Descriptors Option"),
    "modified_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "patient": ("113108", "Retain Patient Characteristics Option"),
    "institution": ("113112", "Retain Institution Identity Option"),
}


def add_to(dataset: Dataset, options: Deidentification) -> None:
    """Record the methods applied, by code where the standard has one for exactly this action."""
    dataset.SpecificCharacterSet = "ISO_IR 192"  # UTF-8, which has every letter that an option may keep
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = [METHOD, DEVICE] if options.device else METHOD
    items = []
    for name in ("basic", "pixels", *(o for o in options.options() if o in _METHODS)):
        item = Dataset()
        item.CodeValue, item.CodeMeaning = _METHODS[name]
        item.CodingSchemeDesignator = "DCM"
        items.append(item)
    dataset.DeidentificationMethodCodeSequence = Sequence(items)
    dataset.LongitudinalTemporalInformationModified = "MODIFIED" if options.dates == "shift" else "REMOVED"


def add_meta(dataset: Dataset) -> None:
    """New file meta information for Explicit VR Little Endian with a preamble of zeros; nothing is copied."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.UID(str(dataset.SOPClassUID))
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta = meta
    dataset.preamble = bytes(128)


def is_ours(tag: int, value: object) -> bool:
    """Whether an element of a cleaned file was written by this package with its text."""
    if tag == 0x00120063:
        return value == METHOD or list(value if isinstance(value, MultiValue) else ()) == [METHOD, DEVICE]
    return tag in (0x00020012, 0x00020013)  # pydicom's own identifier and version
