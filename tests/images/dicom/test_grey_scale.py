import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing

from overread.errors import InputError
from overread.images.dicom.radiographs import read_dicom

RAMP = np.arange(0, 4096, dtype=np.uint16).reshape(64, 64)


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


@pytest.mark.slow
def test_grey_stored_as_colour_is_read_and_colour_refused(write_dicom):
    colour = np.repeat((RAMP >> 4).astype(np.uint8)[:, :, None], 3, axis=2)
    rgb = {"bits": 8, "photometric": "RGB", "SamplesPerPixel": 3, "PlanarConfiguration": 0}
    got = read_dicom(write_dicom(colour, **rgb))
    np.testing.assert_array_equal(got.pixels, RAMP >> 4)
    assert "RGB with nothing but grey in it: one plane taken" in got.notes
    tinted = colour.copy()
    tinted[5, 5, 2] ^= 1
    with pytest.raises(InputError, match="is RGB with colour, a radiograph is grey"):
        read_dicom(write_dicom(tinted, **rgb))
    chroma = np.stack([colour[..., 0], np.full((64, 64), 128, np.uint8), np.full((64, 64), 128, np.uint8)], axis=-1)
    got = read_dicom(write_dicom(chroma, **(rgb | {"photometric": "YBR_FULL"})))
    np.testing.assert_array_equal(got.pixels, RAMP >> 4)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (["L", "F"], RAMP),
        (["R", "F"], RAMP[:, ::-1]),
        (["L", "H"], RAMP[::-1]),
        (["R", "H"], RAMP[::-1, ::-1]),
        (["F", "L"], RAMP.T),
        (["H", "R"], RAMP.T[::-1, ::-1]),
        (["A", "F"], RAMP),
        (["", ""], RAMP),
        ("L", RAMP),
        (["RPF", "FLH"], RAMP[:, ::-1]),
    ],
)
def test_a_frontal_picture_is_hung_with_its_right_side_on_the_left(write_dicom, orientation, turned):
    got = read_dicom(write_dicom(RAMP, PatientOrientation=orientation))
    np.testing.assert_array_equal(got.pixels, turned)
    assert any("turned to L and F" in note for note in got.notes) == (turned is not RAMP)


def test_overlays_in_the_high_bits_are_masked(write_dicom):
    drawn = RAMP | (np.uint16(1) << 15)
    drawn[::3] |= np.uint16(1) << 12
    np.testing.assert_array_equal(read_dicom(write_dicom(drawn)).pixels, RAMP)
