"""Header of a DICOM radiograph: patient, date, device, view and pixel size.

Irregular values are noted and not corrected silently. None or "" means that the header does not give the value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from overread import limits, regular
from overread.errors import InputError
from overread.images.dicom import tags
from overread.images.dicom.deflated import SYNTAX as DEFLATED
from overread.images.dicom.deflated import inflated
from overread.images.raster.file_content import MAX_PIXELS, content
from overread.images.raster.image_faults import BROKEN, lenient, readable

_HEAD = 1 << 20
_LARGEST = 2 * MAX_PIXELS + (1 << 24)  # bytes of the largest picture that is read, and of a long header
_VIEWS = {"PA": "PA", "AP": "AP", "LL": "LATERAL", "RL": "LATERAL", "LATERAL": "LATERAL", "LAT": "LATERAL"}
# PS3.16 CID 4010 (DX View): SNOMED CT, and the SNOMED RT codes of older files.
_VIEW_CODES = {
    "399348003": "AP",
    "R-10206": "AP",
    "272479007": "PA",
    "R-10214": "PA",
    "R-40888": "PA",
    "399067008": "LATERAL",
    "R-102CD": "LATERAL",
    "399173006": "LATERAL",
    "R-10236": "LATERAL",
    "399198007": "LATERAL",
    "R-10232": "LATERAL",
}
_AGE_UNITS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_PLACEHOLDERS = (date(1899, 12, 30), date(1899, 12, 31), date(1900, 1, 1))  # birth dates used for "unknown"
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and its multi-frame kinds .7.1 to .7.4
TAGS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "AcquisitionDate",
    "StudyDate",
    "ContentDate",
    "AccessionNumber",
    "Modality",
    "ConversionType",
    "Manufacturer",
    "StationName",
    "ManufacturerModelName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "BodyPartExamined",
    "ViewPosition",
    "ViewCodeSequence",
    "ImageType",
    "Laterality",
    "ImageLaterality",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PatientOrientation",
    "BurnedInAnnotation",
    "PixelSpacingCalibrationType",
    "EstimatedRadiographicMagnificationFactor",
    *_SPACINGS,
)
_PLACES = {name: Tag(name) for name in (*TAGS, "CodeValue")}
_KINDS = {name: dictionary_VR(tag) for name, tag in _PLACES.items()}
_PLAIN = ("AE", "AS", "CS", "DA", "DS", "IS", "LO", "SH", "UI")  # text, one value of plain letters


@dataclass(frozen=True, slots=True)
class Header:
    """Header of a radiograph; None or "" where a value is not given.

    `study`, `series` and `image` are instance UIDs; `issuer` is the Issuer of Patient ID (0010,0021); `burned_in` is
    YES, NO or ""; `secondary` marks a secondary capture (a screenshot or digitised film), whatever its modality;
    `notes` describe irregular values.
    """

    patient_id: str
    issuer: str
    study: str
    series: str
    image: str
    accession: str
    sop_class: str
    modality: str
    view: str
    laterality: str
    body_part: str
    sex: str | None
    age_years: float | None
    manufacturer: str
    device: str
    station: str
    acquired: date | None
    pixel_mm: float | None
    rows: int
    columns: int
    frames: int
    photometric: str
    transfer_syntax: str
    burned_in: str
    secondary: bool
    notes: tuple[str, ...] = ()


def read_header(path: Path | str) -> Header:
    """Read the header of a file without its pixels.

    Parameters
    ----------
    path : path
        DICOM file.

    Returns
    -------
    Header
        The header.

    Raises
    ------
    InputError
        The file is missing or is not DICOM.
    """
    path = Path(path)
    try:
        with regular.opened(path) as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise InputError(path, "a DICOM file", f"one that cannot be opened: {error.strerror or error}") from error
    with lenient():
        return header_of(dataset_of(head, path, with_pixels=False), path)


def dataset_of(
    data: bytes, where: Path | str, *, with_pixels: bool, tags: Iterable[str] | None = None
) -> pydicom.Dataset:
    """Parse the data set in these bytes, with or without preamble and file meta information.

    Parameters
    ----------
    data : bytes
        The file, or its first bytes.
    where : path
        Name of the file in messages.
    with_pixels : bool
        Whether the pixel data are read.
    tags : iterable of str, optional
        Keywords of the elements to read; None = all.

    Returns
    -------
    Dataset
        The data set.

    Raises
    ------
    InputError
        The bytes are not DICOM, or are damaged before the first element.
    """
    if content(data[:512]) != "DICOM":
        raise InputError(where, "a DICOM file", f"a file whose content is {content(data[:512])}")
    plain = inflated(data, where, most=_LARGEST if with_pixels else _HEAD, whole=with_pixels)
    _check_items(data if plain is None else plain, where)
    with readable(where, "a complete DICOM file"), lenient():  # a file that ends early is refused later
        dataset = pydicom.dcmread(
            BytesIO(data if plain is None else plain),
            force=True,
            stop_before_pixels=not with_pixels,
            specific_tags=None if tags is None else [_PLACES[t] for t in tags],
        )
        if plain is not None:
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(DEFLATED)
        return dataset


def _check_items(data: bytes, where: Path | str) -> None:
    """Refuse a header with too many sequence items: each takes pydicom as long as a hundred bytes of text."""
    for pixels, item in ((b"\xe0\x7f\x10\x00", b"\xfe\xff\x00\xe0"), (b"\x7f\xe0\x00\x10", b"\xff\xfe\xe0\x00")):
        end = data.find(pixels)
        found = data.count(item, 0, len(data) if end < 0 else end)
        if found > limits.HEADER_ITEMS:
            raise InputError(
                where, f"at most {limits.HEADER_ITEMS:,} items of sequences", f"{found:,} items of sequences"
            )


def header_of(dataset: pydicom.Dataset, where: Path | str) -> Header:
    """Extract the header from a data set.

    Parameters
    ----------
    dataset : Dataset
        The data set; other elements are ignored.
    where : path
        Name of the file in messages.

    Returns
    -------
    Header
        The header.

    Raises
    ------
    InputError
        Elements cannot be read.

    Notes
    -----
    View: ViewPosition (0018,5101), otherwise ViewCodeSequence (0054,0220). Age: PatientAge (0010,1010), otherwise from
    birth date and study date. Pixel size: DICOM PS3.3, section 10.7.
    """
    notes: list[str] = []
    with readable(where, "a header that can be read"):
        meta = getattr(dataset, "file_meta", None)
        syntax = str(getattr(meta, "TransferSyntaxUID", "") or "")
        if getattr(dataset, "preamble", None) is None:
            notes.append("no preamble")
        if not syntax:
            notes.append("no file meta information: the encoding was found out")
        sop_class = _text(dataset, "SOPClassUID")
        return Header(
            patient_id=_text(dataset, "PatientID"),
            issuer=_text(dataset, "IssuerOfPatientID"),
            study=_text(dataset, "StudyInstanceUID"),
            series=_text(dataset, "SeriesInstanceUID"),
            image=_text(dataset, "SOPInstanceUID"),
            accession=_text(dataset, "AccessionNumber"),
            sop_class=sop_class,
            modality=_text(dataset, "Modality"),
            view=_view(dataset, notes),
            laterality=_text(dataset, "ImageLaterality") or _text(dataset, "Laterality"),
            body_part=_text(dataset, "BodyPartExamined"),
            sex=_sex(dataset, notes),
            age_years=_age_years(dataset, notes),
            manufacturer=_text(dataset, "Manufacturer"),
            device=_text(dataset, "ManufacturerModelName"),
            station=_text(dataset, "StationName"),
            acquired=_day(dataset, "AcquisitionDate") or _day(dataset, "StudyDate") or _day(dataset, "ContentDate"),
            pixel_mm=_pixel_mm(dataset, notes),
            rows=_whole(dataset, "Rows"),
            columns=_whole(dataset, "Columns"),
            frames=_whole(dataset, "NumberOfFrames") or 1,
            photometric=_text(dataset, "PhotometricInterpretation"),
            transfer_syntax=syntax,
            burned_in=_text(dataset, "BurnedInAnnotation").upper(),
            secondary=sop_class.startswith(_SECONDARY_CAPTURE) or bool(_text(dataset, "ConversionType")),
            notes=tuple(notes),
        )


def _text(dataset: pydicom.Dataset, tag: str) -> str:
    raw = dataset.get_item(_PLACES[tag])
    if raw is None:
        return ""
    plain = isinstance(raw, RawDataElement) and isinstance(raw.value, bytes) and (raw.VR or _KINDS[tag]) in _PLAIN
    if plain and raw.value.isascii() and b"\\" not in raw.value:  # the common case: no need to create an element
        return str(raw.value.decode("ascii").strip(" \0\t\r\n"))
    try:
        value = dataset.get(tag)
    except BROKEN:  # wrong type or unknown character set: decode the bytes
        return tags.pieces(dataset, tag)[0] if tags.pieces(dataset, tag) else ""
    return "" if value is None else str(value).strip()


def _whole(dataset: pydicom.Dataset, tag: str) -> int:
    return tags.whole(dataset, tag, []) or 0  # irregular values are noted where the pixels are read


def _view(dataset: pydicom.Dataset, notes: list[str]) -> str:
    """View by ViewPosition (0018,5101), otherwise by the first code of ViewCodeSequence (0054,0220); a conflict is
    noted.
    """
    word = _text(dataset, "ViewPosition").upper()
    view_position = _VIEWS.get(word, "UNKNOWN")
    codes = tags.items(dataset, "ViewCodeSequence", notes)
    coded = _VIEW_CODES.get(_text(codes[0], "CodeValue"), "UNKNOWN") if codes else "UNKNOWN"
    if "UNKNOWN" not in (view_position, coded) and view_position != coded:
        notes.append(f"view position says {view_position}, view code {coded}: {view_position} is taken")
    if view_position == "UNKNOWN" and coded != "UNKNOWN":
        notes.append("view taken from the view code")
        return coded
    if view_position == "UNKNOWN" and word:
        notes.append(f"view position {tags.quoted(word)} is none of PA, AP, lateral: UNKNOWN")
    return view_position


def _sex(dataset: pydicom.Dataset, notes: list[str]) -> str | None:
    word = _text(dataset, "PatientSex").upper()
    if word in ("F", "M"):
        return word
    if word not in ("", "O"):
        notes.append(f"patient sex {tags.quoted(word)} is none of F, M, O: not stated")
    return None


def _day(dataset: pydicom.Dataset, tag: str) -> date | None:
    digits = _text(dataset, tag).replace(".", "")[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def _age_years(dataset: pydicom.Dataset, notes: list[str]) -> float | None:
    """Age in years by PatientAge ("034Y", "018M"), otherwise from birth to study; outside 0 to 120 years it is missing.

    Placeholders are missing too: an age of 0 years (a newborn has days or months), and birth dates such as 1 January
    1900.
    """
    text, years = _text(dataset, "PatientAge").upper(), None
    number, unit = (text, "") if text.isdecimal() else (text[:-1], text[-1:])
    if number.isdecimal() and number.isascii() and len(number) <= 3 and (not unit or unit in _AGE_UNITS):
        if not unit:  # violates the standard, but occurs in all 26,684 files of RSNA's challenge
            notes.append("age without a unit: taken as years")
        years = int(number) * _AGE_UNITS.get(unit, 1.0)
        if years == 0 and unit in ("Y", ""):
            notes.append(f"age {tags.quoted(text)} is a placeholder: not stated")
            years = None
    elif text:
        notes.append(f"age {tags.quoted(text)} is not a number of years, months, weeks or days: not stated")
    years = _possible(years, notes)
    if years is not None:
        return years
    born, seen = _born(dataset, notes), _day(dataset, "StudyDate")
    return _possible((seen - born).days / 365.25, notes) if born and seen else None


def _possible(years: float | None, notes: list[str]) -> float | None:
    if years is None or 0 <= years <= 120:
        return years
    notes.append(f"age {years:.0f} years: not stated")
    return None


def _born(dataset: pydicom.Dataset, notes: list[str]) -> date | None:
    """Birth date, unless it is a placeholder that systems write for an unknown date."""
    born = _day(dataset, "PatientBirthDate")
    if born is None or (born.year >= 1880 and born not in _PLACEHOLDERS):
        return born
    notes.append(f"birth date '{born.isoformat().replace('-', '')}' is a placeholder: not stated")
    return None


def _pixel_mm(dataset: pydicom.Dataset, notes: list[str]) -> float | None:
    """Size of a pixel in mm; 0 is not a size (PS3.3 section 10.7).

    PixelSpacing (0028,0030); otherwise ImagerPixelSpacing (0018,1164), which applies at the detector; otherwise, for
    digitised film, NominalScannedPixelSpacing (0018,2010). A PixelSpacing without calibration type (0028,0A02) that
    equals ImagerPixelSpacing applies at the detector too. Sizes at the detector are divided by the magnification
    factor (0018,1114) where it is given.
    """
    spacings = {tag: pair for tag in _SPACINGS if (pair := _spacing(dataset, tag, notes)) is not None}
    if not spacings:
        return None
    tag, (size, across) = next(iter(spacings.items()))
    if abs(across - size) > 0.01 * size:
        notes.append("pixels are not square: the row spacing is taken")
    if tag == "NominalScannedPixelSpacing":
        notes.append("pixel size that of the film scanner")
    larger = tags.number(dataset, "EstimatedRadiographicMagnificationFactor", notes)
    calibrated = _text(dataset, "PixelSpacingCalibrationType")
    at_detector = not calibrated and spacings[tag] == spacings.get("ImagerPixelSpacing")
    if at_detector and larger and larger > 1:
        notes.append("pixel size at the detector divided by the magnification")
        return size / larger
    return size


def _spacing(dataset: pydicom.Dataset, tag: str, notes: list[str]) -> tuple[float, float] | None:
    """Row and column spacing in mm; a single value is used for both and noted; 0 is not a size."""
    values = tags.numbers(dataset, tag, notes)
    if len(values) == 1 and values[0] > 0:
        notes.append(f"{tags.name(tag)} has one value: taken for rows and columns")
        values *= 2
    if len(values) == 2 and values[0] > 0 and values[1] > 0:
        return values[0], values[1]
    if values and any(values):
        notes.append(tags.left_out(tag, "\\".join(tags.pieces(dataset, tag)), "not two sizes"))
    return None
