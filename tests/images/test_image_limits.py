"""Pictures made to take all time or memory are refused by what they claim, or given up; the others are read."""

import io
import struct
import zlib

import numpy as np
import polars as pl
import pydicom
import pytest
from PIL import Image

from overread import limits
from overread.cohort import CohortConfig, build
from overread.errors import InputError
from overread.images.dicom.header_scan import scan
from overread.images.dicom.headers import read_header
from overread.images.dicom.radiographs import read_dicom
from overread.images.raster.png_jpeg import decode_raster
from overread.images.recipe.pixel_recipe import Recipe
from overread.images.store import pixel_store
from overread.images.store.decode_worker import made_in_order, make
from overread.images.store.worker_pool import ENDED
from overread.limits import Bounds
from overread.tables import Source, check

RECIPE = Recipe(16, "pad")
ITEM, SEQUENCE = b"\xfe\xff\x00\xe0\x00\x00\x00\x00", b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff"
END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


def noise(n=64):
    return np.random.default_rng(0).integers(0, 255, (n, n), dtype=np.uint8)


def jpeg(extra_scans, n=64):
    held = io.BytesIO()
    Image.fromarray(noise(n)).save(held, "JPEG", progressive=True)
    data = held.getvalue()[:-2]
    return data + data[data.rfind(b"\xff\xda") :] * extra_scans + b"\xff\xd9"


def with_elements(path, extra):
    """The file with these bytes before its data set."""
    data = path.read_bytes()
    end = 144 + int.from_bytes(data[140:144], "little")
    path.write_bytes(data[:end] + extra + data[end:])
    return path


def test_scans_are_counted_and_too_many_refused():
    usual = jpeg(0).count(b"\xff\xda")
    fits = jpeg(limits.JPEG_SCANS - usual)
    assert decode_raster(fits, "x").pixels.shape == (64, 64)
    with pytest.raises(InputError, match="at most 100 scans; found a JPEG of 101 scans"):
        decode_raster(jpeg(limits.JPEG_SCANS - usual + 1), "x")


def test_scans_of_a_stream_in_dicom_are_counted_too(write_dicom):
    path = write_dicom(noise(), bits=8)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
    dataset.PixelData = pydicom.encaps.encapsulate([jpeg(200)])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.save_as(path)
    with pytest.raises(InputError, match="scans, a picture needs at most 100"):
        read_dicom(path)


def test_runs_beyond_the_picture_are_refused(write_dicom):
    path = write_dicom(noise(), bits=8)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x00" * 100_000
    dataset.PixelData = pydicom.encaps.encapsulate([frame])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.save_as(path)
    with pytest.raises(InputError, match=r"cannot be decoded \(its runs are longer than the picture\)"):
        read_dicom(path)


@pytest.mark.slow
@pytest.mark.parametrize("items", [0, 1, 20_000, 20_001, 300_000])
@pytest.mark.parametrize("item", [ITEM, b"\xfe\xff\x00\xe0\xff\xff\xff\xff\xfe\xff\x0d\xe0\x00\x00\x00\x00"])
def test_items_of_a_header_are_counted(write_dicom, items, item):
    path = with_elements(write_dicom(noise(), bits=8), SEQUENCE + item * items + END)
    row = scan([path]).row(0, named=True)
    if items <= limits.HEADER_ITEMS:
        assert (row["patient_id"], row["fault"]) == ("17", "")
        assert read_header(path).patient_id == "17"
        assert read_dicom(path).pixels.shape == (64, 64)
        return
    assert row["fault"] == f"{items:,} items of sequences"
    for read in (read_dicom, read_header):
        with pytest.raises(InputError, match=r"at most 20,000 items of sequences; found .* items of sequences"):
            read(path)


