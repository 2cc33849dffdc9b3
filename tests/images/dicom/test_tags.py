"""A secondary element never costs the picture: empty is absent, readable is read, anything else is noted."""

import re
import string

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overread.errors import InputError
from overread.images.dicom import tags
from overread.images.dicom.header_scan import headers
from overread.images.dicom.headers import read_header
from overread.images.dicom.radiographs import read_dicom
from overread.images.raster.image_faults import BROKEN, Fault, said

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
# What Python, pydicom, Pillow, NumPy and imagecodecs say in their own messages.
FOREIGN = re.compile(
    r"Error|Exception|Traceback|pydicom|imagecodecs|numpy|Pillow|PIL\b|python|object has no|could not convert|NoneType|"
    r"expected a bytes|codec can't|unpack|0x[0-9a-f]{6}|<class|invalid literal|out of range|returned|VR\b",
    re.IGNORECASE,
)


def text(value):
    return value.encode("latin-1") + b" " * (len(value) % 2)


@pytest.mark.parametrize(
    ("raw", "meant", "note"),
    [
        ({"RescaleSlope": "", "RescaleIntercept": ""}, {}, ""),
        ({"RescaleSlope": "", "RescaleIntercept": "-1024"}, {"RescaleSlope": 1, "RescaleIntercept": -1024}, ""),
        (
            {"RescaleSlope": "2,0", "RescaleIntercept": "0"},
            {"RescaleSlope": 2, "RescaleIntercept": 0},
            "Rescale Slope (0028,1053) is '2,0': read with a decimal comma",
        ),
        ({"RescaleSlope": " 2 ", "RescaleIntercept": "0"}, {"RescaleSlope": 2, "RescaleIntercept": 0}, ""),
        ({"RescaleSlope": "0", "RescaleIntercept": "5"}, {}, "is '0', intercept '5': the rescale was left out"),
        ({"RescaleSlope": "1e-300", "RescaleIntercept": "5"}, {}, "the rescale was left out"),
        ({"RescaleSlope": "1e300", "RescaleIntercept": "5"}, {}, "the rescale was left out"),
        ({"RescaleSlope": "nan"}, {}, "Rescale Slope (0028,1053) is 'nan': not a number: left out"),
        ({"RescaleSlope": "one"}, {}, "Rescale Slope (0028,1053) is 'one': not a number: left out"),
        ({"WindowCenter": "", "WindowWidth": ""}, {}, ""),
        (
            {"WindowCenter": "2048,0", "WindowWidth": "1000,5"},
            {"WindowCenter": 2048, "WindowWidth": 1000.5},
            "Window Center (0028,1050) is '2048,0': read with a decimal comma",
        ),
        ({"WindowCenter": "2048\\40", "WindowWidth": "1000\\400"}, {"WindowCenter": 2048, "WindowWidth": 1000}, ""),
        ({"WindowCenter": "2048", "WindowWidth": "wide"}, {}, "Window Width (0028,1051) is 'wide'"),
        ({"WindowCenter": "2048", "WindowWidth": "3"}, {}, "window '2048/3' shows fewer than 16 grey values only"),
        (
            {"WindowCenter": "2048", "WindowWidth": "1000", "VOILUTFunction": "Linear"},
            {"WindowCenter": 2048, "WindowWidth": 1000},
            "",
        ),
        (
            {"WindowCenter": "2048", "WindowWidth": "1000", "VOILUTFunction": "sigmoid"},
            {"WindowCenter": 2048, "WindowWidth": 1000, "VOILUTFunction": "SIGMOID"},
            "",
        ),
        (
            {"WindowCenter": "2048", "WindowWidth": "1000", "VOILUTFunction": "Linear Exact"},
            {"WindowCenter": 2048, "WindowWidth": 1000, "VOILUTFunction": "LINEAR_EXACT"},
            "",
        ),
        (
            {"WindowCenter": "2048", "WindowWidth": "1000", "VOILUTFunction": "CUBIC"},
            {"WindowCenter": 2048, "WindowWidth": 1000},
            "VOI LUT Function (0028,1056) is 'CUBIC': none of LINEAR",
        ),
        ({"PhotometricInterpretation": "Monochrome1"}, {"PhotometricInterpretation": "MONOCHROME1"}, ""),
        ({"PhotometricInterpretation": " MONOCHROME 1"}, {"PhotometricInterpretation": "MONOCHROME1"}, ""),
        ({"PresentationLUTShape": "inverse"}, {"PresentationLUTShape": "INVERSE"}, ""),
        ({"PresentationLUTShape": "ROUND"}, {}, "Presentation LUT Shape (2050,0020) is 'ROUND'"),
        ({"NumberOfFrames": ""}, {}, ""),
        ({"NumberOfFrames": "one"}, {}, "Number of Frames (0028,0008) is 'one': not a number: left out"),
        ({"NumberOfFrames": "0"}, {}, ""),
        ({"PixelSpacing": "0,143\\0,143"}, {}, ""),
        ({"PixelAspectRatio": "x"}, {}, ""),
        ({"PatientOrientation": "nose"}, {}, ""),
    ],
)
def test_a_secondary_element_is_absent_read_or_left_out(write_raw, write_dicom, raw, meant, note):
    kinds = {
        "VOILUTFunction": "CS",
        "PhotometricInterpretation": "CS",
        "PresentationLUTShape": "CS",
        "NumberOfFrames": "IS",
        "PixelAspectRatio": "IS",
        "PatientOrientation": "CS",
    }
    got = read_dicom(write_raw(RAMP, **{k: (kinds.get(k, "DS"), text(v)) for k, v in raw.items()}))
    meant = dict(meant)
    expected = read_dicom(write_dicom(RAMP, photometric=meant.pop("PhotometricInterpretation", "MONOCHROME2"), **meant))
    np.testing.assert_array_equal(got.pixels, expected.pixels)
    assert (note in "; ".join(got.notes)) if note else not got.notes


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("US", b"\x18\xfc", -1000),
        ("SS", b"\x18\xfc", -1000),
        ("IS", b"-1000 ", -1000),
        ("DS", b"-1000,0", -1000),
        ("UN", b"\x18\xfc", -1000),
        ("OW", b"\x18\xfc", None),
        ("US", b"\x18\xfc\x00", None),
        ("LO", b"none", None),
        ("US", b"", None),
    ],
)
def test_padding_of_any_type_is_read_with_the_sign_of_the_stored_values(write_raw, kind, value, read):
    values = RAMP.astype(np.int16) - 500
    values[:, :4] = -1000
    got = read_dicom(write_raw(values, bits=16, PixelPaddingValue=(kind, value)))
    assert (got.black > -1000) == (read is not None)
    left_out = any("Pixel Padding Value (0028,0120) is" in note and "left out" in note for note in got.notes)
    assert left_out == (read is None and bool(value))


