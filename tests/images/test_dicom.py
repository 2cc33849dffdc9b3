import csv
import hashlib

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing

from overread.errors import InputError
from overread.images.dicom import decode_dicom, read_dicom, read_header, stored_values

RAMP = np.arange(0, 4096, dtype=np.uint16).reshape(64, 64)


def references(shared):
    with shared("real/dicom/decoded_reference.csv").open() as file:
        return list(csv.DictReader(file))


def test_stored_values_of_public_files_have_the_published_hashes(shared):
    checked = 0
    for row in references(shared):
        if row["decoded"] != "yes":
            continue
        values = stored_values(shared(f"real/dicom/{row['file']}"))
        assert values.shape == (int(row["rows"]), int(row["columns"])), row["file"]
        digest = hashlib.sha256(np.ascontiguousarray(values).astype("<u2").tobytes()).hexdigest()
        assert digest == row["pixel_sha256_as_uint16le"], row["file"]
        checked += 1
    assert checked == 10


def test_a_stream_that_no_decoder_takes_is_said(shared):
    path = shared("real/dicom/RG3_leg_JPEG_extended12.dcm")
    with pytest.raises(InputError, match=r"pixel data \(7FE0,0010\) in JPEG Extended.*cannot be decoded \(.*pydicom"):
        read_dicom(path)


