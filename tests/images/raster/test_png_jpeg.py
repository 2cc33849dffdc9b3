import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from overread.errors import InputError
from overread.images.raster.png_jpeg import decode_raster, read_raster


def radiograph(rows=48, columns=64, peak=255):
    """A smooth picture with an edge."""
    y, x = np.mgrid[0:rows, 0:columns]
    values = (np.sin(x / 9) + np.cos(y / 7) + (x > columns / 2)) * peak / 4 + peak / 4
    return np.clip(values, 0, peak)


def test_eight_bits_come_back_as_stored(tmp_path):
    values = radiograph().astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    picture = read_raster(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, values)
    assert (picture.black, picture.white, picture.rows, picture.columns, picture.converted) == (0, 255, 48, 64, "")


def test_sixteen_bits_keep_their_depth(tmp_path):
    values = radiograph(peak=4095).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    picture = read_raster(tmp_path / "a.png")
    assert picture.pixels.dtype == np.uint16
    np.testing.assert_array_equal(picture.pixels, values)
    assert (picture.black, picture.white) == (values.min(), values.max())


def test_content_counts_not_the_name(tmp_path):
    Image.fromarray(radiograph().astype(np.uint8)).save(tmp_path / "a.jpg", format="PNG")
    assert read_raster(tmp_path / "a.jpg").pixels.shape == (48, 64)


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("RGB", "colour"),
        ("RGBA", "colour with transparency"),
        ("P", "palette"),
        ("LA", "grey with transparency"),
        ("1", "1-bit"),
    ],
)
def test_colour_palette_and_transparency_become_grey_and_are_said(tmp_path, mode, said):
    grey = Image.fromarray(radiograph().astype(np.uint8))
    grey.convert(mode).save(tmp_path / "a.png")
    picture = read_raster(tmp_path / "a.png")
    assert picture.converted == said
    assert picture.pixels.dtype == np.uint8
    if mode in ("RGB", "RGBA", "LA", "P"):
        assert np.abs(picture.pixels.astype(int) - np.asarray(grey)).max() <= 3


def test_what_is_transparent_is_black(tmp_path):
    image = Image.new("LA", (10, 10), (200, 0))
    image.paste((200, 255), (0, 0, 5, 10))
    image.save(tmp_path / "a.png")
    pixels = read_raster(tmp_path / "a.png").pixels
    assert pixels[:, :5].min() == 200
    assert pixels[:, 5:].max() == 0


def test_colour_jpeg_equals_its_luma(tmp_path):
    grey = Image.fromarray(radiograph(200, 300).astype(np.uint8))
    grey.convert("RGB").save(tmp_path / "c.jpg", quality=95)
    picture = read_raster(tmp_path / "c.jpg")
    assert picture.converted == "colour"
    assert np.abs(picture.pixels.astype(int) - np.asarray(grey)).mean() < 1.5


def test_a_turn_that_exif_asks_for_is_made(tmp_path):
    values = radiograph(48, 64).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.fromarray(values).save(tmp_path / "a.jpg", quality=100, exif=exif)
    picture = read_raster(tmp_path / "a.jpg")
    assert (picture.pixels.shape, picture.rows, picture.columns, picture.converted) == ((64, 48), 64, 48, "turned")
    assert np.abs(picture.pixels.astype(int) - np.rot90(values, -1)).mean() < 2


def test_a_large_jpeg_is_unpacked_smaller_and_says_its_own_size(tmp_path):
    Image.fromarray(radiograph(800, 1000).astype(np.uint8)).save(tmp_path / "a.jpg", quality=95)
    small = read_raster(tmp_path / "a.jpg", at_least=200)
    assert small.pixels.shape == (200, 250)
    assert (small.rows, small.columns) == (800, 1000)
    assert read_raster(tmp_path / "a.jpg", at_least=201).pixels.shape == (400, 500)
    assert read_raster(tmp_path / "a.jpg", at_least=250, longer=True).pixels.shape == (200, 250)
    full = read_raster(tmp_path / "a.jpg").pixels.astype(float)
    means = full.reshape(200, 4, 250, 4).mean((1, 3))
    assert np.abs(small.pixels - means).mean() < 0.7


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_truncated_files_are_said(tmp_path, kind, share):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (300, 300), dtype=np.uint8)).save(tmp_path / f"a.{kind}")
    data = (tmp_path / f"a.{kind}").read_bytes()
    (tmp_path / f"a.{kind}").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"cannot be decoded.*Fetch the file again"):
        read_raster(tmp_path / f"a.{kind}")


def test_a_damaged_png_is_said(tmp_path):
    Image.fromarray(radiograph(300, 300).astype(np.uint8)).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match="expected a whole PNG image"):
        read_raster(tmp_path / "a.png")


def test_a_pdf_with_another_name_is_said(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%PDF-1.7 and so on")
    with pytest.raises(InputError, match=r"a.png: expected a PNG or JPEG image; found a file whose content is PDF\."):
        read_raster(tmp_path / "a.png")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("extra", [None, b"eXIf", b"tRNS", b"acTL"])
def test_grey_pngs_are_what_pillow_says_they_are(tmp_path, bits, extra):
    dtype = np.dtype(f"u{bits // 8}")
    values = np.random.default_rng(3).integers(0, 1 << bits, (31, 47)).astype(dtype)
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {b"eXIf": {"exif": exif}, b"tRNS": {"transparency": 5}}.get(extra, {})
    Image.fromarray(values).save(buffer, "PNG", **options)
    data = buffer.getvalue()
    if extra == b"acTL":
        chunk = b"acTL" + struct.pack(">II", 1, 0)
        data = data[:33] + struct.pack(">I", 8) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    assert extra is None or extra in data
    (tmp_path / "a.png").write_bytes(data)
    found = read_raster(tmp_path / "a.png")
    if extra == b"eXIf":
        assert (found.rows, found.columns) == (47, 31)
        np.testing.assert_array_equal(found.pixels, np.rot90(values, -1))
    elif extra == b"tRNS" and bits == 8:
        np.testing.assert_array_equal(found.pixels, np.where(values == 5, 0, values))
    else:
        assert found.pixels.dtype == dtype
        np.testing.assert_array_equal(found.pixels, values)


def test_a_grey_png_cut_anywhere_is_refused(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(radiograph(60, 60).astype(np.uint8)).save(buffer, "PNG")
    data, path = buffer.getvalue(), tmp_path / "a.png"
    for end in range(40, data.index(b"IEND") - 12, 97):
        path.write_bytes(data[:end])
        with pytest.raises(InputError, match="expected a whole PNG image"):
            read_raster(path)


@pytest.mark.parametrize(
    "name",
    [b"iCCP", b"tRNS", b"PLTE", b"zTXt", b"iTXt", b"gAMA", b"pHYs", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"cHRM"],
)
@pytest.mark.parametrize("body", [b"", b"x", b"x\0", b"x\0\1y", b"\xff" * 40])
def test_a_broken_chunk_with_a_right_checksum_is_read_past_or_refused(name, body):
    """Pillow raises IndexError, TypeError and others of Python's own on some of these."""
    held = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(held, "PNG")
    data = held.getvalue()
    chunk = len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
    for at in (33, len(data) - 12):  # behind the header; before the end
        with contextlib.suppress(InputError):
            assert decode_raster(data[:at] + chunk + data[at:], "a.png").pixels.shape == (8, 8)