def test_padding_that_covers_the_picture_is_left_out(write_raw):
    got = read_dicom(write_raw(RAMP, PixelPaddingValue=("US", b"\0\0"), PixelPaddingRangeLimit=("US", b"\xff\xff")))
    np.testing.assert_array_equal(got.pixels, RAMP)
    assert got.notes == (
        "Pixel Padding Value (0028,0120) is '0 to 65535': the picture would show one grey value only: left out",
    )


@pytest.mark.parametrize(
    ("value", "size", "note"),
    [
        ("0,143\\0,143", 0.143, "read with a decimal comma"),
        ("0.143", 0.143, "has one value: taken for rows and"),
        ("0.143 mm\\0.143 mm", None, "Pixel Spacing (0028,0030) is '0.143 mm\\0.143 mm': not a number: left out"),
        ("-1\\-1", None, "not two sizes: left out"),
        ("0\\0", None, ""),
        ("", None, ""),
        ("\\", None, ""),
        ("1\\2\\3", None, "not two sizes: left out"),
        (" 0.2\\0.2\0", 0.2, ""),
    ],
)
@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagerPixelSpacing"])
def test_spacings_are_read_as_they_are_written(write_raw, keyword, value, size, note):
    header = read_header(write_raw(RAMP, **{keyword: ("DS", text(value))}))
    assert header.pixel_mm == (None if size is None else pytest.approx(size))
    assert (note.replace("Pixel Spacing (0028,0030)", "") in "; ".join(header.notes)) if note else header.notes == ()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"Rows": ("US", b"\1\2\3")}, r"Rows (0028,0010) 'bytes 01 02 03'"),
        ({"Columns": ("US", b"")}, "Columns (0028,0011) missing"),
        ({"BitsAllocated": ("LO", b"many")}, "Bits Allocated (0028,0100) 'many'"),
        ({"BitsStored": ("US", b"\0\0")}, "16 allocated (0028,0100), 0 stored (0028,0101)"),
        ({"SamplesPerPixel": ("US", b"\2\0")}, "Samples per Pixel (0028,0002) '2'"),
        ({"PhotometricInterpretation": ("CS", b"")}, "photometric interpretation (0028,0004) is missing"),
        ({"PhotometricInterpretation": ("CS", b"GREY")}, "is 'GREY', a radiograph is MONOCHROME1 or MONOCHROME2"),
        ({"PixelData": ("OW", b"")}, "stored values in the pixel data (7FE0,0010); found an empty element"),
        ({"NumberOfFrames": ("IS", b"12")}, "12 frames (0028,0008)"),
    ],
)
def test_what_is_essential_is_refused_in_plain_words(write_raw, raw, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_dicom(write_raw(RAMP, **raw))
    assert not FOREIGN.search(str(caught.value).replace(caught.value.where, ""))


@pytest.mark.parametrize(
    ("raw", "note"),
    [
        ({"HighBit": ("US", b"")}, ""),
        ({"HighBit": ("US", b"\x63\0")}, "High Bit (0028,0102) is '99': 12 of 16 bits are stored: left out"),
        ({"HighBit": ("US", b"\2\0")}, "High Bit (0028,0102) is '2': 12 of 16 bits are stored: left out"),
        ({"PixelRepresentation": ("US", b"\7\0")}, "Pixel Representation (0028,0103) is '7'"),
        ({"PixelRepresentation": ("LO", b"unsigned")}, "Pixel Representation (0028,0103) is 'unsigned'"),
        ({"BitsStored": ("US", b"\x20\0")}, "Bits Stored (0028,0101) is '32': 16 are allocated and taken"),
    ],
)
def test_bits_that_cannot_be_are_noted(write_raw, raw, note):
    got = read_dicom(write_raw(RAMP, **raw))
    np.testing.assert_array_equal(got.pixels, RAMP)
    assert (note in "; ".join(got.notes)) if note else not got.notes


SECONDARY = {
    "RescaleSlope": "DS",
    "RescaleIntercept": "DS",
    "WindowCenter": "DS",
    "WindowWidth": "DS",
    "VOILUTFunction": "CS",
    "PresentationLUTShape": "CS",
    "NumberOfFrames": "IS",
    "PixelSpacing": "DS",
    "ImagerPixelSpacing": "DS",
    "NominalScannedPixelSpacing": "DS",
    "EstimatedRadiographicMagnificationFactor": "DS",
    "PixelAspectRatio": "IS",
    "SmallestImagePixelValue": "US",
    "LargestImagePixelValue": "US",
    "PixelPaddingValue": "US",
    "PixelPaddingRangeLimit": "US",
    "PatientOrientation": "CS",
    "HighBit": "US",
    "VOILUTSequence": "SQ",
    "ModalityLUTSequence": "SQ",
    "ViewCodeSequence": "SQ",
    "ViewPosition": "CS",
    "PatientAge": "AS",
    "PatientSex": "CS",
    "StudyDate": "DA",
    "PatientBirthDate": "DA",
    "BurnedInAnnotation": "CS",
    "Modality": "CS",
    "PixelSpacingCalibrationType": "CS",
    "Manufacturer": "LO",
    "PatientName": "PN",
}
KINDS = ["DS", "IS", "CS", "LO", "US", "SS", "UL", "FL", "FD", "OW", "OB", "UN", "SQ", "PN", "UT", "AT"]
UNREADABLE = (
    "RescaleSlope",
    "RescaleIntercept",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "PresentationLUTShape",
    "NumberOfFrames",
    "HighBit",
    "PixelPaddingValue",
)
WORDS = st.text(string.ascii_letters, min_size=3, max_size=8).filter(lambda w: w.lower() not in ("inverse", "sigmoid"))


def odd(rng):
    """Some secondary elements with odd values of odd types."""
    letters = "".join(rng.choice([*string.ascii_letters], 6))
    number = str(rng.choice([0, 1, -1, 0.5, 1e9, 1e300, float("nan"), rng.normal(), rng.integers(1 << 20)]))
    values = [
        b"",
        b"  ",
        text(letters),
        rng.bytes(int(rng.integers(1, 12))),
        text(number),
        text(number.replace(".", ",")),
        text(f"{number}\\{number}"),
        text(f" {number} "),
    ]
    chosen = rng.choice([*SECONDARY], int(rng.integers(1, 12)), replace=False)
    some = lambda kind: (str(rng.choice([kind, kind, *KINDS])), values[rng.integers(len(values))])  # noqa: E731
    made = {str(k): some(SECONDARY[k]) for k in chosen}
    return made | ({"SpecificCharacterSet": ("CS", values[rng.integers(len(values))])} if rng.random() < 0.3 else {})


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(120))
def test_random_secondary_elements_never_cost_the_picture(write_raw, seed):
    raw = odd(np.random.default_rng(seed))
    path = write_raw(RAMP, **raw)
    frames = tags.whole(pydicom.dcmread(path), "NumberOfFrames", [])
    if frames is not None and frames > 1:
        with pytest.raises(InputError, match="frames"):
            read_dicom(path)
        return
    got = read_dicom(path)
    assert len(np.unique(got.pixels)) >= 16
    notes = [*got.notes, *got.header.notes]
    assert not [n for n in notes if FOREIGN.search(re.sub(r"'[^']*'", "", n))]
    assert all(n.isprintable() for n in notes)
    (row,) = headers([str(path)]).iter_rows(named=True)
    assert row["fault"] == ""


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.fixed_dictionaries({}, optional=dict.fromkeys(UNREADABLE, WORDS)))
def test_every_element_that_cannot_be_read_is_noted_and_changes_nothing(write_raw, words):
    got = read_dicom(write_raw(RAMP, **{k: ("LO", text(v)) for k, v in words.items()}))
    np.testing.assert_array_equal(got.pixels, RAMP)
    assert all(any(f"'{word}'" in note and "left out" in note for note in got.notes) for word in words.values())
    assert len(got.notes) == len(words)


@pytest.mark.parametrize("error", [e("words of a library: 'x'") for e in BROKEN if e is not UnicodeError], ids=repr)
def test_no_exception_of_a_library_speaks(error):
    assert "words of a library" not in said(error)
    assert said(Fault("the stream has no frame header")) == "the stream has no frame header"