def test_public_files_are_shown_with_air_dark(shared):
    """The corners of these chest films hold the most air; the mediastinum is bright."""
    chest = read_dicom(shared("real/dicom/RG1_chest_J2K_lossy.dcm"))
    rows, columns = chest.pixels.shape
    lung = np.median(chest.pixels[rows // 3 : rows // 2, columns // 5 : columns // 4])
    spine = np.median(chest.pixels[rows // 2 : rows * 3 // 5, columns * 9 // 20 : columns // 2])
    assert spine > lung
    assert chest.header.view == "PA"
    assert 64 < chest.header.age_years < 65


def test_no_preamble_and_no_meta_information_is_read(shared):
    header = read_header(shared("real/dicom/CR-MONO1-10-chest.dcm"))
    assert (header.rows, header.columns, header.modality, header.photometric) == (440, 440, "CR", "MONOCHROME1")


def test_every_cut_of_every_public_file_is_refused(shared):
    """A truncated file is never served half grey."""
    for row in references(shared):
        data = shared(f"real/dicom/{row['file']}").read_bytes()
        for share in (0.01, 0.4, 0.95, 0.999):
            with pytest.raises(InputError):
                decode_dicom(data[: int(len(data) * share)], row["file"])


def test_window_equals_pydicom_on_every_function(write_dicom):
    for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        path = write_dicom(RAMP, WindowCenter=1500, WindowWidth=1000, VOILUTFunction=function)
        dataset = pydicom.dcmread(path)
        expected = apply_windowing(RAMP, dataset) / 4095 * 65535
        got = read_dicom(path)
        assert (got.black, got.white) == (0, 65535)
        np.testing.assert_allclose(got.pixels, expected, atol=0.51)


def test_rescale_comes_before_the_window(write_dicom):
    path = write_dicom(RAMP, RescaleSlope=2, RescaleIntercept=-100, WindowCenter=1900, WindowWidth=1001)
    pixels = read_dicom(path).pixels.ravel()
    assert pixels[0] == 0
    assert pixels[(1900 + 100) // 2] == pytest.approx(65535 / 2, abs=65)
    assert pixels[-1] == 65535


def test_without_a_voi_values_span_what_is_there(write_dicom):
    got = read_dicom(write_dicom(RAMP + 10, bits=13))
    assert (got.black, got.white, got.pixels.dtype) == (10, 4105, np.uint16)
    ignored = read_dicom(write_dicom(RAMP, WindowCenter=1500, WindowWidth=10), voi=False)
    assert (ignored.black, ignored.white) == (0, 4095)


def test_monochrome1_is_turned_round_once(write_dicom):
    plain = read_dicom(write_dicom(RAMP)).pixels
    for photometric, shape in (("MONOCHROME1", ""), ("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "INVERSE")):
        turned = read_dicom(write_dicom(RAMP, photometric=photometric, PresentationLUTShape=shape))
        np.testing.assert_array_equal(turned.pixels, 4095 - plain)
    windowed = {"WindowCenter": 2048, "WindowWidth": 4096}
    light, dark = (read_dicom(write_dicom(RAMP, photometric=p, **windowed)) for p in ("MONOCHROME2", "MONOCHROME1"))
    np.testing.assert_allclose(light.pixels.astype(int) + dark.pixels, 65535, atol=1)


def test_voi_lut_sequence_goes_before_the_window(write_dicom):
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [4096, 0, 8], (np.arange(4096) >> 4).astype(np.uint16).tobytes()
    path = write_dicom(RAMP, VOILUTSequence=[item], WindowCenter=10, WindowWidth=10)
    pixels = read_dicom(path).pixels.ravel()
    np.testing.assert_allclose(pixels, (np.arange(4096) >> 4) / 255 * 65535, atol=0.51)


def test_modality_lut_sequence_is_looked_up(write_dicom):
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [4096, 0, 16], "US"
    item.LUTData = np.arange(4096)[::-1].astype(np.uint16).tobytes()
    np.testing.assert_array_equal(read_dicom(write_dicom(RAMP, ModalityLUTSequence=[item])).pixels, 4095 - RAMP)


def test_signed_values_and_high_bit(write_dicom):
    signed = (RAMP.astype(np.int16) - 2048) & 0x0FFF  # as 12 stored bits lie in 16
    assert stored_values(write_dicom(signed.astype(np.int16))).min() == -2048
    np.testing.assert_array_equal(read_dicom(write_dicom(signed.astype(np.int16))).pixels, (RAMP - 2048.0))
    high = write_dicom(RAMP << 4, HighBit=15)
    np.testing.assert_array_equal(stored_values(high), RAMP)


def test_padding_is_black_and_outside_the_range(write_dicom):
    values = RAMP + 500
    values[:, :4] = 8000
    got = read_dicom(write_dicom(values, bits=13, photometric="MONOCHROME1", PixelPaddingValue=8000))
    assert got.pixels[:, :4].max() == got.black
    assert got.white < 5000


def test_a_window_of_no_use_is_left_out_and_noted(write_dicom):
    for center, width, said in ((100, 0, "width"), (-9000, 10, "one grey value")):
        got = read_dicom(write_dicom(RAMP, WindowCenter=center, WindowWidth=width))
        assert (got.black, got.white) == (0, 4095)
        assert said in got.notes[0]


@pytest.mark.parametrize(("age", "years"), [("034Y", 34), ("018M", 1.5), ("026W", 26 * 7 / 365.25), ("999Y", None)])
def test_header_says_what_it_says(write_dicom, age, years):
    tags = {"PatientAge": age, "PatientSex": "F", "ViewPosition": "LL", "ImagerPixelSpacing": [0.14, 0.14],
            "Manufacturer": "M ", "ManufacturerModelName": "D", "StudyDate": "20200131"}  # fmt: skip
    header = read_header(write_dicom(RAMP, **tags))
    assert header.age_years == (None if years is None else pytest.approx(years))
    assert (header.sex, header.view, header.pixel_mm, header.manufacturer, header.device) == (
        "F",
        "LATERAL",
        0.14,
        "M",
        "D",
    )
    assert header.acquired.isoformat() == "2020-01-31"


def test_age_from_birth_to_study(write_dicom):
    header = read_header(write_dicom(RAMP, PatientBirthDate="19500131", StudyDate="20200131"))
    assert header.age_years == pytest.approx(70, abs=0.01)


def test_what_is_no_radiograph_is_said(write_dicom, tmp_path):
    with pytest.raises(InputError, match=r"one radiograph; found 3 frames \(0028,0008\)"):
        read_dicom(write_dicom(RAMP, NumberOfFrames=3))
    with pytest.raises(InputError, match="PALETTE COLOR, a radiograph is grey"):
        read_dicom(write_dicom(RAMP, photometric="PALETTE COLOR"))
    dataset = pydicom.dcmread(write_dicom(RAMP))
    for tag in ("PixelData", "Rows", "Columns"):
        del dataset[tag]
    dataset.save_as(tmp_path / "report.dcm")
    with pytest.raises(InputError, match="a DICOM object without pixels"):
        read_dicom(tmp_path / "report.dcm")
    (tmp_path / "a.png").write_bytes(b"%PDF-1.4")
    with pytest.raises(InputError, match="expected a DICOM file; found a file whose content is PDF"):
        read_dicom(tmp_path / "a.png")


def test_colour_secondary_captures_become_grey(write_dicom):
    colour = np.repeat((RAMP >> 4).astype(np.uint8)[:, :, None], 3, axis=2)
    path = write_dicom(colour, bits=8, photometric="RGB", SamplesPerPixel=3, PlanarConfiguration=0)
    got = read_dicom(path)
    np.testing.assert_array_equal(got.pixels, RAMP >> 4)
    assert "colour made grey" in got.notes[0]