def test_item_marks_within_pixels_are_no_items(write_dicom):
    values = np.frombuffer(ITEM * 30_000, np.uint8).reshape(480, 500)
    assert read_dicom(write_dicom(values, bits=8)).pixels.shape == (480, 500)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_extras_of_a_png_that_inflate_to_a_gigabyte_cost_no_memory(kind):
    packer = zlib.compressobj(9)
    body = b"".join([*(packer.compress(bytes(1 << 24)) for _ in range(16)), packer.flush()])
    held = io.BytesIO()
    Image.fromarray(noise()).save(held, "PNG")
    extra = (b"a\0\1\0\0\0" if kind == b"iTXt" else b"a\0\0") + body
    chunk = struct.pack(">I", len(extra)) + kind + extra + struct.pack(">I", zlib.crc32(kind + extra))
    try:
        found = decode_raster(held.getvalue()[:33] + chunk + held.getvalue()[33:], "x")
    except InputError:
        return
    assert np.array_equal(found.pixels, noise())


@pytest.fixture
def slow(write_dicom):
    """A DICOM file whose header has 4,000,000 elements: seconds of processor time in one call."""
    return with_elements(write_dicom(noise(), "slow.dcm", bits=8), b"\x08\x00\x00\x10LO\x00\x00" * 4_000_000)


BOUNDS = Bounds(seconds=1.5)


@pytest.mark.slow
def test_a_slow_file_is_a_record_with_its_fault_and_the_others_are_made(tmp_path, slow):
    paths = []
    for n in range(4):
        paths.append(tmp_path / f"{n}.png")
        Image.fromarray(noise(40 + n)).save(paths[-1])
    files = [*paths[:2], slow, *paths[2:]]
    expected, rows = make(paths, RECIPE)
    for workers in (1, 2):
        ((records, made),) = made_in_order([files], RECIPE, workers, bounds=BOUNDS)
        assert [r for r in records if not r.fault] == expected
        assert records[2].fault == f"{ENDED}: more than 1.5 s of processor time"
        assert np.array_equal(made, rows)


@pytest.mark.slow
def test_a_part_with_a_file_that_was_given_up_is_made_again(tmp_path, slow):
    Image.fromarray(noise()).save(tmp_path / "a.png")
    images = pl.DataFrame({"image_id": ["a", "b"], "path": ["a.png", "slow.dcm"]})

    def built(bounds):
        return pixel_store.build(
            images, tmp_path, tmp_path / "out", RECIPE, workers=1, bounds=bounds, check=lambda bad: None
        )

    kept, bad = built(BOUNDS)
    assert (kept["image_id"].to_list(), bad["image_id"].to_list()) == (["a"], ["b"])
    kept, bad = built(Bounds())
    assert (kept["image_id"].to_list(), bad.height) == (["a", "b"], 0)


@pytest.mark.slow
def test_a_cohort_lists_the_file_that_was_given_up(tmp_path, slow):
    for n in range(6):
        Image.fromarray(noise(40 + n)).save(tmp_path / f"{n}.png")
    names = [f"{n}" for n in range(7)]
    images = {
        "image_id": names,
        "patient_id": names,
        "site": "north",
        "path": [f"{n}.png" for n in range(6)] + ["slow.dcm"],
    }
    labels = {"case_id": names, "finding": "edema", "source": "made", "state": "present"}
    source = Source(check(pl.DataFrame(images), "images"), check(pl.DataFrame(labels), "labels"))
    config = CohortConfig(recipe=RECIPE, max_unreadable=0.2, file_seconds=1.5, fractions=(1, 0, 0))
    cohort = build(source, tmp_path, tmp_path / "out", config, workers=1)
    assert cohort.images.height == 6
    listed = pl.read_csv(tmp_path / "out" / "unreadable.csv")
    assert listed.select("path", "reason").rows() == [("slow.dcm", f"{ENDED}: more than 1.5 s of processor time")]
    with pytest.raises(InputError, match="every image to be read"):
        build(source, tmp_path, tmp_path / "strict", CohortConfig(recipe=RECIPE, file_seconds=1.5), workers=1)
