"""Look-up tables whose descriptor contradicts their entries are read by their entries, as by DCMTK's dcm2pnm +Mv."""

import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset

from overread.images.dicom.radiographs import read_dicom
from overread.images.recipe.pixel_recipe import Recipe
from overread.images.store.decode_worker import read_image

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
ENTRIES = np.arange(4096)


def item(descriptor, data, kind="OW"):
    made = Dataset()
    if descriptor is not None:
        made.add_new("LUTDescriptor", "US", descriptor)
    if data is not None:
        made.add_new("LUTData", kind, data)
    return made


def words(entries, order="<u2"):
    return np.asarray(entries).astype(order).tobytes()


def packed(entries, order="<u2"):
    return np.asarray(entries).astype(np.uint8).view("<u2").astype(order).tobytes()


def shown(path):
    got = read_dicom(path)
    return got.pixels.ravel() / 65535, got.notes


CASES = {
    "16 bits stated, 12 used": ([4096, 0, 16], words(ENTRIES), "its descriptor states 16 bits, its entries have 12"),
    "16 bits stated, 15 used": ([4096, 0, 16], words(ENTRIES * 8), "states 16 bits, its entries have 15"),
    "8 bits stated, 12 used": ([4096, 0, 8], words(ENTRIES), "states 8 bits, its entries have 12"),
    "12 bits stated, 11 used": ([4096, 0, 12], words(ENTRIES // 2), "states 12 bits, its entries have 11"),
    "no bits stated": ([4096, 0, 0], words(ENTRIES), "states 0 bits, its entries have 12"),
    "20 bits stated": ([4096, 0, 20], words(ENTRIES), "states 20 bits, its entries have 12"),
    "all 65,536 entries stated": ([0, 0, 12], words(ENTRIES), "states 65,536 entries, it has 4,096"),
    "fewer entries stated": ([1024, 0, 12], words(ENTRIES), "states 1,024 entries, it has 4,096"),
    "bytes packed into words": ([4096, 0, 8], packed(ENTRIES >> 4), ""),
    "packed bytes, 16 bits stated": ([4096, 0, 16], packed(ENTRIES >> 4), "states 16 bits, its entries have 8"),
    "right": ([4096, 0, 12], words(ENTRIES), ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_entries_count_where_the_descriptor_contradicts_them(write_raw, case, big):
    descriptor, data, note = CASES[case]
    data = np.frombuffer(data, "<u2").astype(">u2").tobytes() if big else data
    path = write_raw(RAMP, big=big, sequences=[("VOILUTSequence", item(descriptor, data))])
    greys, notes = shown(path)
    np.testing.assert_allclose(greys, ENTRIES / 4095, atol=1 / 250)
    assert len(notes) == bool(note)
    assert all(n.startswith("VOI LUT Sequence (0028,3010)") and note in n for n in notes)
    if shutil.which("dcm2pnm"):
        target = path.with_suffix(".pgm")
        subprocess.run(["dcm2pnm", "+Wl", "1", "+Mv", path, target], check=True, capture_output=True)
        np.testing.assert_allclose(greys * 255, np.asarray(Image.open(target)).ravel(), atol=1.01)


@pytest.mark.parametrize("n", [2048, 1300])
def test_a_table_that_is_cut_ends_with_its_last_entry(write_raw, n):
    greys, notes = shown(write_raw(RAMP, sequences=[("VOILUTSequence", item([4096, 0, 12], words(ENTRIES[:n])))]))
    np.testing.assert_allclose(greys, np.minimum(ENTRIES, n - 1) / 2047, atol=1e-3)
    assert f"states 4,096 entries, it has {n:,}" in notes[0]


@pytest.mark.parametrize("first", [64512, -1024])
def test_the_first_value_may_be_negative_whatever_its_type(write_dicom, first):
    made = item(None, words(ENTRIES))
    made.add_new("LUTDescriptor", "SS" if first < 0 else "US", [4096, first, 12])
    path = write_dicom(RAMP, RescaleSlope=1, RescaleIntercept=-1024, VOILUTSequence=[made])
    np.testing.assert_allclose(shown(path)[0], ENTRIES / 4095, atol=1e-3)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (item(None, words(ENTRIES)), "its descriptor (0028,3002) does not have three numbers"),
        (item([4096, 0], words(ENTRIES)), "its descriptor (0028,3002) does not have three numbers"),
        (item([4096, 0, 12], None), "it has no data (0028,3006)"),
        (item([4096, 0, 12], b""), "it has no data (0028,3006)"),
        (item([4096, 0, 12], words(ENTRIES * 0 + 7)), "shows one grey value only"),
        (item([4096, 0, 12], words(ENTRIES >> 9)), "shows fewer than 16 grey values only"),
    ],
)
@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
def test_a_table_that_cannot_be_used_does_not_cost_the_picture(write_dicom, made, why, keyword):
    got = read_dicom(write_dicom(RAMP, **{keyword: [made]}))
    np.testing.assert_array_equal(got.pixels, RAMP)
    assert why in got.notes[-1]
    assert got.notes[-1].endswith("left out")


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n=st.integers(300, 4096),
    first=st.integers(0, 500),
    bits=st.integers(0, 20),
    used=st.integers(8, 16),
    stated=st.integers(0, 65535),
    seed=st.integers(0, 9),
    big=st.booleans(),
)
def test_any_descriptor_shows_the_entries_over_their_real_range(write_raw, n, first, bits, used, stated, seed, big):
    """The entries decide the bits and their number, whatever is stated, as long as no packing could be meant."""
    if stated % 65536 in (0, *range(2 * n - 1, 2 * n + 1)):
        stated = n
    rng = np.random.default_rng(seed)
    entries = np.sort(rng.integers(0, 1 << used, n))
    entries[-1] = (1 << used) - 1
    made = item([stated, first, bits], words(entries, ">u2" if big else "<u2"))
    greys, notes = shown(write_raw(RAMP, big=big, sequences=[("VOILUTSequence", made)]))
    expected = entries[np.clip(ENTRIES - first, 0, n - 1)] / ((1 << used) - 1)
    np.testing.assert_allclose(greys, expected, atol=1e-3)
    assert any("bits" in note for note in notes) == (bits != used)
    assert any("entries, it has" in note for note in notes) == (stated != n)


def test_a_picture_of_3_to_13_of_255_comes_out_whole(write_raw):
    data = words(np.linspace(800, 3400, 4096))
    path = write_raw(RAMP, sequences=[("VOILUTSequence", item([4096, 0, 16], data))])
    pixels = read_image(path, Recipe(64, "pad"))
    assert (pixels.min(), pixels.max()) == (50, 212)
