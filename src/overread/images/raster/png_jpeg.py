"""Reading of PNG and JPEG radiographs as one grey plane, with Pillow (grey PNG: libpng)."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from overread import limits
from overread.errors import InputError
from overread.images.raster.file_content import MAX_PIXELS, ImageFile, check_size, content, read_bytes
from overread.images.raster.image_faults import BROKEN, MEMORY

_GREY8, _GREY16 = ("L",), ("I;16", "I;16B", "I;16L", "I;16N", "I")
_EXIF_ORIENTATION = 0x0112
_GREY_PNG = (b"\x08\x00", b"\x10\x00")  # bit depth and colour type, as its header (which comes first) states them
_PNG_EXTRAS = {b"eXIf", b"tRNS", b"acTL"}  # a turn, transparency, several frames
_BROKEN = (*BROKEN, SyntaxError)
_SCAN = b"\xff\xda"  # within a scan the byte FF is followed by 00, so that this is a marker
_ENDS = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}  # without its end mark a file is truncated


def read_raster(path: Path | str, *, at_least: int = 0, longer: bool = False) -> ImageFile:
    """Read a PNG or JPEG radiograph as one grey plane.

    Parameters
    ----------
    path : path
        Image file; its format is detected by content, not by name.
    at_least : int
        Above 0, a JPEG may be decoded at 1/2, 1/4 or 1/8 scale as long as its shorter side keeps this many pixels. The
        decoder then averages over blocks and is several times faster.
    longer : bool
        Whether `at_least` applies to the longer side.

    Returns
    -------
    ImageFile
        8-bit values as stored (black 0, white 255); 16-bit values with black and white at minimum and maximum, because
        such files rarely state the bits used. Colour, palette and transparency are converted to grey (ITU-R BT.601
        luma, transparent = black), see `converted`. EXIF orientation is applied.

    Raises
    ------
    InputError
        The file is missing, empty, truncated or damaged, or of another kind.

    Examples
    --------
    >>> from PIL import Image
    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.png"
    >>> Image.new("L", (6, 4), 7).save(file)
    >>> read_raster(file).pixels.shape
    (4, 6)
    """
    return decode_raster(read_bytes(path), path, at_least=at_least, longer=longer)


def decode_raster(data: bytes, where: Path | str, *, at_least: int = 0, longer: bool = False) -> ImageFile:
    """Decode a PNG or JPEG radiograph from the bytes of a file.

    Parameters
    ----------
    data : bytes
        The file.
    where : path
        Name of the file in messages.
    at_least, longer
        See `read_raster`.

    Returns
    -------
    ImageFile
        As from `read_raster`.

    Raises
    ------
    InputError
        As `read_raster`.
    """
    kind = content(data[:512])
    if kind not in ("PNG", "JPEG"):
        raise InputError(where, "a PNG or JPEG image", f"a file whose content is {kind}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of extra chunks that are broken; nothing of them is used
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit that counts is check_size's
            return _decode(data, where, at_least, longer)
    except Image.DecompressionBombError as error:
        raise InputError(where, f"at most {MAX_PIXELS:,} pixels", "more") from error
    except MemoryError as error:
        raise InputError(where, f"a {kind} image", MEMORY) from error
    except _BROKEN as error:
        found = "a truncated file" if data.rfind(_ENDS[kind]) < 0 else "a broken file"
        raise InputError(
            where, f"a whole {kind} image", f"one that cannot be decoded: {found}", do="Fetch the file again."
        ) from error


def _decode(data: bytes, where: Path | str, at_least: int, longer: bool) -> ImageFile:
    _check_scans(data, where)
    image: Image.Image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
    columns, rows = image.size
    check_size(where, rows, columns)
    mode, grey16 = image.mode, image.mode in _GREY16
    side = max(rows, columns) if longer else min(rows, columns)
    if at_least and image.format == "JPEG":
        scale = next((s for s in (8, 4, 2) if side >= s * at_least), 1)
        image.draft("L" if mode in ("L", "RGB") else mode, (-(-columns // scale), -(-rows // scale)))
    elif image.format == "JPEG" and mode == "RGB":
        image.draft("L", image.size)  # luma is what a JPEG stores: no need to make colour of it first
    if (plain := _grey_png(data, image)) is not None:
        deep = plain.dtype == np.uint16
        black, white = (float(plain.min()), float(plain.max())) if deep else (0.0, 255.0)
        return ImageFile(plain, black, white, rows, columns)
    image.load()
    turned = image.getexif().get(_EXIF_ORIENTATION, 1) not in (0, 1)
    if turned:
        image = ImageOps.exif_transpose(image)
        rows, columns = (columns, rows) if (image.size[0] > image.size[1]) != (columns > rows) else (rows, columns)
    if grey16:
        values = np.asarray(image).astype(np.uint16)
        return ImageFile(values, float(values.min()), float(values.max()), rows, columns, "turned" if turned else "")
    converted = [] if mode in _GREY8 and "transparency" not in image.info else [_colour(mode, image)]
    values8 = np.asarray(_grey(image))
    return ImageFile(values8, 0.0, 255.0, rows, columns, " and ".join(converted + ["turned"] * turned))


def _grey_png(data: bytes, image: Image.Image) -> NDArray[np.uint8] | NDArray[np.uint16] | None:
    """Pixels of a grey PNG by libpng; None if Pillow is needed to decode the file or to describe its fault.

    libpng is 1.5 times as fast as Pillow's reader and refuses all files that Pillow refuses.
    """
    if image.format != "PNG" or data[24:26] not in _GREY_PNG or not _PNG_EXTRAS.isdisjoint(_chunks(data)):
        return None
    import imagecodecs  # imported here: only deflated files need it

    try:
        return np.asarray(imagecodecs.png_decode(data))
    except imagecodecs.PngError:
        return None


def _chunks(data: bytes) -> Iterator[bytes]:
    """Names of the chunks of a PNG, up to the first damage."""
    place = 8
    while place + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        yield name
        place += 12 + length


def _check_scans(data: bytes, where: Path | str) -> None:
    """Refuse a JPEG with too many scans: each costs the decoder a pass over the whole image."""
    found = data.count(_SCAN) if data.startswith(b"\xff\xd8") else 0
    if found > limits.JPEG_SCANS:
        raise InputError(where, f"a JPEG of at most {limits.JPEG_SCANS} scans", f"a JPEG of {found:,} scans")


def _colour(mode: str, image: Image.Image) -> str:
    names = {"RGB": "colour", "P": "palette", "CMYK": "colour", "YCbCr": "colour", "1": "1-bit", "L": "grey"}
    transparent = mode in ("LA", "RGBA", "PA", "La", "RGBa") or "transparency" in image.info
    return names.get(mode, "grey" if mode.startswith("L") else "colour") + (" with transparency" if transparent else "")


def _grey(image: Image.Image) -> Image.Image:
    if image.mode in ("LA", "RGBA", "PA", "La", "RGBa") or "transparency" in image.info:
        full = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", full.size, (0, 0, 0, 255)), full).convert("L")
    return image if image.mode == "L" else image.convert("L")
